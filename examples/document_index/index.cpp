// SPDX-License-Identifier: Apache-2.0
#include "index.hpp"

#include "files.hpp"

#include <sqlite3.h>

#include <memory>

namespace documents {

namespace {

constexpr const char* schema =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE IF NOT EXISTS indexed("
    "  path TEXT NOT NULL, sha256 TEXT NOT NULL, title TEXT NOT NULL,"
    "  bytes INTEGER NOT NULL, lines INTEGER NOT NULL, words INTEGER NOT NULL);"
    "CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(path UNINDEXED, title, body);";

[[noreturn]] void complain(sqlite3* db) {
  throw fermata::failure(sqlite3_errmsg(db), {.type = "sqlite"});
}

/// One statement, its values bound in order: `query(db, "… ?1 …")("text")(7).next()`.
class query {
 public:
  query(sqlite3& db, const char* sql) : db_(&db) {
    if (sqlite3_prepare_v2(db_, sql, -1, &made_, nullptr) != SQLITE_OK) complain(db_);
  }
  ~query() { sqlite3_finalize(made_); }
  query(const query&) = delete;
  query& operator=(const query&) = delete;

  query& operator()(const std::string& text) {
    sqlite3_bind_text64(made_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
  }
  query& operator()(std::int64_t number) {
    sqlite3_bind_int64(made_, ++bound_, number);
    return *this;
  }

  /// Goes to the next row, if there is one.
  bool next() {
    const int code = sqlite3_step(made_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) complain(db_);
    return code == SQLITE_ROW;
  }
  std::int64_t number(int column) { return sqlite3_column_int64(made_, column); }
  std::string text(int column) {
    const auto* found = reinterpret_cast<const char*>(sqlite3_column_text(made_, column));
    return found == nullptr ? "" : found;
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* made_ = nullptr;
  int bound_ = 0;
};

}  // namespace

void make_index(const std::string& file) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open(file.c_str(), &db);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> closing(db, sqlite3_close);
  if (code != SQLITE_OK) complain(db);
  sqlite3_busy_timeout(db, 10'000);
  if (sqlite3_exec(db, schema, nullptr, nullptr, nullptr) != SQLITE_OK) complain(db);
}

void add(sqlite3& index, const document& found) {
  query(index, "INSERT INTO indexed VALUES (?1, ?2, ?3, ?4, ?5, ?6)")(found.path)(found.sha256)(
      found.title)(found.size.bytes)(found.size.lines)(found.size.words)
      .next();
  query(index, "INSERT INTO texts VALUES (?1, ?2, ?3)")(found.path)(found.title)(text(found.path))
      .next();
}

totals sum(sqlite3& index) {
  query all(index, "SELECT count(*), sum(bytes), sum(lines), sum(words) FROM indexed");
  all.next();
  return {.files = all.number(0),
          .bytes = all.number(1),
          .lines = all.number(2),
          .words = all.number(3)};
}

std::vector<hit> search(sqlite3& index, const std::string& words) {
  query found(index,
              "SELECT path, title FROM texts WHERE texts MATCH ?1 ORDER BY rank, path LIMIT 5");
  found(words);
  std::vector<hit> hits;
  while (found.next()) hits.push_back({found.text(0), found.text(1)});
  return hits;
}

}  // namespace documents
