// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/simulated.hpp"
#include "engine/store/store.hpp"

#include <cstdint>
#include <memory>

/// The contract of `store` as tests. Every store links the same cases with a factory of its own.
namespace fermata::conformance {

/// Makes stores of one kind. Time stands still unless a test moves it.
class store_factory {
 public:
  virtual ~store_factory() = default;

  /// A new, empty journal; the one before may go.
  virtual std::shared_ptr<engine::store> fresh() = 0;
  /// Another handle on the journal of the last `fresh`, as another process would have it.
  virtual std::shared_ptr<engine::store> reopen() = 0;
  /// The process that registered `worker` through `handle` is gone, without a word.
  virtual void kill(std::shared_ptr<engine::store>& handle, std::int64_t worker) = 0;

  std::shared_ptr<engine::manual_clock> time = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance = std::make_shared<engine::seeded_random>(1);

 protected:
  engine::open_options options() const {
    engine::open_options options;
    options.time = time;
    options.chance = chance;
    return options;
  }
};

/// Defined once per executable: by the store that it tests.
std::unique_ptr<store_factory> make_factory();

}  // namespace fermata::conformance
