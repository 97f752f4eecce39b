// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/interleavings/gate.hpp"
#include "tests/conformance/store_suite.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string_view>

namespace fermata::interleavings {

/// One journal and two processes on it, each of which can be held between any two of its steps: what it
/// says to the server, or a statement outside of a write transaction.
class ground : public conformance::store_factory {
 public:
  /// The steps of this thread are `whose`, where threads make them (SQLite).
  virtual void enter(int whose) = 0;
  /// Who isn't held and isn't done waits for the other one.
  virtual bool waits_for_other(int whose) = 0;
  /// What the same worker does at once in two threads may be taken apart: where its process serialises
  /// them anyway, it may not.
  virtual bool is_concurrent_within_worker() const = 0;
  virtual std::string_view name() const = 0;

  std::array<gate, 2> gates;
  std::array<std::shared_ptr<engine::store>, 2> stores;  // made by `fresh`

 protected:
  /// Ids are drawn in two threads at once.
  engine::open_options both() const {
    engine::open_options options;
    options.time = time;
    options.warn = [](std::string_view) {};
    return options;
  }
};

}  // namespace fermata::interleavings
