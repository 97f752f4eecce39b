// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// A disk in memory that knows what it has for good, and what it was only told.
namespace fermata::attack::power {

/// Chance from a seed: splitmix64 (Vigna).
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// What a disk is told. Recorded, it can be told to another disk, up to any of them.
struct operation {
  enum class kind : std::uint8_t {
    create,       // `name` is made: an empty file
    remove,       // `name` goes
    write,        // `bytes` at `at`
    truncate,     // to `at`
    sync,         // the file
    sync_failed,  // of what was unsynced nobody knows any more whether it is there
    sync_folder   // the names
  } what = kind::sync;
  std::string name;
  std::int64_t at = 0;
  std::string bytes;
  std::uint64_t chance = 0;  // of sync_failed: which of it
};

/// How a disk loses its power. Bytes beside a torn write stay what they were, which SQLite assumes of
/// every disk (SQLITE_IOCAP_POWERSAFE_OVERWRITE).
struct cut_rules {
  bool tear = true;              // one write may be there in part
  std::uint64_t kept_of_16 = 8;  // so many of sixteen unsynced writes are there
};

/// Files as programs see them, and as they are when the power comes back. After a cut each unsynced
/// write is there or not, whatever the order; a file's length may have grown without its bytes; a
/// name that was made or removed may be so or not.
class disk {
 public:
  struct file {
    std::string now;                 // what programs read
    std::string durable;             // what a sync has promised
    std::vector<operation> pending;  // writes and truncations since
  };

  void apply(const operation& what);
  /// The same with nothing unsynced: some of it is there. What is torn, and where, is chance.
  disk cut(dice& chance, const cut_rules& rules) const;

  bool has(const std::string& name) const { return names_.contains(name); }
  const std::string& read(const std::string& name) const;
  std::size_t unsynced() const;
  std::size_t bytes() const;

 private:
  using names = std::map<std::string, int>;

  void sync(file& which);
  void sync_failed(file& which, std::uint64_t chance);
  static names cut_names(const disk& of, dice& chance, const cut_rules& rules);

  names names_;
  names durable_names_;
  std::vector<operation> pending_names_;
  std::vector<int> pending_numbers_;  // the file that each of them means
  std::map<int, file> files_;
  int made_ = 0;
};

}  // namespace fermata::attack::power
