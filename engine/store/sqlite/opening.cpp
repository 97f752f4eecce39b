// SPDX-License-Identifier: Apache-2.0
#include "engine/failpoint.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/version.hpp"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

namespace fermata::engine::sqlite {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void no_journal(std::string_view why, absl::StatusCode code) {
  fail(code, "FER-2002", why);
}

bool begins_like_a_database(const std::string& path) {
  constexpr std::string_view magic = "SQLite format 3";
  std::string first(magic.size(), ' ');
  std::ifstream in(path, std::ios::binary);
  return in.read(first.data(), static_cast<std::streamsize>(first.size())) && first == magic;
}

/// A database that was cut short, or whose first pages are broken.
[[noreturn]] void damaged(const std::string& path, const absl::Status& why) {
  const std::string said(why.message());
  fail(absl::StatusCode::kDataLoss, "FER-2103",
       fmt::format("{} can't be opened: {}; restore it from a backup, which 'fermata backup' makes",
                   path, said.substr(0, said.find(';'))));
}

/// An error while opening says that the file isn't ours, not that the store broke. NOTADB is what
/// SQLite calls a file that it can't read at all.
template <class Work>
auto as_opening(const std::string& path, Work&& work) {
  try {
    return work();
  } catch (const store_failure& failed) {
    if (failed.status.code() == absl::StatusCode::kDataLoss && begins_like_a_database(path))
      damaged(path, failed.status);
    if (failed.status.code() == absl::StatusCode::kDataLoss)
      no_journal(
          fmt::format("{} can't be opened as a journal: file is not a database; name another "
                      "file",
                      path),
          failed.status.code());
    if (failed.status.code() == absl::StatusCode::kUnavailable)
      no_journal(fmt::format("{} can't be opened as a journal: {}", path,
                             std::string(failed.status.message())),
                 failed.status.code());
    throw;
  }
}

/// What must hold before any file is made beside it.
bool check_file(const address& where, const open_options& options) {
  std::error_code error;
  const fs::path file = where.path;
  if (fs::is_directory(file, error))
    no_journal(fmt::format("{} is a folder, not a journal", where.path),
               absl::StatusCode::kInvalidArgument);
  if (fs::exists(file, error)) {
    if (::access(where.path.c_str(), R_OK | W_OK) != 0)
      fail(errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kPermissionDenied,
           errno == ENOENT ? "FER-2002" : "FER-2006",
           fmt::format(
               "{} can't be opened: {}; who only looks needs the right to write, too, to the "
               "file and its folder",
               where.path, std::strerror(errno)));
    return true;
  }
  if (!options.create || options.read_only)
    no_journal(
        fmt::format("there is no journal {}; a worker or 'fermata start' makes it", where.path),
        absl::StatusCode::kNotFound);
  if (file.has_parent_path() && !fs::is_directory(file.parent_path(), error))
    no_journal(fmt::format("{} can't be made: its folder doesn't exist", where.path),
               absl::StatusCode::kNotFound);
  return false;
}

/// True: there is nothing in it yet.
bool check_identity(connection& db, const std::string& path) {
  const std::int64_t id = db.pragma("PRAGMA application_id");
  const std::int64_t tables = db.pragma("SELECT count(*) FROM sqlite_master");
  if (id == 0 && tables == 0) return true;
  if (id != application_id)
    no_journal(fmt::format("{} is a SQLite database, but not a journal of Fermata's; name another "
                           "file",
                           path),
               absl::StatusCode::kFailedPrecondition);
  return false;
}

void check_version(const schema_state& found, const address& where, bool read_only) {
  const int needed = read_only ? found.readable_by_min : found.written_by_min;
  if (found.readable_by_min > schema_version || needed > schema_version)
    fail(absl::StatusCode::kFailedPrecondition, "FER-2003",
         fmt::format(
             "{} was written by version {} (schema {}), which version {} (schema {}) can't {}; "
             "use that version, or a later one",
             where.path, found.written_by, found.version, version(), schema_version,
             read_only ? "read" : "write to"));
}

/// A copy beside the journal, before its schema changes.
void back_up_before(connection& db, int from) {
  const std::string to = fmt::format("{}-before-schema-{}", db.path(), schema_version);
  std::error_code error;
  if (fs::exists(to, error)) return;  // of an attempt that was interrupted: as good
  const std::string half = to + ".part";
  fs::remove(half, error);
  db.sql("VACUUM INTO ?1").with(half).run();
  fs::rename(half, to, error);
  if (error)
    fail(absl::StatusCode::kUnavailable, "FER-2005",
         fmt::format("{} has schema {}; a backup couldn't be made at {}: {}", db.path(), from, to,
                     error.message()));
}

std::unique_ptr<connection> open_connection(const address& where, const open_options& options,
                                            const surroundings& around) {
  refuse_network(where, around.file_system);
  const bool there = check_file(where, options);
  return as_opening(where.path, [&] {
    auto db = std::make_unique<connection>(
        where.path,
        connection_options{.create = !there, .durability = where.durability, .vfs = around.vfs});
    check_identity(*db, where.path);
    return db;
  });
}

}  // namespace

