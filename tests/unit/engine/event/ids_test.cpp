// SPDX-License-Identifier: Apache-2.0
#include "engine/event/ids.hpp"
#include "engine/event/kind.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/ports/real.hpp"
#include "engine/ports/simulated.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <unordered_set>

namespace fermata::engine {

TEST_CASE("the ULID specification's example time has its text") {
  const ulid id = ulid::make(1'469'918'176'385'000, {});  // 01ARYZ6S41: github.com/ulid/spec

  CHECK(id.text() == "01ARYZ6S410000000000000000");
}

TEST_CASE("the largest and the smallest ULID survive text and back") {
  ulid all_ones;
  all_ones.bytes.fill(0xff);

  CHECK(all_ones.text() == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
  CHECK(ulid::parse(all_ones.text()) == all_ones);
  CHECK(ulid{}.text() == "00000000000000000000000000");
  CHECK(ulid::parse(ulid{}.text()) == ulid{});
}

TEST_CASE("any ULID survives text and back, lower case too, and text order is byte order") {
  manual_clock time;
  seeded_random chance(1);
  ulid before;
  for (int i = 0; i < 1'000; ++i) {
    time.advance(1'000);
    const ulid id = next_ulid(time, chance);
    std::string lower = id.text();
    for (char& c : lower) c = static_cast<char>(std::tolower(c));

    REQUIRE(ulid::parse(id.text()) == id);
    REQUIRE(ulid::parse(lower) == id);
    REQUIRE(before.text() < id.text());
    before = id;
  }
}

TEST_CASE("text that isn't a ULID is refused") {
  CHECK_FALSE(ulid::parse(""));
  CHECK_FALSE(ulid::parse("01ARYZ6S41"));
  CHECK_FALSE(ulid::parse("80000000000000000000000000"));  // 130 bits
  CHECK_FALSE(ulid::parse("01ARYZ6S41000000000000000I"));
  CHECK_FALSE(ulid::parse("01ARYZ6S41000000000000000O"));
  CHECK_FALSE(ulid::parse("01ARYZ6S41000000000000000\xc3"));
  CHECK_FALSE(run_id::parse("01ARYZ6S410000000000000000"));
  CHECK_FALSE(run_id::parse("wrk_01ARYZ6S410000000000000000"));
  CHECK(ulid::from_view("too short").empty());
}

TEST_CASE("ids say what they are") {
  const ulid id = *ulid::parse("01ARYZ6S410000000000000000");

  CHECK(run_id::of(id).text() == "run_01ARYZ6S410000000000000000");
  CHECK(message_id::of(id).text() == "msg_01ARYZ6S410000000000000000");
  CHECK(worker_id::of(id).text() == "wrk_01ARYZ6S410000000000000000");
  CHECK(run_id::parse("run_01ARYZ6S410000000000000000") == run_id::of(id));
  CHECK(worker_id::parse("wrk_01ARYZ6S410000000000000000") == worker_id::of(id));
}

TEST_CASE("a child asked for twice is one child, and another operation's is another") {
  const run_id parent = *run_id::parse("run_01ARYZ6S410000000000000000");

  CHECK(child_run_id(parent, "3.2", 1'000'999) == child_run_id(parent, "3.2", 1'000'000));
  CHECK(child_run_id(parent, "3.2", 1'000'000) != child_run_id(parent, "3.3", 1'000'000));
  CHECK(child_run_id(parent, "3.2", 1'000'000) != child_run_id(run_id{}, "3.2", 1'000'000));
}

TEST_CASE("an idempotency key names origin, operation and step") {
  const run_id origin = *run_id::parse("run_01ARYZ6S410000000000000000");

  CHECK(idempotency_key(origin, "3.2", "charge_card") ==
        "run_01ARYZ6S410000000000000000/3.2/charge_card");
}

TEST_CASE("every kind, state and attention has a word, and the word finds it again") {
  int kinds = 0;
  for (int number = 0; number < 256; ++number) {
    const auto kind = static_cast<event_kind>(number);
    if (text_of(kind).empty()) continue;
    ++kinds;
    CHECK(event_kind_of(text_of(kind)) == kind);
  }
  CHECK(kinds == 31);
  for (const run_state state :
       {run_state::waiting_to_start, run_state::running, run_state::expired}) {
    CHECK(run_state_of(text_of(state)) == state);
  }
  for (const attention what : {attention::none, attention::blocked, attention::needs_attention}) {
    CHECK(attention_of(text_of(what)) == what);
  }
  CHECK(text_of(static_cast<event_kind>(18)).empty());  // stream_written: reserved
  CHECK(text_of(static_cast<run_state>(200)).empty());
  CHECK_FALSE(event_kind_of("stream_written"));
  CHECK(text_of(operation_kind::branch) == "branch");
}

TEST_CASE("the same seed gives the same ids, and the real source never gives one twice") {
  manual_clock time;
  seeded_random first(42);
  seeded_random second(42);
  CHECK(new_run_id(time, first) == new_run_id(time, second));
  CHECK(new_message_id(time, first) == new_message_id(time, second));
  CHECK(new_worker_id(time, first) == new_worker_id(time, second));

  real_clock now;
  real_random chance;
  std::unordered_set<run_id> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(new_run_id(now, chance));
  CHECK(seen.size() == 10'000);
}

TEST_CASE("a forked child doesn't repeat its parent's random bytes") {
  real_random chance;
  (void)chance.next64();  // the buffer is full of bytes not yet handed out
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::uint64_t theirs = chance.next64();
    const bool written = write(ends[1], &theirs, sizeof theirs) == sizeof theirs;
    _exit(written ? 0 : 1);
  }
  const std::uint64_t ours = chance.next64();
  std::uint64_t theirs = 0;
  REQUIRE(read(ends[0], &theirs, sizeof theirs) == sizeof theirs);
  REQUIRE(waitpid(child, nullptr, 0) == child);
  close(ends[0]);
  close(ends[1]);

  CHECK(ours != theirs);
}

TEST_CASE("more random bytes than the buffer holds are all random") {
  real_random chance;
  std::string bytes(10'000, '\0');

  chance.fill(bytes.data(), bytes.size());

  CHECK(std::set<char>(bytes.begin(), bytes.end()).size() > 200);
  CHECK(bytes.substr(9'900) != std::string(100, '\0'));
}

TEST_CASE("a jump of the wall clock doesn't move leases; time that passes moves all three clocks") {
  manual_clock time;
  const std::int64_t boot = time.boot_now_us();
  const std::int64_t steady = time.steady_now_us();

  time.set(5'000'000);
  time.advance(7);

  CHECK(time.wall_now() == 5'000'007);
  CHECK(time.boot_now_us() == boot + 7);
  CHECK(time.steady_now_us() == steady + 7);
}

}  // namespace fermata::engine
