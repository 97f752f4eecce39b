// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <cstdint>
#include <memory>

namespace fermata::testing {

/// Where the journal of a world lies, and what the end of a process does to what it held open.
class place {
 public:
  virtual ~place() = default;
  virtual std::shared_ptr<engine::store> open() = 0;
  /// The process of `worker` is gone, and with it `held`. Gives the journal as the next one opens it.
  virtual std::shared_ptr<engine::store> reopen(std::int64_t worker,
                                                std::shared_ptr<engine::store> held) = 0;
};

/// In memory; with FERMATA_KIT_STORE=sqlite in a file that goes with the world, with
/// FERMATA_KIT_STORE=postgres in a schema of the server at FERMATA_TEST_POSTGRES.
std::unique_ptr<place> make_place(const std::shared_ptr<engine::clock>& time,
                                  const std::shared_ptr<engine::random>& chance);

}  // namespace fermata::testing
