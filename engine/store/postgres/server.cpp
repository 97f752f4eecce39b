// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/server.hpp"

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/postgres/state_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace fermata::engine::postgres {

namespace {

constexpr std::int64_t first_pause_us = 20'000;
constexpr std::int64_t longest_pause_us = 1'000'000;
constexpr int conflicts_max = 20;
constexpr std::size_t idle_max = 8;

constexpr interner::statements names_sql{
    "INSERT INTO fermata.names(text) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
    "SELECT text, id FROM fermata.names WHERE text = ANY($1::text[])",
    "SELECT text FROM fermata.names WHERE id = $1::int8"};
constexpr interner::statements spaces_sql{
    "INSERT INTO fermata.namespaces(text) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
    "SELECT text, id FROM fermata.namespaces WHERE text = ANY($1::text[])",
    "SELECT text FROM fermata.namespaces WHERE id = $1::int8"};

/// Waiting is real, whatever time a test has made.
std::int64_t steady_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             // tidy: waiting is real, whatever time a test has made
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Half of it to all of it, so that a fleet doesn't come back in step.
std::int64_t jittered(std::int64_t us) {
  thread_local std::uint64_t state = static_cast<std::uint64_t>(steady_now()) | 1;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return us / 2 + static_cast<std::int64_t>(state % static_cast<std::uint64_t>(us / 2 + 1));
}

bool time_is_virtual(engine::clock* given) {
  return given != nullptr && dynamic_cast<real_clock*>(given) == nullptr;
}

void pause(std::int64_t us) {
  // tidy: a database that is away isn't there sooner in a test
  std::this_thread::sleep_for(std::chrono::microseconds(jittered(us)));
}

// What isn't our own role's to see is NULL.
constexpr const char* holders_sql =
    "SELECT string_agg(format('process %s (%s%s%s)', b.pid, "
    "  coalesce(nullif(a.application_name, ''), 'no name'), ' of ' || a.usename, "
    "  ', ' || a.state || ' since ' || date_trunc('second', clock_timestamp() - a.xact_start)), ', "
    "') "
    "FROM unnest(pg_blocking_pids($1::int8::int4)) AS b(pid) LEFT JOIN pg_stat_activity a USING "
    "(pid)";

}  // namespace

server::attempts::attempts(const server& of) : until_(steady_now() + of.patience_us_) {}

bool server::attempts::worth_another(const server_failure& why) {
  if (why.how == failure::refused || why.how == failure::full) return false;
  if (why.how == failure::again) {
    if (++conflicts_ > conflicts_max) return false;
    pause(std::min<std::int64_t>(longest_pause_us, 1'000L << std::min(conflicts_, 7)));
    return true;
  }
  if (steady_now() >= until_) return false;
  pause(std::min(longest_pause_us, first_pause_us << std::min(losses_++, 6)));
  return true;
}

server::server(address where, const open_options& options, warn say)
    : where(std::move(where)),
      time(options.time ? options.time : std::make_shared<real_clock>()),
      chance(options.chance ? options.chance : std::make_shared<real_random>()),
      clock(*time, time_is_virtual(options.time.get())),
      names(names_sql),
      spaces(spaces_sql),
      say(std::move(say)),
      patience_us_(bound("database_patience_ms", options.patience_ms) * 1'000),
      read_only_(options.read_only) {}

server::~server() = default;

void server::check_may_write() const {
  if (read_only_)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2104",
         where.text + " was opened for reading only", failure::refused);
}

identity server::known() const {
  const std::lock_guard guard(mutex_);
  return known_.value_or(identity{});
}

bool server::leases_count() {
  const std::lock_guard guard(mutex_);
  return steady_now() >= distrust_until_;
}

std::int64_t server::next_mark(time_us now) {
  std::int64_t last = last_mark_.load();
  std::int64_t next = 0;
  do {
    next = std::max(now, last + 1);
  } while (!last_mark_.compare_exchange_weak(last, next));
  return next;
}

/// This process has seen none before. What others of this host have seen tells whether it is the old primary,
/// which is back.
void server::meet_first(const identity& who) {
  if (who.in_recovery) return;
  const seen_timeline seen = timeline_seen(where, who);
  if (who.timeline < seen.timeline) {
    const std::string sentence = fmt::format(
        "{} was the primary before another was promoted (timeline {}; this host has seen {}): "
        "nothing is written there. If it was restored from a backup, and is what should be worked "
        "on, remove {}",
        where.text, who.timeline, seen.timeline, seen.file);
    if (!read_only_) fail(absl::StatusCode::kUnavailable, "FER-2105", sentence, failure::lost);
    if (say) say(sentence);
    return;
  }
  if (!read_only_) remember_timeline(where, who);
}

/// Who answers here may be another than the last time. Its generation; throws when it isn't to be written to.
std::uint64_t server::meet(const identity& who) {
  if (!read_only_ && (who.in_recovery || who.read_only))
    fail(absl::StatusCode::kUnavailable, "FER-2105",
         fmt::format("{} is {}: nothing can be written there; waiting for the primary", where.text,
                     who.in_recovery ? "a replica" : "read-only"),
         failure::lost);
  const std::lock_guard guard(mutex_);
  if (!known_) {
    meet_first(who);
    known_ = who;
    return generation_;
  }
  if (*known_ == who) {
    known_ = who;
    return generation_;
  }
  if (known_->system != who.system || known_->database != who.database)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2108",
         fmt::format("at {} another database answers than before; restart what should work on it",
                     where.text));
  // Timelines are hexadecimal, of one length.
  if (!who.in_recovery && who.timeline < known_->timeline)
    fail(absl::StatusCode::kUnavailable, "FER-2105",
         fmt::format("{} was the primary before another was promoted (timeline {} after {}): "
                     "nothing is written there",
                     where.text, who.timeline, known_->timeline),
         failure::lost);
  known_ = who;
  if (!read_only_) remember_timeline(where, who);
  ++generation_;
  ++lineage_;
  idle_.clear();
  // What it hasn't got it may give to others: a number that was a name of ours is another's.
  names.forget(who.timeline);
  spaces.forget(who.timeline);
  distrust_until_ = steady_now() + limits::lease_ms * 1'000;
  if (say)
    say(fmt::format(
        "{}: a promoted server answers (timeline {}); leases are believed again in {} s",
        where.text, who.timeline, limits::lease_ms / 1'000));
  return generation_;
}

std::unique_ptr<connection> server::connect() { return connect_and_meet().first; }

std::pair<std::unique_ptr<connection>, std::uint64_t> server::connect_and_meet() {
  const std::lock_guard one_at_a_time(connecting_);
  auto made = std::make_unique<connection>(where, first_host_);
  made->on_long_wait([this](int process) { say_who_holds(process); });
  try {
    const std::uint64_t generation = meet(made->server());
    return {std::move(made), generation};
  } catch (const server_failure& why) {
    ++first_host_;  // libpq is content with the first that answers: next time with another
    note_away(why);
    throw;
  }
}

/// Said once, whoever finds it first, until somebody gets through.
void server::note_away(const server_failure& why) {
  if (why.how != failure::lost) return;
  const std::lock_guard guard(mutex_);
  std::int64_t before = 0;
  if (away_since_.compare_exchange_strong(before, steady_now()) && say)
    say(std::string(why.status.message()));
  idle_.clear();
}

/// A process of ours at the server waits: for whom, where it is a transaction of others.
void server::say_who_holds(int process) {
  if (!say) return;
  try {
    rows holders =
        read_beside([&](connection& db) { return db.run(holders_sql, params(process)); });
    if (holders.next() && !holders.null(0))
      say(fmt::format("{}: a commit waits for transactions of others: {}; it goes on when they end",
                      where.text, holders.text(0)));
  } catch (const server_failure&) {
    // Whoever waits will say what is wrong.
  }
}

server::lease server::take(attempts& again) {
  for (;;) {
    {
      const std::lock_guard guard(mutex_);
      while (!idle_.empty()) {
        auto held = std::move(idle_.back());
        idle_.pop_back();
        if (held->alive()) return {*this, std::move(held), generation_};
      }
    }
    try {
      auto [made, generation] = connect_and_meet();
      const std::lock_guard guard(mutex_);
      if (away_since_.exchange(0) != 0 && say) say(fmt::format("{} is there again", where.text));
      return {*this, std::move(made), generation};
    } catch (const server_failure& why) {
      note_away(why);
      if (!again.worth_another(why)) throw;
    }
  }
}

void server::give_back(std::unique_ptr<connection> back, std::uint64_t generation) {
  const std::lock_guard guard(mutex_);
  if (!back->alive() || back->in_transaction() || generation != generation_) return;
  if (idle_.size() < idle_max) idle_.push_back(std::move(back));
}

// ---- settling ----

namespace {

constexpr const char* status_sql = "SELECT pg_xact_status($1::int8::text::xid8)";
constexpr const char* event_sql =
    "SELECT 1 FROM fermata.events WHERE run = $1 AND position = $2 AND chain = $3";
constexpr const char* start_sql =
    "SELECT 1 FROM fermata.runs WHERE run = $1 "
    "UNION ALL SELECT 1 FROM fermata.start_requests WHERE run = $1";
constexpr const char* message_sql =
    "SELECT 1 FROM fermata.inbox WHERE chain = $1 AND id = $2 "
    "UNION ALL SELECT 1 FROM fermata.ledger WHERE chain = $1 AND id = $2";
constexpr const char* owner_sql =
    "SELECT 1 FROM fermata.runs WHERE run = $1 AND owner = $2 AND epoch = $3";

bool is_there(connection& db, const proof& what) {
  switch (what.what) {
    case proof::kind::event: {
      const std::string_view hash(reinterpret_cast<const char*>(what.hash.data()),
                                  what.hash.size());
      return db.run(event_sql, std::move(params(what.run, what.position).add_bytes(hash)))
                 .count() != 0;
    }
    case proof::kind::start:
      return db.run(start_sql, params(what.run)).count() != 0;
    case proof::kind::message:
      return db.run(message_sql, params(what.run, what.message)).count() != 0;
    case proof::kind::owner:
      return db.run(owner_sql, params(what.run, what.owner, what.epoch)).count() != 0;
    case proof::kind::none:
      return false;
  }
  return false;
}

}  // namespace

bool server::settled(const transaction& what, const server_failure& why, attempts& again) {
  const bool ambiguous =
      what.commit_was_sent() && !what.over() && why.how == failure::lost && what.id() != 0;
  if (ambiguous && planted("postgres_ambiguous_commit_is_a_success")) return true;
  if (!ambiguous || planted("postgres_ambiguous_commit_is_a_failure")) {
    if (!again.worth_another(why)) throw why;
    return false;
  }
  // Its number may have gone to another transaction after a crash of the server: then it says that
  // something was committed, not what. So only "aborted" is believed without a proof.
  const identity then = what.server();
  for (;;) {
    if (!again.worth_another(why)) throw why;
    try {
      lease on = take(again);
      bool aborted = false;
      if (on->server() == then) {
        try {
          rows said = on->run(status_sql, params(static_cast<std::int64_t>(what.id())));
          said.next();
          if (said.text(0) == "in progress") continue;
          aborted = said.text(0) == "aborted";
        } catch (const server_failure& unknown) {
          if (unknown.how != failure::refused) throw;
          on.roll_back();
          aborted = true;  // no such number yet: it was lost in a crash
        }
      }
      if (!aborted && is_there(*on, what.proof)) return true;
      if (aborted || what.proof.lasts()) return false;
    } catch (const server_failure& lost_again) {
      if (lost_again.how != failure::lost) throw;
      continue;
    }
    throw why;
  }
}

}  // namespace fermata::engine::postgres
