// SPDX-License-Identifier: Apache-2.0
// Every column of an event, flipped as it is read; missing and repeated events.
#include "bench.hpp"
#include "damaged_store.hpp"
#include "passing_store.hpp"

#include "engine/event/encode.hpp"

#include <doctest/doctest.h>

#include <functional>

namespace {

using namespace fermata::engine;
using namespace fermata::engine::testing;

struct column {
  const char* name;
  std::function<void(encoded_event&)> flip;
};

template <class Text>
void flip(Text& of) {
  std::string bytes{std::string_view(of)};
  bytes.empty() ? bytes.push_back('x') : void(bytes[0] ^= 1);
  of = std::string_view(bytes);
}

std::vector<column> columns() {
  return {
      {"position", [](encoded_event& e) { e.position += 4; }},
      {"kind", [](encoded_event& e) { e.kind = event_kind::step_failed; }},
      {"epoch", [](encoded_event& e) { e.epoch ^= 1; }},
      {"at", [](encoded_event& e) { e.at ^= 1; }},
      {"operation", [](encoded_event& e) { flip(e.operation); }},
      {"name", [](encoded_event& e) { flip(e.name); }},
      {"place", [](encoded_event& e) { flip(e.place); }},
      {"flags", [](encoded_event& e) { e.flags ^= 1; }},
      {"codec", [](encoded_event& e) { e.codec ^= 1; }},
      {"key_id", [](encoded_event& e) { e.key_id ^= 1; }},
      {"content_type", [](encoded_event& e) { flip(e.content_type); }},
      {"input_content_type", [](encoded_event& e) { flip(e.input_content_type); }},
      {"value", [](encoded_event& e) { flip(e.value); }},
      {"input", [](encoded_event& e) { flip(e.input); }},
      {"salt", [](encoded_event& e) { flip(e.salt); }},
      {"digest", [](encoded_event& e) { flip(e.digest); }},
      {"details", [](encoded_event& e) { flip(e.details); }},
      {"chain", [](encoded_event& e) { e.chain[0] ^= 1; }},
      {"crc", [](encoded_event& e) { e.crc ^= 1; }},
  };
}

struct scene {
  bench b;
  run_id run, other;

  scene() {
    run = b.begin();
    other = b.begin();
    b.write(run, {step_done("1", "charge", 1, "a value"), tagged("2", "customer", "acme")});
    b.write(other, {step_done("1", "charge", 1, "a value")});
    b.write(run, {published("3", "draft", "one")});
    b.write(run, {completed()}, then::end);
    b.write(other, {completed()}, then::end);
  }

  std::vector<std::string> found(const damaged_store::damage& damage) {
    return b.findings(damaged_store(*b.store, run, damage));
  }
  std::string at(position_t position) const {
    return run.text() + "@" + std::to_string(position) + ":";
  }
};

TEST_CASE("a flip in any column of any event is found there, and nowhere else") {
  scene s;
  for (position_t position = 1; position <= 5; ++position) {
    for (const column& one : columns()) {
      const auto found = s.found([&](std::vector<stored_event>& events) {
        for (stored_event& e : events) {
          if (e.run == s.run && e.what.position == position) {
            one.flip(e.what);
            break;
          }
        }
      });

      CAPTURE(one.name);
      CAPTURE(position);
      REQUIRE(found.size() == 1);
      CHECK(found[0].starts_with(s.at(position)));
    }
  }
}

TEST_CASE("a missing event is found at its position, and nothing else") {
  scene s;
  for (position_t position = 1; position <= 4; ++position) {
    const auto found = s.found([&](std::vector<stored_event>& events) {
      std::erase_if(events, [&](const stored_event& e) {
        return e.run == s.run && e.what.position == position;
      });
    });

    CAPTURE(position);
    REQUIRE(found.size() == 1);
    CHECK(found[0].starts_with(s.at(position)));
    CHECK(found[0].find("missing") != std::string::npos);
  }
}

TEST_CASE("a journal whose end was cut off isn't what its row says") {
  scene s;
  const auto found = s.found([&](std::vector<stored_event>& events) {
    std::erase_if(events,
                  [&](const stored_event& e) { return e.run == s.run && e.what.position == 5; });
  });

  REQUIRE_FALSE(found.empty());
  for (const std::string& one : found) CHECK(one.starts_with(s.run.text()));
}

TEST_CASE("an event behind the end is found") {
  scene s;
  const auto found = s.found([&](std::vector<stored_event>& events) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events[i].run != s.run || events[i].what.position != 5) continue;
      event second = completed();
      second.position = 6;
      second.epoch = events[i].what.epoch;
      second.at = events[i].what.at;
      stored_event behind = events[i];
      behind.what = encode(s.run, events[i].what.chain, second, std::string(16, 's'));
      events.insert(events.begin() + static_cast<std::ptrdiff_t>(i) + 1, behind);
      return;
    }
  });

  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(s.at(6)));
  CHECK(found[0].find("follows the end") != std::string::npos);
}

TEST_CASE("an event that is there twice is found") {
  scene s;
  const auto found = s.found([&](std::vector<stored_event>& events) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events[i].run != s.run || events[i].what.position != 2) continue;
      const stored_event again = events[i];
      events.insert(events.begin() + static_cast<std::ptrdiff_t>(i) + 1, again);
      return;
    }
  });

  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with(s.at(2)));
}

/// Its list leads from the oldest run back to the newest, as pages that are out of order may.
class circling_store final : public passing_store {
 public:
  using passing_store::passing_store;

  absl::StatusOr<std::vector<run_row>> list(const run_query& query) const override {
    if (++lists_ > 10) return absl::OutOfRangeError("asked again and again");
    run_query newest = query;
    newest.before = {};
    auto rows = inner_.list(newest);
    if (rows.ok() && !rows->empty()) rows->resize(query.at_most, rows->front());
    return rows;
  }

 private:
  mutable int lists_ = 0;
};

TEST_CASE("whoever verifies a journal whose list of runs leads in a circle comes to an end") {
  bench b;
  const run_id run = b.begin();
  const circling_store circling(*b.store);

  const std::vector<std::string> found = b.findings(circling);

  REQUIRE_FALSE(found.empty());
  CHECK(found.back().find("comes back to it") != std::string::npos);
  CHECK(found.back().find(run.text()) != std::string::npos);
}

}  // namespace
