// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

struct dl_phdr_info;

/// Backtraces that a signal handler can make: addresses relative to the file they are in, so that
/// they can be read without the process: `llvm-symbolizer --obj=liborders.so 0x1a2b`.
namespace fermata::runtime::box_file {

/// How a backtrace calls a loaded file. NUL at the ends.
struct module_name {
  std::array<char, 48> name{};  // without its folder; "program"
  std::array<char, 9> build{};  // how its build id begins; empty: it has none

  bool operator==(const module_name&) const = default;
};
module_name name_of(const dl_phdr_info& object);

struct module_segment : module_name {
  std::uintptr_t from = 0, to = 0;  // of a piece of code in memory
  std::uintptr_t base = 0;          // where the file's address 0 is

  bool operator==(const module_segment&) const = default;
};
using module_table = std::vector<module_segment>;

/// Takes the loader's lock: not for signal handlers.
module_table loaded_modules();

/// Writes "fault at address 0x10" and a line's end. Answers how many bytes. Async-signal-safe.
std::size_t note_fault(std::span<char> to, const void* address) noexcept;

/// Writes the calling thread's frames, from the one interrupted at `pc` on; all of them when it
/// isn't among them. Answers how many bytes. Async-signal-safe once `backtrace` was called before.
std::size_t trace(std::span<char> to, const void* pc, const module_table* known) noexcept;

}  // namespace fermata::runtime::box_file
