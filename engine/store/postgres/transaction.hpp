// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/clock.hpp"
#include "engine/store/postgres/connection.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace fermata::engine::postgres {

/// Something that is there if a transaction was committed, and else isn't: any one tells of all.
struct proof {
  enum class kind { none, event, start, message, owner } what = kind::none;
  run_id run;  // of an event, a start, an owner; the chain of a message
  position_t position = 0;
  chain_hash hash{};
  message_id message;
  std::int64_t owner = 0;  // after it
  epoch_t epoch = 0;

  /// Where it isn't found, it never was. An owner may be another's by now.
  bool lasts() const noexcept { return what != kind::none && what != kind::owner; }
};

/// One transaction: BEGIN goes with the first round trip, COMMIT with the last.
/// Threads: one.
class transaction {
 public:
  transaction(connection& on, database_clock& clock);

  void send(const char* sql, params&& given = params());
  /// The answers to what was sent since the last time.
  std::vector<rows> finish();
  rows run(const char* sql, params&& given = params());
  /// Sends COMMIT with what is queued; answers what `finish` would.
  std::vector<rows> commit();
  /// Nothing is worth keeping: instead of a commit, which would be synced, it is rolled back.
  void forget() noexcept { forgotten_ = true; }

  connection& db() noexcept { return db_; }
  /// Who it was begun at; the connection may be gone.
  const identity& server() const noexcept { return server_; }
  /// The server's time at the first round trip; 0 before it.
  time_us now() const noexcept { return now_; }
  /// Its number; 0 before the first round trip.
  std::uint64_t id() const noexcept { return id_; }
  bool commit_was_sent() const noexcept { return commit_sent_; }
  bool over() const noexcept { return over_; }

  postgres::proof proof;

 private:
  void begin();

  connection& db_;  // gone when it broke: `settled` doesn't look at it
  const identity server_;
  database_clock& clock_;
  std::int64_t asked_ = 0;
  time_us now_ = 0;
  std::uint64_t id_ = 0;
  bool begun_ = false;
  bool greeted_ = false;  // the answers to BEGIN were read
  bool commit_sent_ = false;
  bool over_ = false;
  bool forgotten_ = false;
};

}  // namespace fermata::engine::postgres
