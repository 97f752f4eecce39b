// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/power/disk.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::attack::power {

/// What SQLite asks of the machine that it runs on.
enum class request : std::uint8_t {
  memory,
  open,
  read,
  write,
  sync,
  truncate,
  remove,
  size,
  lock,
  shm_map,
  shm_lock
};
constexpr std::size_t request_kinds = 11;
std::string_view text_of(request what);

/// The n-th request of a kind fails, once or for as long as the fault isn't over.
struct fault {
  request what = request::read;
  std::uint64_t nth = 1;
  int code = 0;  // SQLite's; of memory and size none is asked for
  bool lasting = false;
};

/// Where SQLite runs: a disk, memory that processes share, locks, and what fails of it. While one
/// exists it is SQLite's only file system: the journal in memory has the names it would have on disk.
/// Threads: one. At most one exists.
class machine {
 public:
  explicit machine(disk begins = {}, std::uint64_t seed = 1);
  ~machine();
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  disk files;
  std::vector<operation> log;  // what the disk was told, since the machine began
  bool keeps_log = false;

  /// From now on requests are counted, and this one fails.
  void arm(const fault& what);
  void disarm() { fault_.reset(); }
  /// Nothing is counted and nothing fails while one of these lives: for who looks on.
  class truce;
  /// How often the fault has struck.
  std::uint64_t struck() const { return struck_; }
  std::uint64_t asked(request what) const { return asked_[static_cast<std::size_t>(what)]; }

  /// For the file system's methods: SQLite's code of the failure, or 0.
  int ask(request what);
  void tell(operation what);
  dice& chance() { return chance_; }

 private:
  std::optional<fault> fault_;
  bool truce_ = false;
  std::uint64_t struck_ = 0;
  std::array<std::uint64_t, request_kinds> asked_{};
  dice chance_;
};

class machine::truce {
 public:
  explicit truce(machine& on) : on_(on) { on_.truce_ = true; }
  ~truce() { on_.truce_ = false; }
  truce(const truce&) = delete;
  truce& operator=(const truce&) = delete;

 private:
  machine& on_;
};

/// The machine that there is; null: none.
machine* this_machine();

/// Makes our file system SQLite's default one. Before SQLite is used first, once per process.
void take_over_sqlite();
/// … and before that: its memory can fail.
void take_over_memory();

}  // namespace fermata::attack::power
