// SPDX-License-Identifier: Apache-2.0
// Histories that were recorded once, replayed and taken over by today's worker.
#include "engine/event/encode.hpp"
#include "engine/operate/verify.hpp"
#include "history.hpp"
#include "scenes.hpp"
#include "src/journal_impl.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace replay {

namespace {

using fermata::testing::mismatch;
using fermata::testing::way;

engine::store& store_of(kit& t) { return fermata::detail::inside(t.journal).store(); }

const scene& scene_of(const recording& what) {
  static const std::vector<scene> all = all_scenes();
  const auto found = std::ranges::find(all, what.scene, &scene::name);
  REQUIRE_MESSAGE(found != all.end(), what.file, ": its scene is gone");
  return *found;
}

/// Nothing is due yet: it is as late as it was when the last of these events was written.
void wait_for(kit& t, engine::time_us at) {
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(t.now().time_since_epoch());
  const auto missing = std::chrono::microseconds(at) - now;
  if (missing.count() > 0) t.advance(std::chrono::ceil<fermata::duration>(missing));
}

/// A world of today in which these events have happened.
void resume(kit& t, const recording& from, const std::vector<recorded_run>& runs) {
  engine::time_us last = 0;
  for (const recorded_run& run : runs) last = std::max(last, run.events.back().at);
  wait_for(t, last);
  scene_of(from).serve(t);
  for (const recorded_run& run : runs) put_in(store_of(t), run, run.events.size());
}

recorded_run first_of(const recorded_run& run, std::size_t events) {
  recorded_run part = run;
  part.events.resize(events);
  return part;
}

std::string findings(kit& t) {
  std::string told;
  engine::verify_options how;
  how.found = [&](const engine::finding& one) {
    told += fmt::format("{} {}: {}\n", one.run.text(), one.position, one.what);
  };
  REQUIRE(engine::verify(store_of(t), how).ok());
  return told;
}

/// What an end says; when and by whom it was written may differ.
std::string told(const engine::encoded_event& end) {
  return fmt::format("{} {} {} {}\n", engine::text_of(end.kind), end.name, end.value,
                     to_hex(end.details));
}

/// Its owner wrote the end, which follows from the events before it. (Attempts that were abandoned
/// were known to that process alone.)
bool end_follows(const recorded_run& run) {
  const engine::event end = decoded(run).back();
  return (end.kind == engine::event_kind::run_completed ||
          end.kind == engine::event_kind::run_failed ||
          end.kind == engine::event_kind::run_cancelled) &&
         end.details.ended().abandoned().empty();
}

const recording& recording_of(std::string_view scene) {
  const auto& all = all_recordings();
  const auto found = std::ranges::find(all, scene, &recording::scene);
  REQUIRE(found != all.end());
  return *found;
}

/// Why code and journal don't fit; empty: they do.
std::string block_of(kit& t, const recorded_run& run) {
  const auto row = store_of(t).find_run(run.run);
  REQUIRE(row.ok());
  const bool asks = row->attention == engine::attention::none ||
                    row->attention == engine::attention::needs_attention;
  return asks ? "" : row->report;
}

}  // namespace

TEST_CASE("every scene has a history, every history a scene, and each state is among them") {
  std::set<std::string> recorded;
  std::set<engine::run_state> states;
  std::set<engine::event_kind> kinds;
  for (const recording& one : all_recordings()) {
    CHECK(one.file.ends_with("/" + one.scene + ".jsonl"));
    recorded.insert(scene_of(one).name.data());
    for (const recorded_run& run : one.runs) {
      states.insert(run.state);
      for (const engine::encoded_event& e : run.events) kinds.insert(e.kind);
    }
  }

  for (const scene& one : all_scenes())
    CHECK_MESSAGE(recorded.contains(std::string(one.name)), one.name, " has no history");
  // Nothing continues runs yet; a run that waits for its start has no events; a task is put with
  // attempt_started.
  CHECK(states.size() == 7);
  for (int n = 1; n < 128; ++n) {
    const auto kind = static_cast<engine::event_kind>(n);
    const bool written =
        kind != engine::event_kind::step_scheduled && kind != engine::event_kind::run_continued;
    if (engine::text_of(kind).empty() || !written) continue;
    CHECK_MESSAGE(kinds.contains(kind), "no history has a ", engine::text_of(kind));
  }
}

