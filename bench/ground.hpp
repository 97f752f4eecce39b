// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/bare_rows.hpp"
#include "bench/raw_commits.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::bench {

struct settings;

/// What has been written so far; empty is what the store can't tell.
struct written {
  std::int64_t commits = 0;  // transactions that wrote, of all processes
  std::optional<double> wal_bytes;
  std::optional<double> server_cpu_s;  // of the database's own processes, on this machine
};

/// Where one measurement's journal lies, and what the same store gives without an engine. What lies
/// there is removed before and after.
/// Lifetime: longer than whatever has the journal open.
class ground {
 public:
  virtual ~ground() = default;
  ground() = default;
  ground(const ground&) = delete;

  /// As `fermata::open` takes it.
  virtual std::string address() const = 0;
  virtual written so_far() = 0;
  /// The first column of the first row of what the journal's tables answer.
  virtual std::int64_t number(const std::string& sql) = 0;
  /// Runs of the journal that have completed.
  std::int64_t completed() { return number("SELECT count(*) FROM runs WHERE state = 3"); }
  /// What the journal takes where it is stored.
  virtual double stored_bytes() = 0;

  /// A table of its own, apart from the journal.
  virtual std::unique_ptr<raw_commits> commits() = 0;
  /// Workflows of so many events (ten steps: 12) per second by bare rows, the best way known.
  virtual double workflows(int in_flight, double seconds, int events = 12) = 0;
  /// In tables of their own.
  virtual std::unique_ptr<bare_rows> bare(int runs, std::size_t payload_bytes) = 0;

  /// What the store itself would do within a minute or so: on Postgres autovacuum's ANALYZE.
  virtual void learn_statistics() {}

  class held {
   public:
    virtual ~held() = default;
  };
  /// A transaction that has read the journal's tables and goes on seeing them so. Empty: this store
  /// has nothing that would be kept for it.
  virtual std::unique_ptr<held> hold_snapshot() { return nullptr; }
};

/// `name`: of the measurement, a-z and 0-9.
std::unique_ptr<ground> make_ground(const settings& how, std::string_view name);
std::unique_ptr<ground> make_sqlite_ground(const std::string& folder, std::string_view name);
std::unique_ptr<ground> make_postgres_ground(const std::string& address, std::string_view name);

/// Removes what a SQLite journal of that name left.
void remove_journal(const std::string& path);

}  // namespace fermata::bench
