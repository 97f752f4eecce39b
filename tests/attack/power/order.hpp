// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/encode.hpp"
#include "engine/ports/ports.hpp"
#include "engine/store/batch.hpp"
#include "engine/store/tasks.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The runs that the office works on: what they do next, read from what their journals say.
namespace fermata::attack::power {

// An order is: a step (1), a tag (2), a published value (3); a sleep (4); a signal (5); a child (6);
// a step on a queue (7). Its child is a step (1), and ends.

engine::ulid id_of(std::uint64_t number);
engine::run_id order_id(std::uint64_t seed, int number);
engine::payload text_payload(std::string_view bytes);
/// What the first step of this run answers: of every second run it is too large for a row.
std::string result_of_first_step(const engine::run_id& run);

/// What a run's journal says.
struct journal_facts {
  void take(const engine::event& what);

  bool paid = false;
  bool timer_set = false;
  bool timer_fired = false;
  bool signalled = false;
  bool child_started = false;
  bool child_ended = false;
  int attempts = 0;  // at the step on a queue, that began
  int failed = 0;
  bool rendered = false;
  engine::time_us due = 0;
};

/// One run that is owned, as far as it has been written.
struct pen {
  explicit pen(const engine::claimed& from);
  void went_on(const std::vector<engine::encoded_event>& events,
               const std::vector<std::uint64_t>& consumed);

  engine::run_id run;
  engine::chain_id chain;
  engine::run_id parent;
  engine::chain_id parent_chain;
  std::string workflow;
  std::int64_t row = 0;
  engine::epoch_t epoch = 0;
  engine::head last;
  std::vector<engine::message> inbox;
  journal_facts known;
};

struct moment {
  engine::time_us now;
  engine::random& chance;
};

/// What the run does next; without events: it lets itself be parked.
engine::append next_append(const pen& run, const moment& at);

}  // namespace fermata::attack::power
