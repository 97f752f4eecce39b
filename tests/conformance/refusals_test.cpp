// SPDX-License-Identifier: Apache-2.0
// What every store refuses, and how it says so.
#include "engine/store/status.hpp"
#include "tests/conformance/writer.hpp"

#include <doctest/doctest.h>

namespace fermata::conformance {
namespace {

TEST_CASE("a journal begins with at least one event, also of a copy and of a request that ends") {
  scene scene;
  const start_request waiting = scene.request();
  scene.start(waiting);
  start_request copy = scene.request();

  CHECK(scene.journal->end_request(waiting.run, {}, {}, {}).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(scene.journal->begin_copy(copy, {}, {}, {}).code() == absl::StatusCode::kInvalidArgument);

  CHECK(scene.row(waiting.run).state == run_state::waiting_to_start);
  CHECK(scene.journal->find_run(copy.run).status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("a request that hasn't begun has no events yet, and an unknown run isn't there") {
  scene scene;
  const start_request waiting = scene.request();
  scene.start(waiting);

  const auto none = scene.journal->read_events(waiting.run, 1, 10);
  REQUIRE(none.ok());
  CHECK(none->empty());
  const auto nothing = scene.journal->read_head(waiting.run);
  REQUIRE(nothing.ok());
  CHECK(nothing->position == 0);

  const run_id unknown = scene.new_run();
  CHECK(scene.journal->read_events(unknown, 1, 10).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->read_head(unknown).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->find_chain(unknown).status().code() == absl::StatusCode::kNotFound);
  CHECK(scene.journal->published(unknown, "draft").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("a body that answers events with a gap appends nothing") {
  scene scene;
  writer run(scene, scene.begin(scene.join()));
  append made = run.next({step_completed("1"), step_completed("2")});
  append with_body = run.next();
  with_body.body = [&](void*) -> absl::StatusOr<std::vector<encoded_event>> {
    return std::vector<encoded_event>{made.events[1]};
  };

  const append_result result = run.result(with_body);

  CHECK(result.how == landing::body_failed);
  CHECK(result.body.code() == absl::StatusCode::kInternal);
  CHECK(scene.events(run.run).size() == 1);
  CHECK(run.land(made) == landing::landed);
}

TEST_CASE("who isn't registered serves nothing") {
  scene scene;
  serving_row row;
  row.kind = "workflow";
  row.name = "pay";

  CHECK(scene.journal->put_serving(99, {row}).code() == absl::StatusCode::kNotFound);

  CHECK(scene.journal->serving()->empty());
}

}  // namespace
}  // namespace fermata::conformance
