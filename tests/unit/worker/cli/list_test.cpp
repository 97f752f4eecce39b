// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace fermata::cli;
namespace json = boost::json;
using namespace std::string_literals;

namespace {

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

/// Three orders (one ended, one waits, one not begun) and a bill with the same key as an order.
struct some_runs : prepared {
  some_runs() {
    const worker_row worker = join({"place_order", "bill"});
    ended = ask("place_order", "order-1");
    pass(second);
    waiting = ask("place_order", "order-2");
    claim(worker);
    append(ended, {run_failed("carrier_down", "no pickup today")}, then::end);
    append(waiting, {waits_for("2", "reviewed", journal->now() + 3600 * second)}, then::park,
           "signal 'reviewed'");
    pass(second);
    start_request tagged = request("bill", "order-1");
    tagged.tags["customer"] = "acme";
    unbegun = ask(tagged);
  }
  run_id ended, waiting, unbegun;
};

}  // namespace

TEST_CASE("list shows the newest run first, with its key, state and what it waits for") {
  some_runs p;
  const ran shown = p.call({"list"}, 120);

  CHECK(shown.code == 0);
  CHECK(lines(shown.out) == 4);
  CHECK(shown.out.find("bill") < shown.out.find("order-2"));
  CHECK(shown.out.find("carrier_down: no pickup today") != std::string::npos);
  CHECK(shown.out.find("signal 'reviewed'") != std::string::npos);
}

TEST_CASE("list filters by workflow, state, key, tag and time") {
  some_runs p;
  const auto ids = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"list", "-o", "ids"});
    return p.call(flags).out;
  };

  CHECK(ids({"--workflow", "bill"}) == p.unbegun.text() + "\n");
  CHECK(ids({"--state", "failed"}) == p.ended.text() + "\n");
  CHECK(lines(ids({"--state", "failed,running"})) == 2);
  CHECK(ids({"--tag", "customer=acme"}) == p.unbegun.text() + "\n");
  CHECK(lines(ids({"--key", "order-1"})) == 2);
  CHECK(ids({"--limit", "1"}) == p.unbegun.text() + "\n");
  CHECK(lines(ids({"--all"})) == 3);
  CHECK(lines(ids({"--since", "1h"})) == 3);
  CHECK(ids({"--until", "1h"}).empty());
  CHECK(ids({"--attention", "any"}).empty());
}

TEST_CASE("a list as JSON is one typed document, as lines a document each, and never cut off") {
  some_runs p;
  const json::object all = json::parse(p.call({"list", "-o", "json"}, 40).out).as_object();
  CHECK(all.at("$type") == "run_list");
  CHECK(all.at("more") == false);
  CHECK(all.at("runs").as_array().size() == 3);
  CHECK(all.at("runs").at(2).at("error") == "carrier_down: no pickup today");

  const ran two = p.call({"list", "-o", "jsonl", "--limit", "2"});
  CHECK(lines(two.out) == 2);
  CHECK(json::parse(two.out.substr(0, two.out.find('\n'))).at("$type") == "run");
}

TEST_CASE("ids in a narrow table are short and still tell the runs apart") {
  some_runs p;
  const ran shown = p.call({"list"}, 80);
  const std::size_t at = shown.out.find("run_");
  const std::string id = shown.out.substr(at, shown.out.find(' ', at) - at);

  CHECK(id.size() < 30);
  CHECK(p.call({"show", id, "-o", "ids"}).out == p.unbegun.text() + "\n");
}

TEST_CASE("a run is found by its key before its id, by a prefix of its id with and without run_") {
  some_runs p;
  const std::string id = p.waiting.text();
  for (const std::string& name :
       {std::string("order-2"), id, id.substr(0, 25), id.substr(4, 22), "place_order/order-2"s})
    CHECK(p.call({"show", name, "-o", "ids"}).out == id + "\n");
}

TEST_CASE("a key of several workflows lists them and asks for WORKFLOW/KEY") {
  some_runs p;
  const ran refused = p.call({"show", "order-1"});

  CHECK(refused.code == 2);
  CHECK(refused.err.find("bill/order-1") != std::string::npos);
  CHECK(refused.err.find("place_order/order-1") != std::string::npos);
  CHECK(refused.err.find("[FER-1306]") != std::string::npos);
  CHECK(p.call({"show", "bill/order-1", "-o", "ids"}).out == p.unbegun.text() + "\n");
}

TEST_CASE("a prefix of several runs lists them, an unknown key is guessed") {
  some_runs p;
  const ran several = p.call({"show", "run_0"});
  CHECK(several.code == 2);
  CHECK(several.err.find(p.waiting.text()) != std::string::npos);

  const ran unknown = p.call({"show", "oder-2"});
  CHECK(unknown.code == 4);
  CHECK(unknown.err.find("did you mean") != std::string::npos);
  CHECK(unknown.err.find("'order-2'") != std::string::npos);
}

TEST_CASE(
    "several runs are counted and not touched without --yes; names come from standard input") {
  some_runs p;
  const std::string ids = p.call({"list", "--state", "running,waiting_to_start", "-o", "ids"}).out;

  const ran asked = p.call({"terminate", "-"}, 0, ids);
  CHECK(asked.code == 2);
  CHECK(asked.err.find("terminate 2 runs: 1 running, 1 waiting_to_start") != std::string::npos);
  CHECK(p.row(p.waiting).state == fermata::engine::run_state::running);

  const ran acted = p.call({"terminate", "-", "--yes", "--why", "test data"}, 0, ids);
  CHECK(acted.code == 0);
  CHECK(acted.out == ids);
  CHECK(p.row(p.waiting).state == fermata::engine::run_state::terminated);
  CHECK(p.row(p.unbegun).state == fermata::engine::run_state::terminated);
  CHECK(p.call({"show", "order-2"}).out.find("test data") != std::string::npos);
}

TEST_CASE("an act on an ended run is not allowed") {
  some_runs p;
  const ran refused = p.call({"cancel", p.ended.text()});

  CHECK(refused.code == 3);
  CHECK(refused.err.find("[FER-1303]") != std::string::npos);
}

TEST_CASE("a limit below 1, or one that doesn't fit, is refused") {
  prepared p;
  for (const char* limit : {"0", "-1", "99999999999999999999", "x"})
    CHECK(p.call({"list", "-n", limit}).code == 2);
}

TEST_CASE("a run without a key is told by its workflow on 80 columns, too") {
  prepared p;
  const worker_row worker = p.join({"place_order", "send_report"});
  p.ask("place_order", "an-order-with-a-long-key-1234");
  const run_id child = p.ask("send_report");
  p.claim(worker);
  p.append(child, {waits_for("2", "reviewed", p.journal->now() + 3600 * second)}, then::park,
           "signal 'reviewed', at most until tomorrow, and then for something else");

  const ran shown = p.call({"list"}, 80);
  CHECK_MESSAGE(shown.out.find("send_") != std::string::npos, shown.out);
}

TEST_CASE("completion offers what people call their runs, and the workflows") {
  some_runs p;
  CHECK(p.call({"completion", "runs"}).out == "order-1\norder-2\norder-1\n");
  CHECK(p.call({"completion", "workflows"}).out.find("place_order\n") != std::string::npos);
}
