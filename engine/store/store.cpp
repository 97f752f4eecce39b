// SPDX-License-Identifier: Apache-2.0
#include "engine/store/store.hpp"

#include "engine/store/status.hpp"

namespace fermata::engine {

absl::StatusOr<batch_result> store::write_within(const caller_transaction&, const batch&) {
  return coded(
      absl::StatusCode::kFailedPrecondition, "FER-3001",
      "this journal is in no database: no transaction of yours can be on it; start the run "
      "without one");
}

}  // namespace fermata::engine
