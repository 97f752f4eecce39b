// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/black_box_trace.hpp"

#include "worker/build_id.hpp"

#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace fermata::runtime::box_file {

namespace {

constexpr int frames_max = 96;

int add_segments(dl_phdr_info* about, std::size_t, void* to) {
  const module_name named = name_of(*about);
  for (int i = 0; i < about->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = about->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    module_segment one{named};
    one.base = about->dlpi_addr;
    one.from = one.base + segment.p_vaddr;
    one.to = one.from + segment.p_memsz;
    static_cast<module_table*>(to)->push_back(one);
  }
  return 0;
}

/// Whole lines only.
class writer {
 public:
  explicit writer(std::span<char> to) noexcept : to_(to) {}

  void line(std::uintptr_t address, const module_segment* in) noexcept {
    if (in != nullptr) {
      add(in->name.data());
      add("+");
      address -= in->base;
    }
    number(address);
    if (in != nullptr && in->build[0] != '\0') {
      add(" [");
      add(in->build.data());
      add("]");
    }
    end_line();
  }
  void add(const char* from) noexcept {
    for (; *from != '\0' && size_ < sizeof text_; ++from) text_[size_++] = *from;
  }
  void number(std::uintptr_t value) noexcept {
    add("0x");
    int shift = 0;
    while (shift < 60 && (value >> shift) > 0xF) shift += 4;
    for (; shift >= 0; shift -= 4) {
      const char digit[] = {"0123456789abcdef"[(value >> shift) & 0xF], '\0'};
      add(digit);
    }
  }
  void end_line() noexcept {
    add("\n");
    if (size_ <= to_.size() - used_) {
      std::memcpy(to_.data() + used_, text_, size_);
      used_ += size_;
    }
    size_ = 0;
  }
  std::size_t used() const noexcept { return used_; }

 private:
  std::span<char> to_;
  std::size_t used_ = 0;
  char text_[112];  // the longest line has 80
  std::size_t size_ = 0;
};

const module_segment* segment_of(std::uintptr_t address, const module_table* known) noexcept {
  if (known == nullptr) return nullptr;
  for (const module_segment& one : *known)
    if (address >= one.from && address < one.to) return &one;
  return nullptr;
}

}  // namespace

module_name name_of(const dl_phdr_info& object) {
  std::string_view name = object.dlpi_name;
  name.remove_prefix(name.rfind('/') + 1);
  if (name.empty()) name = "program";
  module_name out;
  std::copy_n(name.data(), std::min(name.size(), out.name.size() - 1), out.name.data());
  const std::string build = detail::build_id_of(object);
  std::copy_n(build.data(), std::min(build.size(), out.build.size() - 1), out.build.data());
  return out;
}

std::size_t note_fault(std::span<char> to, const void* address) noexcept {
  writer out(to);
  out.add("fault at address ");
  out.number(reinterpret_cast<std::uintptr_t>(address));
  out.end_line();
  return out.used();
}

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
