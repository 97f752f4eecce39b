// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/frame_names.hpp"

#include "worker/runtime/black_box_trace.hpp"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <span>

namespace fermata::runtime {

namespace {

constexpr std::size_t frames_max = 32;
constexpr std::size_t name_max = 160;

/// An ELF file, mapped: only the pages of its symbols are read.
class symbol_file {
 public:
  explicit symbol_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat about{};
    if (::fstat(file, &about) == 0 && about.st_size > 0) {
      size_ = static_cast<std::size_t>(about.st_size);
      void* at = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
      if (at != MAP_FAILED) at_ = static_cast<const char*>(at);
    }
    ::close(file);
  }
  ~symbol_file() {
    if (at_ != nullptr) ::munmap(const_cast<char*>(at_), size_);
  }
  symbol_file(const symbol_file&) = delete;
  symbol_file& operator=(const symbol_file&) = delete;

  struct found {
    std::string_view name;
    std::uintptr_t offset = 0;
  };
  /// The function that holds the file's `address`. The full table first, else that of the loader.
  std::optional<found> function_at(std::uintptr_t address) const {
    for (const ElfW(Word) kind : {ElfW(Word){SHT_SYMTAB}, ElfW(Word){SHT_DYNSYM}})
      if (auto it = in_tables(kind, address)) return it;
    return std::nullopt;
  }

 private:
  template <class T>
  std::span<const T> read(std::size_t offset, std::size_t count) const {
    if (at_ == nullptr || offset > size_ || count > (size_ - offset) / sizeof(T)) return {};
    if (offset % alignof(T) != 0) return {};
    return {reinterpret_cast<const T*>(at_ + offset), count};
  }
  std::span<const ElfW(Shdr)> sections() const {
    const auto head = read<ElfW(Ehdr)>(0, 1);
    if (head.empty() || std::memcmp(head[0].e_ident, ELFMAG, SELFMAG) != 0) return {};
    if (head[0].e_shentsize != sizeof(ElfW(Shdr))) return {};
    return read<ElfW(Shdr)>(head[0].e_shoff, head[0].e_shnum);
  }
  std::optional<found> in_tables(ElfW(Word) kind, std::uintptr_t address) const {
    const auto all = sections();
    for (const ElfW(Shdr) & table : all) {
      if (table.sh_type != kind || table.sh_link >= all.size()) continue;
      const auto texts = read<char>(all[table.sh_link].sh_offset, all[table.sh_link].sh_size);
      for (const ElfW(Sym) & one :
           read<ElfW(Sym)>(table.sh_offset, table.sh_size / sizeof(ElfW(Sym)))) {
        if ((one.st_info & 0xF) != STT_FUNC || address < one.st_value) continue;
        if (address - one.st_value >= one.st_size || one.st_name >= texts.size()) continue;
        const auto rest = texts.subspan(one.st_name);
        return found{{rest.data(), ::strnlen(rest.data(), rest.size())}, address - one.st_value};
      }
    }
    return std::nullopt;
  }

  const char* at_ = nullptr;
  std::size_t size_ = 0;
};

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
}

std::string demangled(std::string_view symbol) {
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(std::string(symbol).c_str(), nullptr, nullptr, nullptr), &std::free);
  std::string name = text ? std::string(text.get()) : std::string(symbol);
  replace_all(name, "__cxx11::", "");
  replace_all(name, "std::basic_string<char, std::char_traits<char>, std::allocator<char> >",
              "std::string");
  if (name.size() > name_max) name = name.substr(0, name_max) + "...";
  return name;
}

/// "liborders.so+0x1a2b [1f3a09bc]" in its parts.
struct frame {
  std::string_view module, where, build;  // where: with the module
  std::uintptr_t address = 0;
};

std::optional<frame> parsed(std::string_view line) {
  const std::size_t plus = line.rfind("+0x");
  const std::size_t id = line.rfind(" [");
  if (plus == std::string_view::npos || id == std::string_view::npos || id < plus ||
      !line.ends_with(']'))
    return std::nullopt;
  frame out{line.substr(0, plus), line.substr(0, id), line.substr(id + 2)};
  out.build.remove_suffix(1);
  const char* end = line.data() + id;
  if (std::from_chars(line.data() + plus + 3, end, out.address, 16).ptr != end) return std::nullopt;
  return out;
}

int add_path(dl_phdr_info* about, std::size_t, void* to) {
  const std::string path = about->dlpi_name;
  auto& paths = *static_cast<std::map<std::string, std::string, std::less<>>*>(to);
  const box_file::module_name made = box_file::name_of(*about);
  paths.try_emplace(fmt::format("{} {}", made.name.data(), made.build.data()),
                    path.empty() ? "/proc/self/exe" : path);
  return 0;
}

class namer {
 public:
  namer() { dl_iterate_phdr(add_path, &paths_); }

  std::string name(std::string_view line, bool innermost) {
    const std::optional<frame> one = parsed(line);
    if (!one) return std::string(line);
    const auto path = paths_.find(fmt::format("{} {}", one->module, one->build));
    if (path == paths_.end()) return std::string(line);
    auto& file = files_[path->second];
    if (!file) file = std::make_unique<symbol_file>(path->second);
    // All but the innermost are where a call comes back to, which may be behind the function's end.
    const std::uintptr_t back = innermost ? 0 : 1;
    const auto found = file->function_at(one->address - back);
    if (!found) return std::string(line);
    return fmt::format("{}+{:#x} ({})", demangled(found->name), found->offset + back, one->where);
  }

 private:
  std::map<std::string, std::string, std::less<>> paths_;  // by "name build"
  std::map<std::string, std::unique_ptr<symbol_file>> files_;
};

}  // namespace

std::string named_frames(std::string_view backtrace) {
  std::string text;
  std::optional<namer> names;
  std::size_t frames = 0;
  while (!backtrace.empty()) {
    const std::size_t end = std::min(backtrace.find('\n'), backtrace.size());
    const std::string_view line = backtrace.substr(0, end);
    backtrace.remove_prefix(std::min(end + 1, backtrace.size()));
    const bool is_frame = line.find("+0x") != std::string_view::npos || line.starts_with("0x");
    if (is_frame && ++frames > frames_max) continue;
    if (!names) names.emplace();
    text += is_frame ? names->name(line, frames == 1) : std::string(line);
    text += '\n';
  }
  if (frames > frames_max) text += fmt::format("and {} more\n", frames - frames_max);
  return text;
}

}  // namespace fermata::runtime
