// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/connection.hpp"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace fermata::engine::sqlite {

/// Connections that only read, beside the writer. Kept open for the next reader, a few of them.
/// Threads: any.
class readers {
 public:
  readers(std::string path, connection_options options);

  /// A connection in a read transaction of its own, ended and given back when it goes out of scope:
  /// reads are short, since the log can't shrink behind them.
  class lease {
   public:
    lease(readers& from, std::unique_ptr<connection> db);
    ~lease();
    lease(const lease&) = delete;
    lease& operator=(const lease&) = delete;
    connection& operator*() const { return *db_; }
    connection* operator->() const { return db_.get(); }

   private:
    readers& from_;
    std::unique_ptr<connection> db_;
  };
  lease take();

 private:
  void give_back(std::unique_ptr<connection> db);

  // Set once.
  std::string path_;
  connection_options options_;

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<std::unique_ptr<connection>> idle_;
  std::size_t lent_ = 0;
  std::condition_variable given_back_;
};

}  // namespace fermata::engine::sqlite
