// SPDX-License-Identifier: Apache-2.0
#include "engine/store/tasks.hpp"
#include "tests/attack/interleavings/world.hpp"

#include <algorithm>
#include <utility>

namespace fermata::interleavings {

using namespace engine;
using conformance::second;

namespace {

call claiming(std::int64_t worker, claim_request what) {
  return [worker, what = std::move(what)](store& through) -> truth {
    batch one;
    one.worker = worker;
    one.claim = what;
    const auto done = through.commit(std::move(one));
    if (!done.ok()) return [](world&) {};
    return [worker, taken = done->claimed](world& at) {
      for (const claimed& run : taken) {
        at.owns(worker, run.run.run, run.run.epoch);
        const auto first = at.plain.read_events(run.run.run, 1, 1);
        if (!first.ok() || first->empty()) at.not_so("a claimed run has no events");
      }
    };
  };
}

call claim_by_one(world& at) { return claiming(at.one.row, at.wants(at.scene.now())); }
call claim_by_idle(world& at) { return claiming(at.idle.row, at.wants(at.scene.now())); }
call claim_by_two(world& at) { return claiming(at.two.row, at.wants(at.scene.now())); }
/// For a clock that is behind, the late request isn't late.
call claim_by_slow_clock(world& at) {
  return claiming(at.two.row, at.wants(at.scene.now() - 20 * second));
}

call renewing(world& at) {
  const std::int64_t until = at.plain.boot_now() + 1'000 * second;
  const std::int64_t worker = at.one.row;
  return [=](store& through) -> truth {
    const absl::Status told = through.renew(worker, until);
    return [=](world& in) {
      const auto workers = in.plain.workers();
      const auto row = std::ranges::find(*workers, worker, &worker_row::row);
      const bool over = row == workers->end() || row->dead || row->gone;
      if (absl::IsNotFound(told) && !over) in.not_so("a worker that isn't dead was told it is");
    };
  };
}

/// As a guard does when its worker owned nothing a moment ago. `world::check` knows what must not come of it.
call taking_back(world& at) {
  return [worker = at.idle.row](store& through) -> truth {
    const absl::Status told = through.renew(worker, 0);
    return [told](world& in) {
      if (!told.ok()) in.not_so("a lease wasn't taken back: " + std::string(told.message()));
    };
  };
}

bool owns_something(const world& at, std::int64_t worker) {
  const auto runs = at.plain.list({.space = at.space, .at_most = 1'000});
  const auto tasks = at.plain.held_tasks(worker);
  return std::ranges::any_of(*runs, [&](const run_row& run) { return run.owner == worker; }) ||
         !tasks->empty();
}

call leaving(std::int64_t worker) {
  return [worker](store& through) -> truth {
    const absl::Status told = through.leave(worker);
    return [=](world& at) {
      if (told.ok() && owns_something(at, worker))
        at.not_so("a worker that has left has something");
    };
  };
}
call leave_one(world& at) { return leaving(at.one.row); }
call leave_two(world& at) { return leaving(at.two.row); }

call release_all(world& at) {
  return [worker = at.one.row](store& through) -> truth {
    const absl::Status told = through.release(worker, {});
    return [told](world& in) {
      if (!told.ok()) in.not_so("a release failed: " + std::string(told.message()));
    };
  };
}
call release_owned(world& at) {
  return [worker = at.one.row, run = at.owned->run](store& through) -> truth {
    const absl::Status told = through.release(worker, {run});
    return [told](world& in) {
      if (!told.ok()) in.not_so("a release failed: " + std::string(told.message()));
    };
  };
}

/// Both halves, as a guard does them.
call rescue(world& at) {
  return [me = at.two.row](store& through) -> truth {
    const auto dead = through.rescue(me);
    if (!dead.ok()) return [](world&) {};
    std::vector<std::int64_t> released;
    for (const worker_row& worker : *dead)
      if (through.release_dead(worker.row).ok()) released.push_back(worker.row);
    return [released, me](world& in) {
      for (const std::int64_t worker : released) {
        if (worker == me) in.not_so("a worker rescued itself");
        if (owns_something(in, worker)) in.not_so("a dead worker that was released has something");
      }
    };
  };
}

/// Its outcome is told once, whoever tells it.
call finish(world& at) {
  return [task = at.task, worker = at.two.row](store& through) -> truth {
    message outcome = outcome_of(task, task_end::value);
    outcome.value = conformance::text_payload("done");
    batch one;
    one.worker = worker;
    one.finish = {{name_of(task), outcome}};
    const auto done = through.commit(std::move(one));
    return [=](world& in) {
      const int there = in.count(task.chain, outcome_id(name_of(task)));
      if (there > 1) in.not_so("a task's outcome is there twice");
      if (done.ok() && done->finished[0] == finish_result::accepted && there != 1)
        in.not_so("a task's outcome that was accepted isn't there");
    };
  };
}

call beat(world& at) {
  return [task = at.task](store& through) -> truth {
    const absl::Status told = through.put_heartbeat({.run = task.run,
                                                     .operation = task.operation,
                                                     .attempt = 1,
                                                     .at = 0,
                                                     .details = {},
                                                     .epoch = task.epoch});
    return [told](world& in) {
      if (!told.ok() && !absl::IsNotFound(told))
        in.not_so("a heartbeat failed: " + std::string(told.message()));
    };
  };
}

}  // namespace

std::vector<act> acts_of_workers() {
  return {{"claim by its owner", caller::one, claim_by_one},
          {"claim by who owned nothing", caller::one, claim_by_idle},
          {"claim", caller::two, claim_by_two},
          {"claim by a slow clock", caller::two, claim_by_slow_clock},
          {"renew", caller::one, renewing},
          {"take a lease back", caller::one, taking_back},
          {"leave", caller::one, leave_one},
          {"leave by the other", caller::two, leave_two},
          {"release all", caller::one, release_all},
          {"release one", caller::one, release_owned},
          {"rescue", caller::two, rescue},
          {"finish a task", caller::two, finish},
          {"heartbeat of a task", caller::two, beat}};
}

}  // namespace fermata::interleavings
