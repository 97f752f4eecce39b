// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/durations.hpp"

#include <chrono>
#include <string>

using fermata::duration;
using fermata::detail::format_duration;
using fermata::detail::parse_duration;
using namespace std::chrono_literals;

TEST_CASE("durations are read as people write them") {
  CHECK(parse_duration("10s") == 10s);
  CHECK(parse_duration("5min") == 5min);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("1.5h") == 90min);
  CHECK(parse_duration("2d") == 48h);
  CHECK(parse_duration("3d 4h") == 76h);
  CHECK(parse_duration(" 1h30min  5s ") == 1h + 30min + 5s);
  CHECK(parse_duration("0") == 0ms);
  CHECK(parse_duration("0s") == 0ms);
}

TEST_CASE("what is below a millisecond is rounded up") {
  CHECK(parse_duration("0.0001s") == 1ms);
  CHECK(parse_duration("1.25ms") == 2ms);
  CHECK(parse_duration("0.00000000001s") == 1ms);
}

TEST_CASE("what isn't a duration isn't read as one") {
  for (const char* text : {"", " ", "10", "s", "-5s", "5 s", "5seconds", "1s 1h", "1s 1s", "1.s",
                           ".5s", "10s!", "1e3s", "9999999999999999999s", "292277026597d"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text).has_value());
  }
}

TEST_CASE("durations are written in two units at most") {
  CHECK(format_duration(0ms) == "0ms");
  CHECK(format_duration(250ms) == "250ms");
  CHECK(format_duration(1200ms) == "1.2s");
  CHECK(format_duration(10s) == "10s");
  CHECK(format_duration(59'999ms) == "59.9s");
  CHECK(format_duration(5min + 3s) == "5min 3s");
  CHECK(format_duration(2h) == "2h");
  CHECK(format_duration(76h) == "3d 4h");
  CHECK(format_duration(76h + 59min) == "3d 4h");
  CHECK(format_duration(-1500ms) == "-1.5s");
}

TEST_CASE("a written duration is read back, but for what was cut") {
  for (const duration span : {duration(1), duration(999), duration(1500), duration(59'900),
                              duration(303'000), duration(273'600'000)})
    CHECK(parse_duration(format_duration(span)) == span);
}
