// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/interleavings/ground.hpp"
#include "tests/conformance/writer.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fermata::interleavings {

/// A namespace of its own, with one of each that calls may meet at.
class world {
 public:
  /// `told`: a message lies in the inbox of `owned`.
  world(conformance::scene& scene, std::string space, bool told);

  engine::start_request request(std::string workflow, std::string key = "");
  engine::claim_request wants(engine::time_us now) const;
  engine::message message_to(const engine::chain_id& to);
  /// The next append of `of`, without its events' ids being drawn from what another thread draws from.
  engine::append next(const conformance::writer& of, std::vector<engine::event> events) const;

  void not_so(const std::string& what);
  /// Nobody else may have the run at this epoch.
  void owns(std::int64_t worker, const engine::run_id& run, engine::epoch_t epoch);
  void rests(const engine::run_id& run);  // it parked

  /// What must be true whatever was called.
  void check();
  std::vector<std::string> complaints() const { return complaints_; }

  /// How often the message lies in the inbox, was received, or is listed as unread.
  int count(const engine::chain_id& chain, const engine::message_id& id) const;

  conformance::scene& scene;
  ground& on;
  engine::store& plain;  // of neither
  std::string space;

  // `one` is a process on the first store, and its lease has ended; `two` one on the second. `idle`, on the
  // first, has a lease and owns nothing.
  engine::worker_row one, two, idle;
  std::optional<conformance::writer> owned;    // by one: runs
  std::optional<conformance::writer> remote;   // by one: has a task, which two executes
  std::optional<conformance::writer> kid;      // by two: may end
  std::optional<conformance::writer> closing;  // by two: its parent has ended
  std::optional<conformance::writer> parked;   // nobody's, with a timer that is due
  std::optional<conformance::writer> failed;   // ended, its key is "failed"
  std::optional<conformance::writer> kept;     // by two: a child that `failed` has left in flight
  engine::start_request late;                  // not begun, and its `not_after` has passed
  engine::start_request fresh;                 // not begun
  engine::task_row task;

 private:
  void begin_runs();
  std::pair<engine::append, engine::run_row> bearing(const conformance::writer& parent,
                                                     int close_policy);
  void go_on(bool told);
  void land(const engine::worker_row& by, std::vector<engine::append> what);
  std::optional<conformance::writer> pen_of(const engine::run_id& run);
  void check_kept();
  void check_run(const engine::run_row& run, const std::set<std::int64_t>& alive);
  void claim_the_rest();

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::vector<std::string> complaints_;
  std::map<std::pair<engine::run_id, engine::epoch_t>, std::int64_t> owners_;
  std::set<engine::run_id> resting_;
};

/// What a call was told, and must be true when both are over.
using truth = std::function<void(world&)>;
/// A call, ready to be made through a store, in a thread of its own.
using call = std::function<truth(engine::store&)>;

enum class caller { one, two, anybody };

/// A kind of call. `prepare` makes it ready, before anything else happens.
struct act {
  std::string name;
  caller by = caller::anybody;
  std::function<call(world&)> prepare;
};

std::vector<act> acts_on_runs();     // by their owners
std::vector<act> acts_of_others();   // messages, starts, operators
std::vector<act> acts_of_workers();  // claims, leases, rescue, tasks

}  // namespace fermata::interleavings
