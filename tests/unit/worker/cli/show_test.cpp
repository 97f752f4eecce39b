// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

using namespace fermata::cli;
namespace json = boost::json;

namespace {

/// An order that charges a card, retries its shipment twice, and fails.
struct an_order : prepared {
  an_order() {
    const worker_row worker = join({"place_order"});
    run = ask("place_order", "order-42", R"({"id":"42","sku":"abc"})");
    pass(2 * second);
    claim(worker);
    append(run, {step_done("1", "reserve_stock", R"({"id":"42"})", R"({"hold":"h1"})")});
    event charge =
        step_done("2", "charge_card", R"({"card":"4111"})", R"({"id":"ch_1"})", "orders.cpp:21");
    charge.input.sensitive = true;
    append(run, {charge});
    append(run, {attempt_failed("3", "ship_parcel", 1, "no pickup today",
                                journal->now() + 2 * second + 1'000)});
    pass(2 * second);
    append(run,
           {step_failed("3", "ship_parcel", 2, "no pickup today"),
            run_failed("carrier_down", "no pickup today")},
           then::end);
  }
  run_id run;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("show tells each event with its input, outcome, duration, wait and source line") {
  an_order p;
  const ran shown = p.call({"show", "order-42"}, 160);

  CHECK(shown.code == 0);
  CHECK(has(shown.out, R"(reserve_stock {"id":"42"} → {"hold":"h1"})"));
  CHECK(has(shown.out, "orders.cpp:18"));
  CHECK(has(shown.out, "attempt failed"));
  CHECK(has(shown.out, "carrier_down: no pickup today · next after 2s"));
  CHECK(has(shown.out, "2 attempts"));
  CHECK(has(shown.out, "2s"));  // it waited to begin
  CHECK(has(shown.out, "0.8ms"));
}

TEST_CASE("show ends with a card: how it ended, and what to type next") {
  an_order p;
  const ran shown = p.call({"show", "order-42"}, 100);

  CHECK(has(shown.out, "state  failed"));
  CHECK(has(shown.out, "error  carrier_down: no pickup today"));
  CHECK(has(shown.out, "next   fermata retry order-42"));
}

TEST_CASE("a value of a sensitive type is masked until it is revealed, in tables and in JSON") {
  an_order p;
  for (const char* how : {"table", "wide", "json", "jsonl"}) {
    CAPTURE(how);
    const ran hidden = p.call({"show", "order-42", "-o", how});
    CHECK(!has(hidden.out, "4111"));
    CHECK(has(hidden.out, "‹sensitive, 15 B›"));
    CHECK(has(p.call({"show", "order-42", "-o", how, "--reveal"}).out, "4111"));
  }
}

TEST_CASE("show fits 80, 100, 120 and 200 columns") {
  an_order p;
  for (const std::size_t width : {80U, 100U, 120U, 200U}) {
    CAPTURE(width);
    std::istringstream out(p.call({"show", "order-42"}, width).out);
    for (std::string line; std::getline(out, line);) CHECK(width_of(line) <= width);
  }
}

TEST_CASE("a history as JSON has the run and each event with kind, class, place and times") {
  an_order p;
  const json::object all = json::parse(p.call({"show", "order-42", "-o", "json"}).out).as_object();

  CHECK(all.at("$type") == "history");
  CHECK(all.at("run").at("state") == "failed");
  const json::array& events = all.at("events").as_array();
  CHECK(events.size() == 6);
  CHECK(events[1].at("$type") == "event");
  CHECK(events[1].at("kind") == "step_completed");
  CHECK(events[1].at("class") == "outcome");
  CHECK(events[1].at("value").at("hold") == "h1");
  CHECK(events[1].at("place") == "orders.cpp:18");
  CHECK(events[3].at("details").at("why").at("type") == "carrier_down");
}

TEST_CASE("show --reverse begins with the end; --raw gives the stored columns") {
  an_order p;
  const ran reversed = p.call({"show", "order-42", "--reverse"});
  CHECK(reversed.out.find("failed") < reversed.out.find("reserve_stock"));

  const ran raw = p.call({"show", "order-42", "-o", "jsonl", "--raw"});
  CHECK(json::parse(raw.out.substr(0, raw.out.find('\n'))).at("crc").is_number());
  CHECK(p.call({"show", "order-42", "--raw"}).code == 2);
}

TEST_CASE("a run that hasn't begun is shown, too") {
  prepared p;
  p.ask("place_order", "order-7");
  const ran shown = p.call({"show", "order-7"}, 100);

  CHECK(shown.code == 0);
  CHECK(has(shown.out, "not begun"));
  CHECK(has(shown.out, "fermata explain order-7"));
}

TEST_CASE("what a step returned can't move the cursor or break a line") {
  prepared p;
  const worker_row worker = p.join({"place_order"});
  const run_id run = p.ask("place_order", "evil\x1b[2J");
  p.claim(worker);
  event odd = step_done("1", "a\nb", "{}", "{}");
  odd.value = {.bytes = "\x1b[31mred", .content_type = "text/plain"};
  p.append(run, {odd});

  for (const char* verb : {"show", "trace", "explain"})
    CHECK(p.call({verb, run.text()}, 100).out.find('\x1b') == std::string::npos);
  CHECK(p.call({"list"}, 100).out.find('\x1b') == std::string::npos);
}

TEST_CASE("trace draws steps with attempts and failures, and says how the run stands") {
  an_order p;
  const ran drawn = p.call({"trace", "order-42"}, 120);

  CHECK(has(drawn.out, "✗ place_order order-42"));
  CHECK(has(drawn.out, "├─ ✓ reserve_stock (0.8ms)"));
  CHECK(has(drawn.out, "└─ ✗ ship_parcel"));
  CHECK(has(drawn.out, "2 attempts"));
  CHECK(has(p.call({"trace", "order-42", "--fold"}, 120).out, "2 operations done"));
  CHECK(json::parse(p.call({"trace", "order-42", "-o", "json"}).out).at("$type") == "trace");
}

TEST_CASE("result prints the value alone, and a failed run's failure with exit code 1") {
  prepared p;
  const worker_row worker = p.join({"place_order"});
  const run_id good = p.ask("place_order", "good");
  p.claim(worker);
  p.append(good, {run_completed(R"({"order":"42"})")}, then::end);

  const ran value = p.call({"result", "good"});
  CHECK(value.code == 0);
  CHECK(value.out == "{\"order\":\"42\"}\n");

  an_order bad;
  const ran failure = bad.call({"result", "order-42"});
  CHECK(failure.code == 1);
  CHECK(failure.out.empty());
  CHECK(has(failure.err, "no pickup today"));
}

TEST_CASE("result stops waiting with exit code 5") {
  prepared p;
  p.ask("place_order", "slow");
  const ran over = p.call({"result", "slow", "--timeout", "0"});

  CHECK(over.code == 5);
  CHECK(has(over.err, "[FER-1103]"));
}

TEST_CASE("status counts runs by state and names what needs a person") {
  an_order p;
  p.ask("place_order", "order-43");
  const ran screen = p.call({"status"}, 100);

  CHECK(screen.code == 0);
  CHECK(has(screen.out, "failed            1"));
  CHECK(has(screen.out, "waiting_to_start  1"));
  CHECK(has(screen.out, "place_order"));
  const json::object all = json::parse(p.call({"status", "-o", "json"}).out).as_object();
  CHECK(all.at("runs").at("failed") == 1);
}

TEST_CASE("stored bytes that aren't UTF-8 never break a document") {
  prepared p;
  const worker_row worker = p.join({"place_order"});
  const run_id run = p.ask("place_order", "order-42");
  p.claim(worker);
  event odd = step_done("1", "reserve\xe9", "{}", "{}", "caf\xe9.cpp:1");
  odd.value.content_type = "text/plain";
  odd.value.bytes = "d\xe9lai";
  p.append(run, {odd}, then::park, "caf\xe9");

  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"show", "order-42"}, {"list"}, {"explain", "order-42"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"-o", "json"});
    const ran shown = p.call(all);
    CHECK_MESSAGE(shown.code == 0, shown.err);
    boost::json::error_code problem;
    json::parse(shown.out, problem);
    CHECK_FALSE(problem);
  }
  CHECK(has(p.call({"show", "order-42", "-o", "json"}).out, "d\xef\xbf\xbdlai"));
}
