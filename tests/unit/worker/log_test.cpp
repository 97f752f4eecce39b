// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/log.hpp"

#include <boost/json/parse.hpp>

#include <unistd.h>

#include <string>

using fermata::level;
using namespace fermata::detail;

namespace {

log_record record_of(std::string_view message, std::span<const log_field> fields = {}) {
  return {.at_us = 1'700'000'000'123'456,
          .level = level::warning,
          .message = message,
          .fields = fields};
}

/// Sends what is said to a pipe and reads it.
std::string piped(log_format format, level least, const std::function<void()>& speak) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  line_sink sink(ends[1], format, least);
  log_sink* before = set_log_sink(&sink);
  speak();
  set_log_sink(before);
  close(ends[1]);
  char text[1024];
  const ssize_t size = read(ends[0], text, sizeof text);
  close(ends[0]);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

}  // namespace

TEST_CASE("a line of text has time, level, message and fields") {
  const log_field fields[] = {{"run", "run_1"}, {"place", "orders.cpp:41"}, {"why", "a b"}};

  CHECK(text_line(record_of("slow code", fields), false) ==
        "2023-11-14T22:13:20.123Z warning slow code run=run_1 place=orders.cpp:41 why=\"a b\"");
  CHECK(text_line(record_of("slow code"), true).find("\x1b[33mwarning\x1b[0m") !=
        std::string::npos);
}

TEST_CASE("a record is one line whatever is in it") {
  CHECK(text_line(record_of("two\nlines\x1b[31m"), false).ends_with("two\\nlines\\x1b[31m"));
}

TEST_CASE("a JSON line is JSON, also of bytes that aren't text") {
  const log_field fields[] = {{"run", "run_\"1\""}};

  const std::string line = json_line(record_of("gr\xc3\xbc\xdf \xf0\x9f\n", fields));

  const boost::json::value read = boost::json::parse(line);
  CHECK(read.at("at").as_string() == "2023-11-14T22:13:20.123Z");
  CHECK(read.at("level").as_string() == "warning");
  CHECK(read.at("message").as_string() == "grü\uFFFD \uFFFD\uFFFD\n");
  CHECK(read.at("run").as_string() == "run_\"1\"");
  CHECK(line.find('\n') == std::string::npos);
}

TEST_CASE("what is below the level isn't said") {
  const std::string said = piped(log_format::text, level::warning, [] {
    say(level::info, "quiet");
    say(level::error, "loud");
    CHECK(!is_said(level::info));
    CHECK(is_said(level::warning));
  });

  CHECK(said.find("quiet") == std::string::npos);
  CHECK(said.ends_with(" error   loud\n"));
}

TEST_CASE("a test sees what is said while its capture lives") {
  const captured_log log;

  say(level::info, "claimed", {{"run", "run_1"}});

  REQUIRE(log.lines().size() == 1);
  CHECK(log.lines()[0] == "info: claimed run=run_1");
}

TEST_CASE("levels are known by name") {
  for (const level one : {level::debug, level::info, level::warning, level::error})
    CHECK(level_named(name_of(one)) == one);
  CHECK(!level_named("loud"));
}
