// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/simulated.hpp"
#include "engine/store/store.hpp"
#include "worker/cli/command.hpp"

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

/// A journal in memory, written through the store's contract, and the command run on it.
namespace fermata::cli {

using engine::attention;
using engine::claimed;
using engine::event;
using engine::event_kind;
using engine::message;
using engine::payload;
using engine::run_id;
using engine::run_row;
using engine::run_state;
using engine::start_request;
using engine::store;
using engine::then;
using engine::time_us;
using engine::worker_row;

constexpr time_us second = 1'000'000;

struct ran {
  int code = 0;
  std::string out, err;
};

payload json_payload(std::string_view text, bool sensitive = false);
event step_done(std::string operation, std::string name, std::string_view in, std::string_view out,
                std::string place = "orders.cpp:18");
event attempt_failed(std::string operation, std::string step, int number, std::string why,
                     time_us next_due);
event step_failed(std::string operation, std::string name, int attempts, std::string why);
event waits_for(std::string operation, std::string signal, time_us due);
event sleeps(std::string operation, time_us due);
event signal_came(std::string name, std::string_view value);
event run_completed(std::string_view result);
event run_failed(std::string type, std::string why);

class prepared {
 public:
  explicit prepared(std::string address = "");

  /// A worker that serves these workflows with this input shape.
  worker_row join(const std::vector<std::string>& workflows, std::string_view shape = "{}",
                  std::uint64_t input_type = 7);
  run_id ask(std::string workflow, std::string key = "", std::string_view input = "{}");
  run_id ask(start_request what);
  start_request request(std::string workflow, std::string key = "", std::string_view input = "{}");
  /// The worker claims all that is ready.
  void claim(const worker_row& worker);
  /// The owner appends, a millisecond apart.
  void append(const run_id& run, std::vector<event> events, then what = then::keep,
              std::string waits = "", attention why = attention::none, std::string report = "");
  /// … that an attempt begins on a queue of its own, and parks.
  engine::task_row put_task(const run_id& run, std::string step, std::string queue,
                            int attempt = 1);
  /// A worker that serves these steps on this queue, and nothing else.
  worker_row join_queue(std::string queue, const std::vector<std::string>& steps);
  void pass(std::int64_t us) { time->advance(us); }
  run_row row(const run_id& run) const;

  /// `fermata --journal <this> …`, as in a pipe, or on a terminal of `width` columns.
  ran call(std::vector<std::string> arguments, std::size_t width = 0, std::string in = "");

  std::string address;
  std::shared_ptr<engine::manual_clock> time = std::make_shared<engine::manual_clock>();
  std::shared_ptr<engine::seeded_random> chance = std::make_shared<engine::seeded_random>(7);
  std::shared_ptr<store> journal;

 private:
  std::optional<engine::task_row> task_;  // of the next append
};

/// Without a journal.
ran run_alone(std::vector<std::string> arguments, std::size_t width = 0);

}  // namespace fermata::cli
