// SPDX-License-Identifier: Apache-2.0
#include "engine/ports/make_id.hpp"

namespace fermata::engine {

ulid next_ulid(clock& time, random& chance) {
  std::array<std::uint8_t, 10> bytes;
  chance.fill(bytes.data(), bytes.size());
  return ulid::make(time.wall_now(), bytes);
}

run_id new_run_id(clock& time, random& chance) { return run_id::of(next_ulid(time, chance)); }

message_id new_message_id(clock& time, random& chance) {
  return message_id::of(next_ulid(time, chance));
}

worker_id new_worker_id(clock& time, random& chance) {
  return worker_id::of(next_ulid(time, chance));
}

}  // namespace fermata::engine
