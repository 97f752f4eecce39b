// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/tasks.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace fermata::conformance {

/// A run that has put tasks, and workers that execute them.
struct remote {
  remote() : owner(scene.join()), run(scene, scene.begin(owner)) {}

  task_row task(std::string operation = "1", std::string queue = "gpu") {
    task_row made;
    made.operation = std::move(operation);
    made.queue = std::move(queue);
    made.step = "render";
    made.not_before = scene.now();
    made.input = text_payload("picture");
    made.key = "key";
    return made;
  }
  /// Journals that the attempt begins, with its task.
  task_row put(task_row what) {
    event started = plain(event_kind::attempt_started);
    started.operation = what.operation;
    started.details.mutable_attempt()->set_number(what.attempt);
    started.details.mutable_attempt()->set_queue(what.queue);
    append one = run.next({started});
    what.epoch = one.events.back().position;
    one.tasks.push_back(what);
    CHECK(run.land(one) == landing::landed);
    return what;
  }
  claim_request wants(int at_most = 10, std::vector<std::string> queues = {"gpu"}) {
    claim_request what = scene.wants(0);
    what.workflows.clear();
    what.rooms = {{std::move(queues), at_most}};
    what.steps = {"render"};
    return what;
  }
  std::vector<task_row> take(const worker_row& by, int at_most = 10) {
    return scene.claim(by, wants(at_most)).tasks;
  }
  task_row take_one(const worker_row& by) {
    const std::vector<task_row> taken = take(by);
    REQUIRE(taken.size() == 1);
    return taken[0];
  }
  finish_result finish(std::int64_t by, const task_row& what, std::string value = "done") {
    batch one;
    one.worker = by;
    message told = outcome_of(what, task_end::value);
    told.value = text_payload(value);
    one.finish.push_back({name_of(what), told});
    auto done = scene.journal->commit(std::move(one));
    REQUIRE_MESSAGE(done.ok(), done.status().ToString());
    REQUIRE(done->finished.size() == 1);
    return done->finished[0];
  }
  std::vector<message> inbox() { return *scene.journal->inbox(run.chain); }
  std::vector<task_row> tasks() { return *scene.journal->tasks(run.run); }
  std::vector<timer_row> timers() { return *scene.journal->timers(run.run); }
  task_end how() {
    const std::vector<message> all = inbox();
    REQUIRE(all.size() == 1);
    CHECK(all[0].kind == message_kind::step_outcome);
    return static_cast<task_end>(all[0].details.task_end().how());
  }

  fermata::conformance::scene scene;
  worker_row owner;
  writer run;
};

}  // namespace fermata::conformance
