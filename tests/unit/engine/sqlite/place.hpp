// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/sqlite_store.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace fermata::conformance {

/// A folder that goes with the test.
class place {
 public:
  place() {
    std::string pattern = std::filesystem::temp_directory_path() / "fermata-sqlite-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
  }
  ~place() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  place(const place&) = delete;
  place& operator=(const place&) = delete;

  std::string file(const std::string& name = "journal.db") const { return folder_ / name; }
  std::string address() const { return "sqlite:" + file(); }

 private:
  std::filesystem::path folder_;
};

inline std::string file_of(const scene& of) { return of.journal->info()->address.substr(7); }

/// SQLite without any of our code, as another program has it.
class foreign {
 public:
  explicit foreign(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &db_) == 0); }
  ~foreign() { sqlite3_close(db_); }
  foreign(const foreign&) = delete;
  foreign& operator=(const foreign&) = delete;

  /// SQLite's message; empty when it did what was asked.
  std::string run(const std::string& sql) {
    char* message = nullptr;
    sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, &message);
    const std::string said = message != nullptr ? message : "";
    sqlite3_free(message);
    return said;
  }
  sqlite3* handle() { return db_; }
  std::string one(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != 0)
      return sqlite3_errmsg(db_);
    std::string found;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = sqlite3_column_text(statement, 0);
      if (text != nullptr) found = reinterpret_cast<const char*>(text);
    }
    sqlite3_finalize(statement);
    return found;
  }

 private:
  sqlite3* db_ = nullptr;
};

/// Another process: runs `work` and ends with its result. Nothing of the test may go on in it.
template <class Work>
pid_t in_child(Work&& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  REQUIRE(child > 0);
  return child;
}

/// The child's exit code; -1: a signal ended it.
inline int await(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A byte passed between processes: for one to wait until another is somewhere.
class baton {
 public:
  baton() { REQUIRE(pipe(ends_) == 0); }
  ~baton() {
    close(ends_[0]);
    close(ends_[1]);
  }
  baton(const baton&) = delete;
  baton& operator=(const baton&) = delete;
  void pass() const {
    const char byte = 1;
    if (write(ends_[1], &byte, 1) != 1) abort();
  }
  void take() const {
    char byte = 0;
    if (read(ends_[0], &byte, 1) != 1) abort();
  }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace fermata::conformance
