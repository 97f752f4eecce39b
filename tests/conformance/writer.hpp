// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/encode.hpp"
#include "tests/conformance/store_suite.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Words to build runs and events tersely.
namespace fermata::conformance {

// tidy: a header of tests, inside a namespace of its own
using namespace fermata::engine;

constexpr time_us second = 1'000'000;

// ---- events: position, epoch and time are filled in by the writer ----
payload text_payload(std::string_view bytes, std::uint64_t type = 1);
event step_completed(std::string operation, int attempts = 1);
event attempt_failed(std::string operation, time_us next_due);
event timer_set(std::string operation, time_us due);
event timer_fired(std::string operation);
event tagged(std::string name, std::string value);
event published(std::string name, std::string_view value);
event signal_received(const message& from);
event plain(event_kind kind);

/// A journal with its clock, ids and workers.
class scene {
 public:
  scene();

  run_id new_run();
  message_id new_message();
  time_us now() const;
  void pass(std::int64_t us);  // time does

  worker_row join(std::string build = "build-1");
  worker_row join(store& through, std::string build = "build-1");

  start_request request(std::string workflow = "pay");
  start_item item(const start_request& what, on_duplicate how = on_duplicate::attach);
  start_result start(const start_item& what);
  start_result start(const start_request& what);

  message signal(const chain_id& to, std::string name = "go");
  message_result send(const message& what);

  claim_request wants(int at_most = 100);
  batch_result claim(const worker_row& worker, const claim_request& what);
  std::vector<claimed> claim(const worker_row& worker, int at_most = 100);
  /// Starts and claims one run.
  claimed begin(const worker_row& worker);
  claimed begin(const worker_row& worker, const start_request& what);

  encoded_event first_event(const start_request& what, std::string build = "build-1");
  run_row row(const run_id& run);
  std::vector<encoded_event> events(const run_id& run);

  std::unique_ptr<store_factory> factory;
  std::shared_ptr<store> journal;
};

/// The owner's pen for one run: follows its head.
class writer {
 public:
  writer(scene& of, const claimed& run);
  writer(scene& of, const run_row& run);

  /// The next append of these events, with their folded changes.
  append next(std::vector<event> events = {});
  /// As `next`, by an operator: begins with owner_changed and a higher epoch.
  append by_operator(std::vector<event> events = {});
  /// Commits; when it lands, goes on behind it.
  append_result result(const append& what);
  landing land(const append& what) { return result(what).how; }
  /// Nothing to do now.
  append parking();
  append ending(event_kind how = event_kind::run_completed);
  landing park() { return land(parking()); }
  landing end(event_kind how = event_kind::run_completed) { return land(ending(how)); }

  run_id run;
  chain_id chain;
  std::int64_t worker = 0;
  std::int64_t row = 0;
  epoch_t epoch = 0;
  head last;

 private:
  scene* scene_;
};

std::vector<run_id> runs_of(const std::vector<claimed>& claimed);
std::vector<run_id> runs_of(const std::vector<run_row>& rows);

}  // namespace fermata::conformance
