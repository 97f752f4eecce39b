// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/operate.hpp"
#include "engine/operate/verify.hpp"
#include "engine/ports/simulated.hpp"
#include "engine/store/store.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// A store in virtual time with one worker, and journals written by hand. The tests are built once with
/// the memory store, once with SQLite.
namespace fermata::engine::testing {

struct bench {
  std::shared_ptr<manual_clock> time = std::make_shared<manual_clock>();
  std::filesystem::path folder;  // of the journal; empty: in memory
  std::shared_ptr<engine::store> store;
  std::int64_t worker = 0;

  bench();
  ~bench();
  bench(const bench&) = delete;

  run_id make_id();
  start_request request(std::string_view workflow = "order");
  /// A start request that nobody claims.
  run_id ask(const start_request& request);
  /// Started and claimed by the worker: event 1 is there.
  run_id begin(const start_request& request);
  run_id begin() { return begin(request()); }
  void claim();

  /// As its owner would. Positions, epoch, time, chain and changes are filled in.
  landing write(const run_id& run, std::vector<event> events, then then = then::keep,
                append more = {});
  void signal(const chain_id& to, std::string_view name);

  run_row row(const run_id& run) const { return store->find_run(run).value(); }
  std::vector<event> history(const run_id& run) const;
  /// "run_started, step_completed 1 reserve, …"
  std::string told(const run_id& run) const;
  std::vector<std::string> findings(const engine::store& where) const;
  std::vector<std::string> findings() const { return findings(*store); }
};

payload text(std::string_view bytes);
pb::failure failure(std::string_view type, std::string_view message);

event step_done(std::string_view operation, std::string_view name, int attempts = 1,
                std::string_view value = "");
event step_failed(std::string_view operation, std::string_view name, const pb::failure& why,
                  int attempts = 1);
event step_cancelled(std::string_view operation, std::string_view name);
event attempt_failed(std::string_view operation, std::string_view name, int number,
                     time_us next_due = 0);
event timer_set(std::string_view operation, time_us due);
event timer_fired(std::string_view operation);
event child_started(std::string_view operation, std::string_view name, const run_id& child);
event child_done(std::string_view operation, std::string_view name, const run_id& child);
event child_failed(std::string_view operation, std::string_view name, const run_id& child,
                   const pb::failure& why);
event compensation(std::string_view operation, std::string_view name, int max_attempts = 5);
event signal_received(std::string_view name, const message_id& id);
event cancel_received();
event failing(const pb::failure& why, bool cancelled = false);
event marker(std::string_view name);
event published(std::string_view operation, std::string_view name, std::string_view value);
event tagged(std::string_view operation, std::string_view name, std::string_view value);
event completed();
event failed(const pb::failure& why);
event cancelled();

}  // namespace fermata::engine::testing
