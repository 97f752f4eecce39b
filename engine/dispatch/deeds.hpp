// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"

namespace fermata::engine {

/// What a batch does, as the failpoints that it passes before and after its commit: writer.before_claim,
/// writer.after_park … Nothing is looked at when no failpoint is asked for.
class deeds {
 public:
  explicit deeds(const batch& what);
  void before() const;
  void after() const;

 private:
  unsigned which_ = 0;  // a bit for each
};

}  // namespace fermata::engine
