// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"
#include "engine/store/postgres/server.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace fermata::engine::postgres {

/// The last things that this process was told are done: starts, messages, ends of runs. A replica that was
/// promoted may lack some, and nobody else knows of them.
/// Threads: any.
class acknowledged {
 public:
  void note(const batch& what, const batch_result& done);
  /// After a promotion: names what the journal lacks, once.
  void compare(server& at);

 private:
  struct thing {
    enum class kind { start, message, end } what = kind::start;
    run_id run;  // of a message: the chain
    message_id message;
    position_t position = 0;
    chain_hash hash{};
  };
  void add(const thing& one);
  std::vector<thing> all() const;
  bool tell(server& at);

  std::mutex comparing_;
  std::atomic<std::uint32_t> lineage_ = 0;  // that it was compared with

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::vector<thing> ring_;
  std::size_t next_ = 0;  // the oldest, once it is full
};

}  // namespace fermata::engine::postgres
