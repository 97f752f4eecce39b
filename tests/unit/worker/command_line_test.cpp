// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/command_line.hpp"
#include "worker/stop_signals.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

using namespace fermata;
using namespace fermata::detail;
using namespace std::chrono_literals;

namespace {

struct read_line {
  worker_options options = {.concurrency = 8, .queues = {"mail"}};
  worker_line line;
  std::optional<answered> answer;
};

read_line read(std::vector<const char*> arguments, bool takes_modules = false) {
  arguments.insert(arguments.begin(), "/usr/bin/orders-worker");
  read_line out;
  out.answer = read_command_line(static_cast<int>(arguments.size()), arguments.data(),
                                 takes_modules, out.options, out.line);
  return out;
}

std::string complaint(std::vector<const char*> arguments, bool takes_modules = false) {
  const read_line out = read(std::move(arguments), takes_modules);
  REQUIRE(out.answer);
  CHECK(out.answer->code == exit_usage);
  return out.answer->text;
}

bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("without flags the program's own options hold") {
  const read_line out = read({});

  REQUIRE(!out.answer);
  CHECK(out.options.concurrency == 8);
  CHECK(out.options.queues == std::vector<served_queue>{"mail"});
  CHECK(out.options.drain_grace == 10s);
  CHECK(!out.options.build);
  CHECK(out.line.journal.empty());
  CHECK(out.line.create);
}

TEST_CASE("every flag reaches its option") {
  const read_line out = read({"--journal",
                              "sqlite:a.db",
                              "--queue",
                              "a",
                              "--queue",
                              "b=4",
                              "--concurrency",
                              "3",
                              "--max-runs",
                              "4",
                              "--namespace",
                              "shop",
                              "--build",
                              "b7",
                              "--own-build-only",
                              "--record-input",
                              "hash",
                              "--drain-grace",
                              "1min",
                              "--log-format",
                              "json",
                              "--log-level",
                              "debug",
                              "--no-create"});

  REQUIRE(!out.answer);
  CHECK(out.line.journal == "sqlite:a.db");
  CHECK(out.options.queues == std::vector<served_queue>{"a", {"b", 4}});
  CHECK(out.options.concurrency == 3);
  CHECK(out.options.max_runs == 4);
  CHECK(out.options.ns == "shop");
  CHECK(out.options.build == "b7");
  CHECK(out.options.own_build_only);
  CHECK(out.options.record_input == record_input::hash);
  CHECK(out.options.drain_grace == 60s);
  CHECK(out.line.format == log_format::json);
  CHECK(out.line.least == level::debug);
  CHECK(!out.line.create);
}

TEST_CASE("a queue's places are a number that can be") {
  for (const char* wrong : {"gpu=", "gpu=0", "gpu=-1", "gpu=four", "gpu=4 ", "gpu=99999"}) {
    CAPTURE(wrong);
    const read_line out = read({"--queue", wrong});
    REQUIRE(out.answer);
    CHECK(out.answer->code == 2);
    CHECK(has(out.answer->text, "isn't a queue"));
  }
  CHECK(read({"--queue", "a=b=2"}).options.queues == std::vector<served_queue>{{"a=b", 2}});
  CHECK(queues_text(read({"--queue", "default", "--queue", "gpu=4"}).options.queues) ==
        "default gpu=4");
}

TEST_CASE("the journal may come from the environment, and the flag wins") {
  setenv("FERMATA_JOURNAL", "sqlite:env.db", 1);

  CHECK(read({}).line.journal == "sqlite:env.db");
  CHECK(read({"--journal", "memory:"}).line.journal == "memory:");

  unsetenv("FERMATA_JOURNAL");
}

TEST_CASE("a mistake in the command line is told in one sentence with its code") {
  CHECK(has(complaint({"--concurrency", "0"}), "--concurrency"));
  CHECK(has(complaint({"--drain-grace", "10"}), "a duration such as 10s"));
  CHECK(has(complaint({"--log-format", "xml"}), "--log-format"));
  CHECK(has(complaint({"--jornal", "x"}), "--jornal"));
  CHECK(has(complaint({"stray"}), "stray"));
  CHECK(has(complaint({"--module", "x.so"}), "--module"));
  CHECK(has(complaint({}, true), "--module FILE"));
  const std::string one = complaint({"--concurrency", "many"});
  CHECK(one.starts_with("orders-worker: "));
  CHECK(one.ends_with("[FER-4001]\n"));
  CHECK(one.find('\n') == one.size() - 1);
}

TEST_CASE("help shows the defaults and how it is called") {
  const read_line out = read({"--help"});

  REQUIRE(out.answer);
  CHECK(out.answer->code == exit_done);
  CHECK(has(out.answer->text, "orders-worker --journal sqlite:orders.db"));
  CHECK(has(out.answer->text, "FERMATA_JOURNAL"));
  CHECK(has(out.answer->text, "10s"));
}

TEST_CASE("the version names the program") {
  const read_line out = read({"--version"});

  REQUIRE(out.answer);
  CHECK(out.answer->code == exit_done);
  CHECK(out.answer->text.starts_with("orders-worker 0."));
}

TEST_CASE("modules are named one by one") {
  const read_line out = read({"--module", "a.so", "--module", "b.so"}, true);

  REQUIRE(!out.answer);
  CHECK(out.line.modules == std::vector<std::string>{"a.so", "b.so"});
}

TEST_CASE("an error's sentence has its code once") {
  CHECK(sentence_of(error("FER-2001", "no such store")) == "no such store [FER-2001]");
  CHECK(sentence_of(error("FER-2001", "no such store [FER-2001]")) == "no such store [FER-2001]");
}

TEST_CASE("the first signal drains, the second stops at once, and the old handlers come back") {
  struct told {
    int drained = 0, stopped = 0;
  } worker;
  struct sigaction before{};
  sigaction(SIGTERM, nullptr, &before);
  {
    const stop_signals signals(
        &worker, [](void* whom) noexcept { ++static_cast<told*>(whom)->drained; },
        [](void* whom) noexcept { ++static_cast<told*>(whom)->stopped; }, false);
    CHECK(!signals.came());

    raise(SIGINT);
    CHECK(signals.came());
    CHECK(worker.drained == 1);
    CHECK(worker.stopped == 0);

    raise(SIGTERM);
    CHECK(worker.drained == 1);
    CHECK(worker.stopped == 1);

    raise(SIGPIPE);  // ignored, or this ends here
  }
  struct sigaction after{};
  sigaction(SIGTERM, nullptr, &after);
  const bool same = after.sa_handler == before.sa_handler;
  CHECK(same);
}
