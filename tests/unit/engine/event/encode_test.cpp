// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"

#include "engine/event/flags.hpp"
#include "engine/limits.hpp"
#include "sample_events.hpp"

#include <doctest/doctest.h>

#include <set>

namespace fermata::engine {
namespace {

using testing::sample_events;
using testing::sample_journal;
using testing::sample_run;

constexpr chain_hash nothing{};

event step_with(std::string value, std::string input = "{}") {
  event what{.position = 5, .kind = event_kind::step_completed, .operation = "1", .name = "render"};
  what.value = {.bytes = std::move(value), .content_type = "application/json"};
  what.input = {.bytes = std::move(input), .content_type = "application/json"};
  return what;
}

encoded_event encoded(const event& what) {
  return encode(sample_run(), nothing, what, testing::salt_for(what.position));
}

/// What a newer version, or a hand, would have left: a right checksum over something else.
encoded_event resealed(encoded_event what) {
  seal(sample_run(), nothing, what);
  return what;
}

}  // namespace

TEST_CASE("an event of every kind, with payloads of every sort, is read as it was written") {
  std::set<event_kind> kinds;
  for (const testing::sample& each : sample_events()) {
    const encoded_event stored = encoded(each.what);
    const absl::StatusOr<event> read = decode(sample_run(), stored);

    REQUIRE_MESSAGE(read.ok(), read.status().ToString());
    CHECK(testing::text_of(*read) == testing::text_of(each.what));
    kinds.insert(each.what.kind);
  }
  CHECK(kinds.size() == 31);
}

TEST_CASE("a stored event that isn't needed any more gives its bytes away, and is read alike") {
  for (const testing::sample& each : sample_events()) {
    encoded_event stored = encoded(each.what);
    const char* const bytes = stored.value.data();
    const bool as_it_lies = stored.value == each.what.value.bytes && stored.value.size() > 16;
    const absl::StatusOr<event> copied = decode(sample_run(), stored);

    const absl::StatusOr<event> read = decode(sample_run(), std::move(stored));

    REQUIRE_MESSAGE(read.ok(), read.status().ToString());
    CHECK(testing::text_of(*read) == testing::text_of(*copied));
    if (as_it_lies) CHECK(read->value.bytes.data() == bytes);
  }
}

TEST_CASE("the envelope is read like the event, without payload bytes") {
  for (const testing::sample& each : sample_events()) {
    event expected = each.what;
    expected.value.bytes.clear();
    expected.input.bytes.clear();

    const absl::StatusOr<event> read = decode_envelope(sample_run(), encoded(each.what));

    REQUIRE_MESSAGE(read.ok(), read.status().ToString());
    CHECK(testing::text_of(*read) == testing::text_of(expected));
  }
}

TEST_CASE("type fingerprints come back although the caller put none into the details") {
  event what = step_with("1", "2");
  what.value.type = 7;
  what.input.type = 8;
  const absl::StatusOr<event> step = decode(sample_run(), encoded(what));
  REQUIRE(step.ok());
  CHECK(step->value.type == 7);
  CHECK(step->input.type == 8);
  CHECK(step->details.step().result_type() == 7);
  CHECK(step->details.step().input_type() == 8);

  for (const event_kind kind :
       {event_kind::run_started, event_kind::compensation_registered, event_kind::published,
        event_kind::tagged, event_kind::signal_sent, event_kind::signal_received,
        event_kind::child_completed, event_kind::run_completed, event_kind::run_continued}) {
    event other{.position = 1, .kind = kind};
    other.value = {.bytes = "1", .content_type = "application/json", .type = 9};
    const absl::StatusOr<event> read = decode(sample_run(), encoded(other));
    REQUIRE(read.ok());
    CHECK_MESSAGE(read->value.type == 9, text_of(kind));
  }
}

TEST_CASE("equal events have equal bytes, in whatever order their tags were put in") {
  event first{.position = 1};
  event second{.position = 1};
  for (char c = 'a'; c <= 'z'; ++c) {
    (*first.details.mutable_started()->mutable_tags())[std::string(1, c)] = "x";
    const char other = static_cast<char>('a' + 'z' - c);
    (*second.details.mutable_started()->mutable_tags())[std::string(1, other)] = "x";
  }

  CHECK(encoded(first).details == encoded(second).details);
  CHECK(encoded(first).chain == encoded(second).chain);
}

TEST_CASE("payloads are compressed from 4 KiB on, and only when it saves a tenth") {
  std::string noise(5'000, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1'664'525 + 1'013'904'223) >> 24);

