// SPDX-License-Identifier: Apache-2.0
// Transactional steps on a Postgres database of the user's own.
#include "src/postgres_connection.hpp"
#include "src/postgres_pool.hpp"

#include <fermata/error.hpp>
#include <fermata/postgres.hpp>

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace fermata {

namespace {

using detail::patience;
using detail::pg_bytea;
using detail::pg_text;
using detail::postgres_connection;
using detail::postgres_failure;
using detail::postgres_pool;
using detail::postgres_rows;
using connection_state = postgres_connection::state;

constexpr const char* make_table =
    "CREATE TABLE fermata_receipts(origin text NOT NULL, operation text NOT NULL, "
    "outcome bytea NOT NULL, PRIMARY KEY (origin, operation))";
// Its full name: a body may set another search_path.
constexpr const char* find_table =
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.oid = pg_catalog.to_regclass('fermata_receipts')";
// The mark is gone when the transaction is, whatever a body begins instead.
constexpr const char* begin = "BEGIN READ WRITE; SET LOCAL fermata.transaction = 'open'";
constexpr const char* begin_asking = "BEGIN READ WRITE; SET LOCAL lock_timeout = '1s'";
// After the body, whose settings these must not be. The wait is for an attempt that overlaps and is
// just committing.
constexpr const char* add_receipt =
    "INSERT INTO {}(origin, operation, outcome) SELECT $1, $2, $3 FROM (SELECT "
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') = "
    "'remote_apply' THEN 'remote_apply' ELSE 'on' END, true), "
    "set_config('lock_timeout', '10s', true)) AS made_sure "
    "WHERE current_setting('fermata.transaction', true) = 'open' "
    "RETURNING pg_backend_pid()::text, pg_current_xact_id()::text";
constexpr const char* end_backend =
    "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity "
    "WHERE pid::text = $1 AND backend_xid = ($2::xid8)::xid";

/// A step may lose this many connections before its attempt fails; the next one has its own.
constexpr int losses_max = 4;

/// What one attempt is about.
struct receipt_key {
  std::string origin, operation;
  auto operator<=>(const receipt_key&) const = default;
};

/// A transaction that may have been committed when its connection broke.
struct doubt {
  std::string backend, transaction;
};

/// The databases whose transactions this thread is in.
thread_local std::vector<const void*> inside;

class postgres_server final : public transactor<pg_conn> {
 public:
  postgres_server(std::string address, const postgres_options& options)
      : pool_(std::move(address), options.connections), patience_(options.patience) {}

  std::string commit(std::string_view origin, std::string_view operation,
                     const std::function<std::string(pg_conn&)>& body) override {
    if (std::ranges::find(inside, this) != inside.end())
      throw error(codes::worker_misuse, "a transaction of " + pool_.name() +
                                            " can't begin inside another one: the step must use "
                                            "the handle that it was given");
    inside.push_back(this);
    const struct ending {
      ~ending() { inside.pop_back(); }
    } at_the_end;
    const receipt_key key{std::string(origin), std::string(operation)};
    patience waiting(patience_);
    for (int losses = 0;;) {
      bool ran = false;
      try {
        return attempt(key, body, waiting, ran);
      } catch (const postgres_failure& why) {
        if (why.lost) pool_.close_idle();
        losses += why.lost && ran ? 1 : 0;
        const bool again = why.conflict() || (why.lost && !why.refused && losses < losses_max);
        if (!again || waiting.over()) raise(why, key);
      }
      waiting.pause();
    }
  }

 private:
  std::string attempt(const receipt_key& key, const std::function<std::string(pg_conn&)>& body,
                      patience& waiting, bool& ran) {
    postgres_pool::lease on = pool_.take(waiting);
    const std::string table = table_of(*on);
    settle(*on, table, key, waiting);
    std::optional<std::string> outcome = outcome_of(*on, table, key);
    if (outcome) {
      on.keep();
      return *std::move(outcome);
    }
    on->execute(begin);
    on->forget_error();
    ran = true;
    try {
      outcome = body(*on->handle());
      check_still_open(*on);
    } catch (const cancelled&) {
      throw;
    } catch (const std::exception& why) {
      end_after(on, why.what());
      throw;
    } catch (...) {
      end_after(on, "an exception that isn't a std::exception");
      throw;
    }
    try {
      std::optional<std::string> theirs = keep_receipt(*on, table, key, *outcome);
      on.keep();
      return theirs ? *std::move(theirs) : *std::move(outcome);
    } catch (const postgres_failure&) {
      if (on->roll_back()) on.keep();
      throw;
    }
  }

  /// The body threw. It needn't know that the database was the reason, and that the same may go well
  /// next time: then this throws postgres_failure.
  static void end_after(postgres_pool::lease& on, std::string_view thrown) {
    const connection_state was = on->now();
    if (was == connection_state::gone) {
      postgres_failure why = on->failure("within the step");
      why.said += fmt::format("; it said: {}", thrown);
      throw postgres_failure(std::move(why));
    }
    postgres_failure conflict{.sqlstate = on->last_error(), .said = std::string(thrown)};
    if (on->roll_back()) on.keep();
    if (was == connection_state::failed && conflict.conflict())
      throw postgres_failure(std::move(conflict));
  }

  void check_still_open(const postgres_connection& on) const {
    switch (on.now()) {
      case connection_state::open:
        return;
      case connection_state::idle:
        ended_itself();
      case connection_state::failed:
        throw error(codes::worker_misuse,
                    fmt::format("the step went on after a statement in {} had failed (SQLSTATE "
                                "{}): its transaction can't be committed any more, so it must "
                                "throw, or use a savepoint",
                                pool_.name(), on.last_error()));
      case connection_state::busy:
        throw error(codes::worker_misuse,
                    "the step left a statement of " + pool_.name() +
                        " running: it must read all results, and leave COPY, pipeline and "
                        "non-blocking mode before it returns");
      case connection_state::gone:
        return;  // whoever uses it next says so
    }
  }

  [[noreturn]] void ended_itself() const {
    throw error(codes::worker_misuse,
                "the step ended its transaction of " + pool_.name() +
                    " itself: its effects and its outcome must be one transaction, so it must "
                    "leave COMMIT and ROLLBACK to the worker");
  }

  /// Commits. The outcome of an attempt that overlapped with this one and won, if there was one.
  std::optional<std::string> keep_receipt(postgres_connection& on, const std::string& table,
                                          const receipt_key& key, std::string_view outcome) {
    doubt may_be;
    try {
      const postgres_rows added =
          on.ask(fmt::format(fmt::runtime(add_receipt), table),
                 {pg_text(key.origin), pg_text(key.operation), pg_bytea(outcome)});
      if (added.count() == 0) ended_itself();
      may_be = {added.bytes(0, 0), added.bytes(0, 1)};
    } catch (const postgres_failure& why) {
      if (!why.is(detail::sqlstates::unique_violation) || !on.roll_back()) throw;
      std::optional<std::string> theirs = outcome_of(on, table, key);
      if (!theirs) throw;  // removed meanwhile, which nobody may do
      return theirs;
    }
    try {
      on.commit();
    } catch (const postgres_failure& why) {
      if (why.lost) {
        const std::lock_guard lock(mutex_);
        doubts_.insert_or_assign(key, may_be);
      }
      throw;
    }
    return std::nullopt;
  }

  /// Returns when it is known whether a transaction in doubt was committed. Its receipt's key is
  /// taken until it ends: who can insert the key knows that it was rolled back. One whose client is
  /// gone without the server noticing is ended.
  void settle(postgres_connection& on, const std::string& table, const receipt_key& key,
              patience& waiting) {
    const std::optional<doubt> open = doubt_about(key);
    if (!open) return;
    for (;;) {
      try {
        on.execute(begin_asking);
        on.ask(fmt::format("INSERT INTO {}(origin, operation, outcome) VALUES ($1, $2, '')", table),
               {pg_text(key.origin), pg_text(key.operation)});
        on.roll_back();
        break;
      } catch (const postgres_failure& why) {
        on.roll_back();
        if (why.is(detail::sqlstates::unique_violation)) break;
        if (!why.is(detail::sqlstates::lock_timeout) || waiting.over()) throw;
        on.ask(end_backend, {pg_text(open->backend), pg_text(open->transaction)});
      }
    }
    const std::lock_guard lock(mutex_);
    doubts_.erase(key);
  }

  std::optional<doubt> doubt_about(const receipt_key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = doubts_.find(key);
    return found == doubts_.end() ? std::nullopt : std::optional(found->second);
  }

  static std::optional<std::string> outcome_of(postgres_connection& in, const std::string& table,
                                               const receipt_key& key) {
    const postgres_rows found =
        in.ask(fmt::format("SELECT outcome FROM {} WHERE origin = $1 AND operation = $2", table),
               {pg_text(key.origin), pg_text(key.operation)});
    return found.count() > 0 ? std::optional(found.bytes(0, 0)) : std::nullopt;
  }

  std::string table_of(postgres_connection& in) {
    {
      const std::lock_guard lock(mutex_);
      if (!table_.empty()) return table_;
    }
    postgres_rows found = in.ask(find_table, {});
    if (found.count() == 0) found = make_receipts(in);
    const std::lock_guard lock(mutex_);
    return table_ = found.count() > 0 ? found.bytes(0, 0) : "fermata_receipts";
  }

  postgres_rows make_receipts(postgres_connection& in) {
    try {
      in.execute(make_table);
      return in.ask(find_table, {});
    } catch (const postgres_failure& why) {
      if (why.is(detail::sqlstates::no_permission))
        throw error(
            codes::worker_misuse,
            fmt::format("{} has no table fermata_receipts, and this role can't make it: {}; "
                        "let its owner run once: {}; GRANT SELECT, INSERT ON "
                        "fermata_receipts TO the role",
                        pool_.name(), why.said, make_table));
      if (why.lost) throw;
      // Two at once: the slower one is told in one of several ways.
      postgres_rows found = in.ask(find_table, {});
      if (found.count() == 0) throw;
      return found;
    }
  }

  [[noreturn]] void raise(const postgres_failure& why, const receipt_key& key) {
    if (why.is(detail::sqlstates::no_table)) {
      const std::lock_guard lock(mutex_);
      table_.clear();  // it was dropped: the next attempt makes it again
    }
    if (why.is(detail::sqlstates::lock_timeout))
      throw error(
          codes::locked_too_long,
          fmt::format("{}: a lock isn't let go, mostly by another attempt of this step that "
                      "doesn't end: {}; end its connection, and the step is tried again",
                      pool_.name(), why.said));
    if (why.is(detail::sqlstates::no_permission))
      throw error(codes::worker_misuse,
                  fmt::format("{}: {}; GRANT SELECT, INSERT ON fermata_receipts TO the role",
                              pool_.name(), why.said));
    const char* kept = "nothing of the step was kept";
    if (why.conflict()) kept = "it was tried again for some time, and nothing of it was kept";
    if (doubt_about(key)) kept = "it isn't known yet whether the step was committed";
    throw error(codes::input_output, fmt::format("{}: {}; {}", pool_.name(), why.said, kept));
  }

  postgres_pool pool_;

  // Set once.
  const duration patience_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::string table_;  // its full name, once it was seen
  std::map<receipt_key, doubt> doubts_;
};

}  // namespace

std::unique_ptr<transactor<pg_conn>> postgres_database(std::string address,
                                                       postgres_options options) {
  return std::make_unique<postgres_server>(std::move(address), options);
}

}  // namespace fermata