/// The part of opening that needs the lock.
struct opening {
  journal_file& file;
  const open_options& options;

  void run() const {
    const sqlite_lock lock(file.lock_);
    if (!lock.status().ok()) throw store_failure{lock.status()};
    as_opening(file.where.path, [&] {
      connection& db = *file.db_;
      const bool empty = check_identity(db, file.where.path);
      if (empty && (!options.create || options.read_only))
        no_journal(fmt::format("{} is empty: no journal has been made in it", file.where.path),
                   absl::StatusCode::kNotFound);
      if (empty) db.script("PRAGMA page_size = 4096");
      use_wal(db);
      if (empty) create(db);
      check_schema(db);
      if (options.read_only) db.script("PRAGMA query_only = ON");
      sqlite3_wal_hook(
          db.handle(),
          [](void* pages, sqlite3*, const char*, int in_log) {
            *static_cast<int*>(pages) = in_log;
            return SQLITE_OK;
          },
          &file.wal_pages_);
    });
  }

  void use_wal(connection& db) const {
    use mode = db.sql("PRAGMA journal_mode = WAL");
    const bool is_wal = mode.next() && mode.text(0) == "wal";
    mode.run();  // to its end, where the change is committed: until then it is only said
    if (!is_wal)
      no_journal(fmt::format("{}: SQLite can't keep a write-ahead log there", file.where.path),
                 absl::StatusCode::kFailedPrecondition);
  }

  static void commit_migration(connection& db) {
    failpoint("sqlite.in_migration");
    db.script("COMMIT");
    failpoint("sqlite.after_migration");
  }

  void create(connection& db) const {
    failpoint("sqlite.before_migration");
    db.script("BEGIN IMMEDIATE");
    try {
      migrate(db, 0, file.time->wall_now());
      db.script(fmt::format("PRAGMA application_id = {}", application_id).c_str());
      commit_migration(db);
    } catch (...) {
      sqlite3_exec(db.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }

  void check_schema(connection& db) const {
    const schema_state found = read_schema(db);
    check_version(found, file.where, options.read_only);
    if (found.version >= schema_version) return;
    const bool alone = !file.slots.any_held();
    if (options.read_only || (!options.migrate && !alone))
      fail(absl::StatusCode::kFailedPrecondition, "FER-2005",
           fmt::format("{} has schema {}, this version writes {}: 'fermata migrate' brings it up "
                       "to date; a worker does so too, when no other one is running",
                       file.where.path, found.version, schema_version));
    failpoint("sqlite.before_migration");
    back_up_before(db, found.version);
    db.script("BEGIN IMMEDIATE");
    try {
      migrate(db, found.version, file.time->wall_now());
      commit_migration(db);
    } catch (...) {
      sqlite3_exec(db.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
      throw;
    }
  }
};

namespace {
bool time_is_virtual(clock* given) {
  return given != nullptr && dynamic_cast<real_clock*>(given) == nullptr;
}
}  // namespace

journal_file::journal_file(sqlite::address at, const open_options& options,
                           const surroundings& around)
    : where(std::move(at)),
      time(options.time ? options.time : std::make_shared<real_clock>()),
      chance(options.chance ? options.chance : std::make_shared<real_random>()),
      virtual_time(time_is_virtual(options.time.get())),
      db_(open_connection(where, options, around)),
      lock_(where.path, around.say),
      slots(where.path),
      wake(where.path),
      suspends(*time),
      say_(around.say ? around.say : say_on_stderr),
      read_only_(options.read_only),
      readers_(where.path, {.durability = where.durability, .vfs = around.vfs}) {
  opening{*this, options}.run();
  if (read_only_) return;
  latest_.store(newest_time(*db_, time->wall_now()));
}

}  // namespace fermata::engine::sqlite

namespace fermata::engine {

absl::StatusOr<std::shared_ptr<store>> open_sqlite_store(std::string_view address,
                                                         const open_options& options,
                                                         const sqlite::surroundings& around) {
  using result = absl::StatusOr<std::shared_ptr<store>>;
  return guarded<result>([&]() -> result {
    auto file =
        std::make_unique<sqlite::journal_file>(sqlite::parse_address(address), options, around);
    return std::make_shared<sqlite_store>(std::move(file));
  });
}

}  // namespace fermata::engine