  CHECK(encoded(step_with(std::string(4'095, 'x'))).codec == 0x00);
  CHECK(encoded(step_with(std::string(4'096, 'x'))).codec == 0x01);
  CHECK(encoded(step_with("1", std::string(4'096, 'x'))).codec == 0x10);
  CHECK(encoded(step_with(noise)).codec == 0x00);
  CHECK(encoded(step_with(std::string(20'000, 'x'))).value.size() < 100);
}

TEST_CASE("the largest payload is read as it was written, a larger one is refused by name") {
  const event largest = step_with(std::string(limits::payload_max, 'x'));
  event larger = largest;
  larger.value.bytes += 'x';
  event named = step_with("1");
  named.name = std::string(limits::name_max + 1, 'n');

  REQUIRE(check_limits(largest).ok());
  const absl::StatusOr<event> read = decode(sample_run(), encoded(largest));
  REQUIRE(read.ok());
  CHECK(read->value.bytes == largest.value.bytes);
  CHECK(check_limits(larger).message() ==
        "step_completed 'render': its value has 8388609 bytes, the limit is 8388608 (payload_max); "
        "keep large data elsewhere and pass its address");
  CHECK(std::string(check_limits(named).message()).find("limit is 128 (name_max)") !=
        std::string::npos);
}

TEST_CASE("a kind, codec or key that this version doesn't know is UNIMPLEMENTED, not damage") {
  encoded_event kind = encoded(step_with("1"));
  kind.kind = static_cast<event_kind>(18);
  encoded_event codec = encoded(step_with("1"));
  codec.codec = 0x20;
  encoded_event key = encoded(step_with("1"));
  key.key_id = 3;

  for (const encoded_event& what : {resealed(kind), resealed(codec), resealed(key)}) {
    const absl::Status status = decode(sample_run(), what).status();
    CHECK(status.code() == absl::StatusCode::kUnimplemented);
    CHECK(std::string(status.message()).find(sample_run().text() + ", position 5: ") !=
          std::string::npos);
  }
}

TEST_CASE("fields that a newer version added to the details are skipped when read") {
  encoded_event stored = encoded(step_with("1"));
  stored.details += "\xfa\x3e\x03new";  // field 1007, bytes

  const absl::StatusOr<event> read = decode(sample_run(), resealed(stored));

  REQUIRE(read.ok());
  CHECK(read->value.bytes == "1");
}

TEST_CASE(
    "a frame that promises gigabytes, or is no frame, is refused before anything is allocated") {
  encoded_event bomb = encoded(step_with("1"));
  bomb.codec = 1;
  bomb.value = std::string("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x01\x00\x00\x00", 13);  // 4 GiB
  CHECK(std::string(decode(sample_run(), resealed(bomb)).status().message()).find("8 MiB") !=
        std::string::npos);

  bomb.value[8] = '\x00';
  bomb.value[5] = '\x10';  // 16 bytes, which then don't come
  CHECK(decode(sample_run(), resealed(bomb)).status().code() == absl::StatusCode::kDataLoss);
  bomb.value = "no frame";
  CHECK(decode(sample_run(), resealed(bomb)).status().code() == absl::StatusCode::kDataLoss);
  bomb.value = "";
  CHECK(decode(sample_run(), resealed(bomb)).status().code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("an event moved to another run or position is found, and sealed it belongs there") {
  const run_id other = *run_id::parse("run_01ARYZ6S410000000000000000");
  encoded_event stored = encoded(step_with("1"));
  CHECK(decode(other, stored).status().code() == absl::StatusCode::kDataLoss);
  const bytes16 digest = stored.digest;

  seal(other, nothing, stored);

  CHECK(decode(other, stored).ok());
  CHECK(check_chain(other, nothing, stored).ok());
  CHECK(stored.digest == digest);
}

TEST_CASE("an event without payload has neither salt nor digest; an empty payload has both") {
  event without{.position = 1, .kind = event_kind::timer_fired, .operation = "1"};
  event empty = without;
  empty.value.content_type = "text/plain";

  CHECK(encoded(without).salt.empty());
  CHECK(encoded(without).digest.empty());
  CHECK(encoded(empty).salt.size() == 16);
  CHECK(encoded(empty).digest.size() == 16);
  CHECK(decode(sample_run(), encoded(empty))->value.present());
  CHECK_FALSE(decode(sample_run(), encoded(without))->value.present());
}

}  // namespace fermata::engine
