// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "src/postgres_connection.hpp"

#include <fermata/postgres.hpp>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fermata::detail {

/// How long one attempt goes on trying.
class patience {
 public:
  explicit patience(duration how_long);
  bool over() const;
  duration left() const;
  /// Waits a little, longer each time.
  void pause();

 private:
  std::int64_t until_us_;
  int pause_ms_ = 5;
};

/// Connections to one database, made when they are needed and kept.
/// Threads: any.
class postgres_pool {
 public:
  /// Throws: `error` FER-3001 for an address that can't be one.
  postgres_pool(std::string address, int connections);

  /// A connection, for a scope. It goes back only if `keep` was called.
  class lease {
   public:
    lease(postgres_pool& of, std::unique_ptr<postgres_connection> what)
        : of_(of), what_(std::move(what)) {}
    ~lease() { of_.give_back(kept_ ? std::move(what_) : nullptr); }
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;

    postgres_connection& operator*() const noexcept { return *what_; }
    postgres_connection* operator->() const noexcept { return what_.get(); }
    void keep() noexcept { kept_ = true; }

   private:
    postgres_pool& of_;
    std::unique_ptr<postgres_connection> what_;
    bool kept_ = false;
  };

  /// Throws: postgres_failure when there is no server; `error` FER-1405 when none gets free.
  lease take(const patience& waiting);
  /// Those that aren't used; a server that was restarted has closed them all.
  void close_idle();

  /// "the Postgres database films of db.example.org"
  const std::string& name() const noexcept { return name_; }

 private:
  friend class lease;
  std::unique_ptr<postgres_connection> wait_for_one(const patience& waiting);
  void give_back(std::unique_ptr<postgres_connection> used) noexcept;

  // Set once.
  const std::string address_;
  const int connections_;
  std::string name_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable one_is_free_;
  std::vector<std::unique_ptr<postgres_connection>> idle_;
  int used_ = 0;
};

}  // namespace fermata::detail
