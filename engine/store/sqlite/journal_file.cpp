// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/journal_file.hpp"

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/store/host/process.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/schema.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <utility>

namespace fermata::engine::sqlite {

namespace {

constexpr const char* end_without = "ROLLBACK";

bool in_transaction(const connection& db) { return sqlite3_get_autocommit(db.handle()) == 0; }

}  // namespace

journal_file::~journal_file() = default;

time_us journal_file::now() const { return std::max(time->wall_now(), latest_.load()); }

turn journal_file::make_turn(std::int64_t worker) {
  warn_of_clock();
  turn turn{.db = *db_,
            .time = *time,
            .chance = *chance,
            .heads = heads_,
            .handed = handed_,
            .due_from = due_from_,
            .worker = worker};
  turn.now = now();
  turn.latest = latest_.load();
  turn.mark = last_mark_;
  return turn;
}

void journal_file::begin(guards guarded_by) {
  if (read_only_)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2104",
         where.path + " was opened for reading only");
  {
    // Made beforehand, since it may be needed without memory; if even so the last transaction
    // couldn't be ended, now it can.
    use last = db_->sql(end_without);
    if (in_transaction(*db_)) last.run();
  }
  db_->fire_triggers(guarded_by == guards::on && !planted("sqlite_guards_off"));
  db_->sql("BEGIN IMMEDIATE").run();
  // Once we have committed nobody could tell: a foreign commit is told of together with ours.
  begun_ = log_of(db_->handle());
  follows_foreign_ = wake.follows_foreign(begun_);
  try {
    refresh_after_others();
  } catch (...) {
    roll_back();
    throw;
  }
}

/// What we remember of the journal is true until another connection commits.
void journal_file::refresh_after_others() {
  const std::int64_t version = db_->pragma("PRAGMA data_version");
  if (version == seen_version_) return;
  heads_.clear();
  refuse_newer_schema();
  latest_.store(std::max(latest_.load(), newest_time(*db_, time->wall_now())));
  seen_version_ = version;
}

/// Another process may have migrated the journal while we had it open.
void journal_file::refuse_newer_schema() {
  const schema_state found = read_schema(*db_);
  if (found.written_by_min > schema_version)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2003",
         fmt::format("{} was migrated by version {} while it was open here; restart this program "
                     "with that version",
                     where.path, found.written_by));
}

void journal_file::end(turn& turn) {
  if (failpoint("sqlite.in_transaction"))
    fail(absl::StatusCode::kUnavailable, "FER-2102", "a failpoint keeps this transaction away");
  if (planted("sqlite_answers_before_the_commit")) return;
  if (planted("sqlite_failed_commit_is_a_success"))
    sqlite3_exec(db_->handle(), "COMMIT", nullptr, nullptr, nullptr);
  else
    db_->sql("COMMIT").run();
  failpoint("sqlite.committed");
  wake.committed(begun_, db_->handle());
  db_->names.committed();
  db_->places.committed();
  db_->spaces.committed();
  handed_.committed();
  last_mark_ = turn.mark;
  latest_.store(std::max(latest_.load(), turn.latest));
  if (turn.woke || follows_foreign_)
    wake.bump();
  else if (turn.ended)
    wake.bump_for_ends();
  checkpoint_if_due();
}

void journal_file::roll_back() noexcept {
  // A failed COMMIT may have rolled back by itself, or not.
  try {
    if (in_transaction(*db_)) db_->sql(end_without).run();
  } catch (const store_failure&) {  // `begin` tries again
  }
  db_->names.rolled_back();
  db_->places.rolled_back();
  db_->spaces.rolled_back();
  handed_.rolled_back();
  heads_.clear();
}

/// Small and often, under the lock. What it can't do now, because a reader stands in the way, is
/// tried again a thousand pages later; nothing that was committed depends on it.
void journal_file::checkpoint_if_due() {
  if (wal_pages_ < checkpoint_at_) return;
  if (failpoint("sqlite.before_checkpoint")) return;
  int in_log = 0;
  int done = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
  failpoint("sqlite.after_checkpoint");
  if (rc == SQLITE_OK && done == in_log) {
    // The next commit begins at the log's start again.
    checkpoint_at_ = checkpoint_step_;
    warned_of_readers_ = false;
  } else {
    checkpoint_at_ = wal_pages_ + checkpoint_step_;
    warn_of_readers(wal_pages_);
  }
}

void journal_file::warn_of_readers(int wal_pages) {
  const std::int64_t bytes = std::int64_t{wal_pages} * 4096;
  if (bytes < static_cast<std::int64_t>(limits::wal_warning) || warned_of_readers_) return;
  warned_of_readers_ = true;
  say_(fmt::format("{}-wal has grown to {} MB: a reader holds it back; {}", where.path,
                   bytes / 1'000'000, host::describe_users(where.path)));
}

/// Set back: the journal's time stands still meanwhile.
void journal_file::warn_of_clock() {
  const time_us ahead = latest_.load() - time->wall_now();
  if (ahead <= limits::clock_warning_ms * 1'000) {
    warned_of_clock_ = false;
  } else if (!std::exchange(warned_of_clock_, true)) {
    say_(fmt::format(
        "this host's clock is {} s behind the newest time in {}: sleeps and other timers "
        "wait until it is there again; set it right",
        ahead / 1'000'000, where.path));
  }
}

}  // namespace fermata::engine::sqlite
