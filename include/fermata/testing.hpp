// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

/// For tests of workflows: virtual time, fake steps, every crash point. One thread, no sleeping.
namespace fermata::testing {

/// Something a test expected isn't so; the message tells the story.
class mismatch : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// How runs are treated between events.
enum class way {
  kept,          ///< frames stay in memory
  evicted,       ///< dropped and replayed after every event
  crash_before,  ///< the process dies before event `at` is written: the attempt is lost
  crash_after    ///< … after it was written, before anyone saw it
};

/// One world: a journal in memory, a worker and a client on it, and a clock that skips.
///
///   fermata::testing::every_way([](fermata::testing::kit& t) {
///     t.worker.serve(place_order, fulfil);
///     t.worker.serve(reserve_stock, [](const order&) { return hold{"h1"}; });
///     t.fail(ship_parcel, fermata::failure("carrier is down"));
///     auto run = t.client.start(place_order, order{.id = "o1"});
///     t.advance(1h);
///     check(run.describe().error == "failure: carrier is down");
///   });
class kit {
 public:
  explicit kit(way how = way::kept, std::size_t at = 0);
  ~kit();
  kit(const kit&) = delete;
  kit& operator=(const kit&) = delete;

 private:
  class world;
  std::unique_ptr<world> world_;  // before what lives in it

 public:
  fermata::journal journal;
  fermata::worker worker;
  fermata::client client;  ///< its `result` works and lets time pass until the run has ended

  /// Every attempt of `what` fails with `why` (the first `times` attempts, when given).
  template <class Signature>
  void fail(const step<Signature>& what, const failure& why, int times = 1 << 30) {
    fail_step(what.name(), why, times);
  }
  /// Attempts of `what` never return: its timeout ends them.
  template <class Signature>
  void hang(const step<Signature>& what, int times = 1 << 30) {
    hang_step(what.name(), times);
  }

  /// Its worker takes the queues of the steps that it serves; a queue that only a call names is said
  /// here.
  void serve_queue(std::string_view queue);

  void work();                      ///< until nothing can happen without time passing
  void advance(duration how_long);  ///< works, lets time pass, works
  time_point now() const;
  int attempts(std::string_view step) const;      ///< how often its function was entered
  std::size_t events() const;                     ///< in all runs
  std::string history(const any_run& run) const;  ///< one line per event

  /// Replays every journal from its start against the code as it is now.
  /// Throws: `mismatch` at the first difference.
  void replay_all();

 private:
  void fail_step(std::string_view step, const failure& why, int times);
  void hang_step(std::string_view step, int times);
};

/// Runs `scenario` kept, evicted after every event, and crashed before and after each of its
/// events; each time replays every journal at the end. Kept and evicted must tell the same history;
/// a crash may take attempts with it, but each run must end as it does without.
/// Returns: how many worlds that were.
/// Throws: `mismatch` with both stories; what `scenario` throws.
int every_way(const std::function<void(kit&)>& scenario);

}  // namespace fermata::testing
