// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/replay/containers.hpp"
#include "engine/replay/operation.hpp"
#include "engine/store/records.hpp"

#include <optional>
#include <string>
#include <vector>

/// What the machine hands to the worker.
namespace fermata::engine {

/// Start an attempt of this operation.
struct attempt_start {
  slot op = 0;
  operation_kind kind = operation_kind::step;
  std::string operation;
  std::string name;
  std::string key;     // idempotency key: <origin>/<operation>/<name>
  std::string undoes;  // key of the call it undoes
  int number = 1;
  payload input;
  step_plan plan;          // its timeout already bounded by give_up_after
  bool alone = false;      // suspected of killing its process: no other attempt beside it
  bool inherited = false;  // from the replayed history: an owner before may have tried it
  interned place;
};

/// An event to append, with what goes along in the same transaction.
struct produced {
  event what;
  rare<start_request> child;
  rare<message> send;
  rare<task_row> task;         // its epoch is this event's position
  std::uint64_t consumes = 0;  // seq of the inbox message that it moves; 0: none
};

/// Where the run stands when nothing more can be delivered.
struct standing {
  bool ended = false;            // an end event was delivered
  bool blocked = false;          // a mismatch
  bool needs_attention = false;  // a compensation exhausted its policy
  bool finishing = false;        // the code has ended, shielded stretches, too; attempts
                                 // in flight are awaited
  int attempts = 0;              // this owner's attempts going, or to be started now; when
                                 // finishing also the children that it waits for
  time_us next_timer = 0;        // earliest of its timers and retries; 0: none
  std::string waits;             // one line for people; empty when it doesn't wait
};

/// How an attempt ended.
struct attempt_end {
  enum class how_t : std::uint8_t { value, failed, cancelled } how = how_t::value;
  int number = 1;
  payload value;
  pb::failure why;
  std::optional<std::int64_t> retry_after_ms;
  time_us started = 0;
};

}  // namespace fermata::engine
