// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/black_box_trace.hpp"

#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fermata::runtime::box_file {

namespace {

constexpr int frames_max = 96;

int add_segments(dl_phdr_info* about, std::size_t, void* to) {
  std::string_view name = about->dlpi_name;
  name.remove_prefix(name.rfind('/') + 1);
  if (name.empty()) name = "program";
  for (int i = 0; i < about->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = about->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    module_segment one;
    one.base = about->dlpi_addr;
    one.from = one.base + segment.p_vaddr;
    one.to = one.from + segment.p_memsz;
    std::copy_n(name.data(), std::min(name.size(), one.name.size() - 1), one.name.data());
    static_cast<module_table*>(to)->push_back(one);
  }
  return 0;
}

/// Whole lines only.
class writer {
 public:
  explicit writer(std::span<char> to) noexcept : to_(to) {}

  void line(std::uintptr_t address, const module_segment* in) noexcept {
    char text[80];
    std::size_t size = 0;
    if (in != nullptr) {
      for (const char* from = in->name.data(); *from != '\0'; ++from) text[size++] = *from;
      text[size++] = '+';
      address -= in->base;
    }
    text[size++] = '0';
    text[size++] = 'x';
    int shift = 0;
    while (shift < 60 && (address >> shift) > 0xF) shift += 4;
    for (; shift >= 0; shift -= 4) text[size++] = "0123456789abcdef"[(address >> shift) & 0xF];
    text[size++] = '\n';
    if (size > to_.size() - used_) return;
    std::memcpy(to_.data() + used_, text, size);
    used_ += size;
  }
  std::size_t used() const noexcept { return used_; }

 private:
  std::span<char> to_;
  std::size_t used_ = 0;
};

const module_segment* segment_of(std::uintptr_t address, const module_table* known) noexcept {
  if (known == nullptr) return nullptr;
  for (const module_segment& one : *known)
    if (address >= one.from && address < one.to) return &one;
  return nullptr;
}

}  // namespace

module_table loaded_modules() {
  module_table found;
  dl_iterate_phdr(add_segments, &found);
  return found;
}

std::size_t trace(std::span<char> to, const void* pc, const module_table* known) noexcept {
  void* frames[frames_max];
  const int depth = ::backtrace(frames, frames_max);
  void** const end = frames + (depth > 0 ? depth : 0);
  void** begin = std::find(frames, end, pc);
  if (begin == end) begin = frames;
  writer out(to);
  for (void** frame = begin; frame != end; ++frame) {
    const auto address = reinterpret_cast<std::uintptr_t>(*frame);
    out.line(address, segment_of(address, known));
  }
  return out.used();
}

}  // namespace fermata::runtime::box_file
