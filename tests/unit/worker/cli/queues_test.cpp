// SPDX-License-Identifier: Apache-2.0
// Steps on queues of their own, as the command tells of them.
#include "tests/unit/worker/cli/prepared.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

using namespace fermata::cli;
namespace engine = fermata::engine;
namespace json = boost::json;

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A worker has begun order-42, which has put a step.
struct waiting : prepared {
  explicit waiting(int attempt = 1)
      : worker(join({"place_order"})), run(ask("place_order", "order-42")) {
    claim(worker);
    put_task(run, "render", "gpu", attempt);
  }
  json::object explained() {
    const ran shown = call({"explain", "order-42", "-o", "json", "--time", "relative"});
    REQUIRE_MESSAGE(shown.code == 0, shown.err);
    return json::parse(shown.out).as_object();
  }
  engine::task_row take(const worker_row& by) {
    engine::batch one;
    one.worker = by.row;
    one.claim.emplace();
    one.claim->now = journal->now();
    one.claim->rooms = {{{"gpu"}, 1}};
    one.claim->steps = {"render"};
    auto done = journal->commit(std::move(one));
    REQUIRE(done.ok());
    REQUIRE(done->tasks.size() == 1);
    return done->tasks[0];
  }
  worker_row worker;
  run_id run;
};

}  // namespace

TEST_CASE("a step whose queue nobody serves: who could, and how to start one") {
  waiting p;
  p.pass(180 * second);
  const json::object why = p.explained();

  CHECK(why.at("reason") == "step_not_served");
  CHECK(why.at("sentence") ==
        "order-42: step 'render' waits in queue gpu for 3m; no worker serves it.");
  CHECK(has(json::serialize(why.at("advice")), "serves step 'render', with --queue gpu"));
  CHECK(has(p.call({"status"}, 100).out,
            "1 attempt at step 'render' waits in queue gpu for 3m; no worker serves it"));
  CHECK(has(p.call({"show", "order-42"}, 100).out, "waits in queue gpu for 3m"));
  CHECK(has(p.call({"show", "order-42"}, 100).out, "step queued"));
  CHECK(has(p.call({"trace", "order-42"}, 100).out, "queued for gpu"));
}

TEST_CASE("a queue that is served by workers without the step says so") {
  waiting p;
  p.join_queue("gpu", {"encode"});

  CHECK(has(std::string(p.explained().at("sentence").as_string()),
            "1 worker serves it, none of them has step 'render'"));
}

TEST_CASE("a step that somebody could take waits for room") {
  waiting p(2);
  const worker_row gone = p.join_queue("gpu", {"render"});
  p.join_queue("gpu", {"render"});
  CHECK(p.journal->leave(gone.row).ok());
  const json::object why = p.explained();

  CHECK(why.at("reason") == "step_queued");
  CHECK(has(std::string(why.at("sentence").as_string()),
            ", attempt 2; 1 worker could take it, when there is room"));
  CHECK(!has(p.call({"status"}, 100).out, "no worker serves it"));
}

TEST_CASE("a step that is executed says by whom, which attempt, and when it was heard of") {
  waiting p(2);
  const worker_row gpu = p.join_queue("gpu", {"render"});
  const engine::task_row task = p.take(gpu);
  p.pass(7 * second);
  CHECK(p.journal
            ->put_heartbeat({.run = p.run,
                             .operation = "1",
                             .attempt = 2,
                             .at = p.journal->now(),
                             .epoch = task.epoch})
            .ok());
  p.pass(3 * second);
  const json::object why = p.explained();

  CHECK(why.at("reason") == "step_executing");
  CHECK(std::string(why.at("sentence").as_string()) ==
        "order-42: step 'render' is executed by worker " + gpu.id.text() +
            " (process 4711 on gpu-host) of queue gpu, attempt 2, for 10s, heartbeat 3s ago.");
  const json::object shown =
      json::parse(p.call({"show", "order-42", "-o", "json"}).out).as_object();
  const json::object& told = shown.at("tasks").as_array().at(0).as_object();
  CHECK(told.at("state") == "executing");
  CHECK(std::string(told.at("worker").as_string()) == gpu.id.text());
  CHECK(told.at("attempt") == 2);
  const json::object status = json::parse(p.call({"status", "-o", "json"}).out).as_object();
  const json::object& queue = status.at("queues").as_array().at(0).as_object();
  CHECK(queue.at("executing") == 1);
  CHECK(queue.at("waiting") == 0);
  CHECK(queue.at("workers") == 1);
  const ran screen = p.call({"status"}, 120);
  CHECK_MESSAGE(has(screen.out, "Steps in queues"), screen.out);
}

TEST_CASE("a step that should be in its queue and isn't is told of, with what helps") {
  waiting p;
  engine::task_row task = p.take(p.join_queue("gpu", {"render"}));
  const run_row row = p.row(p.run);
  CHECK(p.explained().at("reason") == "step_executing");
  engine::batch one;
  engine::append gone;
  gone.run = p.run;
  gone.chain = row.chain;
  gone.row = row.row;
  gone.epoch = row.epoch + 1;
  const engine::head last = *p.journal->read_head(p.run);
  gone.after = last.position;
  gone.after_hash = last.hash;
  gone.by_operator = true;
  gone.tasks_gone = {task.operation};
  one.appends.push_back(std::move(gone));
  REQUIRE(p.journal->commit(std::move(one)).ok());

  const json::object why = p.explained();
  CHECK(why.at("reason") == "step_missing");
  CHECK(has(json::serialize(why.at("next")), "fermata signal order-42 look"));
}

TEST_CASE("a withdrawn step, and one whose worker is dead, say so") {
  waiting p;
  const worker_row gpu = p.join_queue("gpu", {"render"});
  p.take(gpu);
  p.pass(20 * second);
  REQUIRE(p.journal->rescue(p.worker.row)->size() == 1);

  CHECK(has(std::string(p.explained().at("sentence").as_string()),
            "; that worker is dead, and its attempt is taken back as soon as another looks"));
  CHECK(has(p.call({"doctor"}).out, "is dead and 1 step is not taken over yet"));
}
