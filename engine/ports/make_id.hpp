// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/ports.hpp"

/// New ids from the wall clock and chance. Two ids of the same millisecond have no order.
namespace fermata::engine {

ulid next_ulid(clock& time, random& chance);

run_id new_run_id(clock& time, random& chance);
message_id new_message_id(clock& time, random& chance);
worker_id new_worker_id(clock& time, random& chance);

}  // namespace fermata::engine
