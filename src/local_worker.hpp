// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"

#include <cstdint>

namespace fermata::detail {

/// A worker in the client's own process. Starts needn't go through the queue: the worker may take a
/// run in the transaction that starts it.
/// Threads: any.
class local_worker {
 public:
  /// Sets `item.admit` and reserves a place when this worker takes the run. Each `true` is followed
  /// by `admitted` or `admission_failed`.
  virtual bool admit(engine::start_item& item) = 0;
  virtual void admitted(const engine::start_item& item, const engine::start_result& how) = 0;
  virtual void admission_failed(const engine::start_item& item,
                                const absl::Status& answer) noexcept = 0;
  /// Its row in the store: the fence of what it admits.
  virtual std::int64_t row() const noexcept = 0;
  /// There may be work.
  virtual void poke() noexcept = 0;
  /// There may be, in what was written until the store's `wake_count` was this: in vain when the
  /// worker has looked since.
  virtual void poke_for(std::uint32_t wakes) noexcept = 0;

 protected:
  ~local_worker() = default;
};

}  // namespace fermata::detail
