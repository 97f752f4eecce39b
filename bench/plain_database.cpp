// SPDX-License-Identifier: Apache-2.0
#include "bench/plain_database.hpp"

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>

namespace fermata::bench {

namespace {
constexpr int checkpoint_pages = 1000;  // as the engine's
}

plain_database::plain_database(const std::string& path) {
  for (const char* end : {"", "-wal", "-shm"}) std::remove((path + end).c_str());
  must(sqlite3_open(path.c_str(), &db_), SQLITE_OK);
  script("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0");
  sqlite3_wal_hook(
      db_,
      [](void* self, sqlite3*, const char*, int in_log) {
        static_cast<plain_database*>(self)->pages_ = in_log;
        return SQLITE_OK;
      },
      this);
}

plain_database::~plain_database() { sqlite3_close(db_); }

void plain_database::must(int rc, int wanted) const {
  if (rc == wanted) return;
  std::fprintf(stderr, "fermata-bench: the probe failed: %s\n", sqlite3_errmsg(db_));
  std::exit(1);
}

void plain_database::script(const char* sql) {
  must(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK);
}

sqlite3_stmt* plain_database::prepare(const char* sql) {
  sqlite3_stmt* made = nullptr;
  must(sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr), SQLITE_OK);
  return made;
}

void plain_database::run(sqlite3_stmt* what) {
  must(sqlite3_step(what), SQLITE_DONE);
  sqlite3_reset(what);
}

void plain_database::checkpoint_if_due() {
  if (pages_ < checkpoint_pages) return;
  sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  pages_ = 0;
}

}  // namespace fermata::bench