TEST_CASE("every recorded event is whole, and written back as it was read") {
  for (const recording& one : all_recordings()) {
    CAPTURE(one.file);
    for (const recorded_run& run : one.runs) CHECK_NOTHROW(decoded(run));
    CHECK(text_of(read_recording(one.file, text_of(one))) == text_of(one));
  }
}

TEST_CASE("every recorded history replays against today's code, and verifies") {
  for (const recording& one : all_recordings()) {
    CAPTURE(one.file);
    kit t;
    resume(t, one, one.runs);

    CHECK_NOTHROW(t.replay_all());
    CHECK(findings(t) == "");
  }
}

TEST_CASE("a worker that takes a run over before its end ends it as it was ended") {
  for (const recording& one : all_recordings()) {
    for (const recorded_run& run : one.runs) {
      if (!end_follows(run)) continue;
      INFO(one.file, " ", run.run.text());
      kit t(way::evicted);
      resume(t, one, {first_of(run, run.events.size() - 1)});

      t.advance(1h);

      CHECK(block_of(t, run) == "");
      const auto last = store_of(t).read_events(run.run, run.events.size(), 10);
      REQUIRE(last.ok());
      std::string end;
      for (const engine::encoded_event& e : *last) end += told(e);
      CHECK(end == told(run.events.back()));
    }
  }
}

TEST_CASE("a worker can take a run over after each of its events") {
  for (const recording& one : all_recordings()) {
    for (const recorded_run& run : one.runs) {
      for (std::size_t events = 1; events < run.events.size(); ++events) {
        INFO(one.file, " ", run.run.text(), " after ", events);
        kit t;
        resume(t, one, {first_of(run, events)});

        t.advance(1h);

        CHECK(block_of(t, run) == "");
      }
    }
  }
}

TEST_CASE("runs that were open are taken over and go on to their end") {
  for (const recording& one : all_recordings()) {
    if (scene_of(one).go_on == nullptr) continue;
    for (way how : {way::kept, way::evicted}) {
      CAPTURE(one.file);
      kit t(how);
      resume(t, one, one.runs);

      CHECK_NOTHROW(scene_of(one).go_on(t));

      t.work();
      CHECK_NOTHROW(t.replay_all());
      CHECK(findings(t) == "");
    }
  }
}

TEST_CASE("a recorded history notices changed code, and says where") {
  const recording& patched = recording_of("unpatched");
  kit t;
  resume(t, patched, {first_of(patched.runs.front(), 4)});
  t.worker.serve(fermata::workflow<std::string(int)>{"flow"},
                 [](fermata::context& ctx, int n) -> fermata::task<std::string> {
                   constexpr fermata::step<int(int)> thrice{"thrice"};
                   int a = co_await ctx.call(thrice, n);
                   co_return std::to_string(a);
                 });

  t.work();

  const std::string report = block_of(t, patched.runs.front());
  INFO(report);
  CHECK(report.starts_with("run " + patched.runs.front().run.text() + ", position 2"));
  CHECK(report.find("scenes_open.cpp") != std::string::npos);
}

TEST_CASE("a flipped bit in a recorded history is noticed, and so is another predecessor") {
  const recorded_run whole = recording_of("timers").runs.front();
  for (engine::encoded_event flipped : {whole.events[0], whole.events[1], whole.events[2]}) {
    const std::size_t at = flipped.position - 1;
    flipped.at ^= 1;
    recorded_run damaged = whole;
    damaged.events[at] = flipped;
    CHECK_THROWS_AS(decoded(damaged), mismatch);
  }
  recorded_run other_chain = whole;
  engine::seal(whole.run, {}, other_chain.events[3]);  // its CRC holds, its place doesn't
  CHECK_THROWS_AS(decoded(other_chain), mismatch);
}

}  // namespace replay
