// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/transaction.hpp"

#include "engine/failpoint.hpp"

#include <utility>

namespace fermata::engine::postgres {

namespace {

// Whatever the role's or the database's default is: what is read after a lock must be new.
constexpr const char* begin_sql = "BEGIN ISOLATION LEVEL READ COMMITTED";
constexpr const char* who_sql =
    "SELECT pg_current_xact_id(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
constexpr const char* who_and_settings_sql =
    "SELECT pg_current_xact_id(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8, "
    "set_config('synchronous_commit', 'on', true), set_config('enable_seqscan', 'off', true), "
    "set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), "
    "set_config('jit', 'off', true), set_config('idle_in_transaction_session_timeout', '10s', "
    "true)";
constexpr const char* commit_sql = "COMMIT";
constexpr const char* roll_back_sql = "ROLLBACK";

}  // namespace

transaction::transaction(connection& on, database_clock& clock)
    : db_(on), server_(on.server()), clock_(clock) {}

void transaction::begin() {
  if (std::exchange(begun_, true)) return;
  asked_ = clock_.boot_now();
  db_.send(begin_sql);
  db_.send(db_.durable() ? who_sql : who_and_settings_sql);
}

void transaction::send(const char* sql, params&& given) {
  begin();
  db_.send(sql, std::move(given));
}

std::vector<rows> transaction::finish() {
  begin();
  std::vector<rows> answers = db_.finish();
  if (std::exchange(greeted_, true)) return answers;
  rows& who = answers[1];
  who.next();
  id_ = static_cast<std::uint64_t>(who.integer(0));
  now_ = who.integer(1);
  clock_.learn(now_, asked_, clock_.boot_now());
  answers.erase(answers.begin(), answers.begin() + 2);
  return answers;
}

rows transaction::run(const char* sql, params&& given) {
  send(sql, std::move(given));
  return std::move(finish().back());
}

std::vector<rows> transaction::commit() {
  if (over_ || !begun_) return {};
  if (forgotten_) {
    run(roll_back_sql);
    over_ = true;
    return {};
  }
  if (failpoint("postgres.before_commit"))
    fail(absl::StatusCode::kUnavailable, "FER-2105", "a failpoint keeps this commit away",
         failure::lost);
  db_.send(commit_sql);
  commit_sent_ = true;
  std::vector<rows> answers = finish();
  if (failpoint("postgres.after_commit"))
    fail(absl::StatusCode::kUnavailable, "FER-2105", "a failpoint lost the answer to a commit",
         failure::lost);
  over_ = true;
  answers.pop_back();
  return answers;
}

}  // namespace fermata::engine::postgres
