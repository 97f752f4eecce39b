// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/readers.hpp"

#include <sqlite3.h>

#include <utility>

namespace fermata::engine::sqlite {

namespace {

constexpr std::size_t idle_max = 4;  // a handle has a page cache of up to 2 MB

}  // namespace

readers::readers(std::string path, connection_options options)
    : path_(std::move(path)), options_(std::move(options)) {
  options_.create = false;
  options_.read_only = true;
}

readers::lease readers::take() {
  std::unique_ptr<connection> db;
  {
    const std::lock_guard guard(mutex_);
    if (!idle_.empty()) {
      db = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!db) db = std::make_unique<connection>(path_, options_);
  db->sql("BEGIN").run();
  return {*this, std::move(db)};
}

readers::lease::lease(readers& from, std::unique_ptr<connection> db)
    : from_(from), db_(std::move(db)) {}

readers::lease::~lease() {
  const int rc = sqlite3_exec(db_->handle(), "COMMIT", nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return;
  const std::lock_guard guard(from_.mutex_);
  if (from_.idle_.size() < idle_max) from_.idle_.push_back(std::move(db_));
}

}  // namespace fermata::engine::sqlite
