// SPDX-License-Identifier: Apache-2.0
// Starts and messages within a transaction of the caller's own.
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/sqlite/within.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <filesystem>

namespace fermata::engine {

namespace sqlite {

namespace {

[[noreturn]] void misused(std::string_view sentence) {
  fail(absl::StatusCode::kFailedPrecondition, "FER-3001", sentence);
}

/// What the caller's connection must be, so that what it commits is a part of this journal.
void check_transaction(connection& theirs, const address& where) {
  if (sqlite3_get_autocommit(theirs.handle()) != 0)
    misused(
        fmt::format("the connection to {} is in no transaction: begin a sqlite_transaction on "
                    "it first, or leave the connection out",
                    where.path));
  const schema_state schema = read_schema(theirs);
  if (schema.version == 0)
    misused(
        fmt::format("the connection to {} sees no journal in it: was the file replaced since "
                    "it was opened?",
                    where.path));
  if (schema.written_by_min > schema_version || schema.version < schema_version)
    fail(absl::StatusCode::kFailedPrecondition,
         schema.version < schema_version ? "FER-2005" : "FER-2003",
         fmt::format("{} has schema {} of version {}, this program writes schema {}: restart it "
                     "with the version that migrated the journal",
                     where.path, schema.version, schema.written_by, schema_version));
  const std::int64_t synchronous = theirs.pragma("PRAGMA synchronous");
  if (synchronous < 2 && where.durability == durability::full)
    misused(
        fmt::format("the connection to {} has PRAGMA synchronous = {}: what it commits may be "
                    "lost with the power; begin a sqlite_transaction on it, which sees to that",
                    where.path, synchronous));
}

/// All of it, or nothing: the transaction stays the caller's to commit.
class savepoint {
 public:
  explicit savepoint(connection& on) : on_(on) { on_.script("SAVEPOINT fermata_within"); }
  ~savepoint() {
    if (!kept_) sqlite3_exec(on_.handle(), undo, nullptr, nullptr, nullptr);
  }
  savepoint(const savepoint&) = delete;
  savepoint& operator=(const savepoint&) = delete;

  void keep() {
    on_.script("RELEASE fermata_within");
    kept_ = true;
  }

 private:
  static constexpr const char* undo = "ROLLBACK TO fermata_within; RELEASE fermata_within";
  connection& on_;
  bool kept_ = false;
};

}  // namespace

void check_same_file(sqlite3* theirs, const std::string& journal) {
  if (theirs == nullptr) misused(fmt::format("there is no connection: open one to {}", journal));
  const char* name = sqlite3_db_filename(theirs, "main");
  std::error_code no_such_file;
  if (name != nullptr && std::filesystem::equivalent(name, journal, no_such_file)) return;
  misused(
      fmt::format("the connection is to {}, the journal is {}: open the connection on the "
                  "journal's file",
                  name != nullptr && *name != '\0' ? name : "a database in memory", journal));
}

}  // namespace sqlite

absl::StatusOr<batch_result> sqlite_store::write_within(const caller_transaction& where,
                                                        const batch& what) {
  using result = absl::StatusOr<batch_result>;
  return guarded<result>([&]() -> result {
    if (where.postgres != nullptr)
      sqlite::misused(
          fmt::format("the connection is to Postgres, the journal is the file {}: open a "
                      "connection on it",
                      file_->where.path));
    sqlite::check_same_file(where.sqlite, file_->where.path);
    sqlite::connection theirs(where.sqlite);
    sqlite::check_transaction(theirs, file_->where);
    sqlite::heads heads;
    sqlite::handed_timers handed;
    sqlite::due_from due_from;
    sqlite::turn turn{.db = theirs,
                      .time = *file_->time,
                      .chance = *file_->chance,
                      .heads = heads,
                      .handed = handed,
                      .due_from = due_from,
                      .now = file_->now()};
    sqlite::savepoint all(theirs);
    batch_result done;
    done.starts = apply_starts(turn, what.starts);
    for (const message& one : what.messages)
      done.messages.push_back(put_message(turn, one, sqlite::bound::checked));
    all.keep();
    return done;
  });
}

}  // namespace fermata::engine
