// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/readers.hpp"

#include <sqlite3.h>

#include <chrono>
#include <utility>

namespace fermata::engine::sqlite {

namespace {

constexpr std::size_t idle_max = 4;  // a handle has a page cache of up to 2 MB
// To open one more costs a millisecond, and reads are shorter: so it pays to wait for one. Not for
// ever, since who reads may read again meanwhile.
constexpr std::chrono::milliseconds patience{20};

}  // namespace

readers::readers(std::string path, connection_options options)
    : path_(std::move(path)), options_(std::move(options)) {
  options_.create = false;
  options_.read_only = true;
}

readers::lease readers::take() {
  std::unique_ptr<connection> db;
  {
    std::unique_lock lock(mutex_);
    if (lent_ >= idle_max) given_back_.wait_for(lock, patience, [this] { return !idle_.empty(); });
    if (!idle_.empty()) {
      db = std::move(idle_.back());
      idle_.pop_back();
    }
    ++lent_;
  }
  try {
    if (!db) db = std::make_unique<connection>(path_, options_);
    db->sql("BEGIN").run();
  } catch (...) {
    give_back(nullptr);
    throw;
  }
  return {*this, std::move(db)};
}

/// Null: it is of no more use.
void readers::give_back(std::unique_ptr<connection> db) {
  {
    const std::lock_guard guard(mutex_);
    --lent_;
    if (db && idle_.size() < idle_max) idle_.push_back(std::move(db));
  }
  given_back_.notify_one();
}

readers::lease::lease(readers& from, std::unique_ptr<connection> db)
    : from_(from), db_(std::move(db)) {}

readers::lease::~lease() {
  const int rc = sqlite3_exec(db_->handle(), "COMMIT", nullptr, nullptr, nullptr);
  from_.give_back(rc == SQLITE_OK ? std::move(db_) : nullptr);
}

}  // namespace fermata::engine::sqlite
