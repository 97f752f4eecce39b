// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/text.hpp"
#include "worker/cli/times.hpp"

#include <fermata/error.hpp>

#include <doctest/doctest.h>

using namespace fermata::cli;

TEST_CASE("a wide character takes two columns, a combining one none") {
  CHECK(width_of("abc") == 3);
  CHECK(width_of("für") == 3);
  CHECK(width_of("漢字") == 4);
  CHECK(width_of("e\u0301") == 1);
  CHECK(width_of("\xff\xfe") == 2);
}

TEST_CASE("a text that is too wide ends with … and never in the middle of a character") {
  CHECK(truncated("charge_card", 20) == "charge_card");
  CHECK(truncated("charge_card", 7) == "charge…");
  CHECK(truncated("漢字漢字", 4) == "漢…");
  CHECK(truncated("abc", 0).empty());
}

TEST_CASE("what a user stored can't move the cursor") {
  CHECK(clean("a\nb\tc") == "a\\nb\\tc");
  CHECK(clean("\x1b[2Jgone") == "\\u001b[2Jgone");
  CHECK(clean("\u202egnp.exe") == "\\u202egnp.exe");
  CHECK(clean("für 漢字") == "für 漢字");
}

TEST_CASE("bytes and spans are written as people say them") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(5LL << 30) == "5.0 GiB");
  CHECK(span_text(0) == "0ms");
  CHECK(span_text(400) == "0.4ms");
  CHECK(span_text(250'000) == "250ms");
  CHECK(span_text(1'234'000) == "1.2s");
  CHECK(coarse_text(190'000'000) == "3m");
  CHECK(coarse_text(3 * 86'400'000'000 - 1'000'000) == "3d");
  CHECK(coarse_text(3'599'000'000) == "1h");
  CHECK(coarse_text(89'000'000) == "1m");
  CHECK(coarse_text(59'400'000) == "59s");
}

TEST_CASE("a time is relative for people, an instant for pipes, a number where it was asked for") {
  constexpr fermata::engine::time_us now = 1'704'067'200'000'000;
  CHECK(time_text(now - 180'000'000, now, time_style::relative) == "3m ago");
  CHECK(time_text(now + 7'200'000'000, now, time_style::relative) == "in 2h");
  CHECK(time_text(now, now, time_style::relative) == "just now");
  CHECK(time_text(now, now, time_style::iso) == "2024-01-01T00:00:00.000Z");
  CHECK(time_text(now, now, time_style::raw) == "1704067200000000");
  CHECK(time_text(0, now, time_style::iso).empty());
}

TEST_CASE(
    "an instant is a duration before now or a date; anything else is a usage error that names "
    "the flag") {
  constexpr fermata::engine::time_us now = 1'704'067'200'000'000;
  CHECK(read_instant("1h", "--since", now, true) == now - 3'600'000'000);
  CHECK(read_instant("1h", "--not-after", now, false) == now + 3'600'000'000);
  CHECK(read_instant("2024-01-01", "--since", now, true) == now);
  CHECK(read_instant("2024-01-01T00:00:01.5Z", "--since", now, true) == now + 1'500'000);
  CHECK(read_instant("2826-11-22T15:55:29.123Z", "--at", now, false) == 27'040'924'529'123'000);
  CHECK(read_instant("9999-12-31T23:59:59.999999999Z", "--at", now, false) ==
        253'402'300'799'999'999);
  CHECK_THROWS_AS(read_instant("+20000-01-01T00:00:00Z", "--since", now, true), fermata::error);
  CHECK_THROWS_AS(read_duration_ms("36526d", "--delay"), fermata::error);
  CHECK_THROWS_WITH_AS(read_instant("yesterday", "--since", now, true),
                       doctest::Contains("--since needs a duration"), fermata::error);
}

TEST_CASE("a name that was mistyped is guessed, one that was meant otherwise isn't") {
  const std::vector<std::string> known{"place_order", "send_report", "bill"};
  CHECK(near_names("place_oder", known) == std::vector<std::string>{"place_order"});
  CHECK(near_names("send", known) == std::vector<std::string>{"send_report"});
  CHECK(near_names("transcode", known).empty());
}
