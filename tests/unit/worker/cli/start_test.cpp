// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

using namespace fermata::cli;
namespace json = boost::json;

namespace {

constexpr std::string_view order_shape =
    R"({"type":"object","properties":{"id":{"type":"string"},)"
    R"("cents":{"type":"integer","minimum":-2147483648,"maximum":2147483647},)"
    R"("items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"}}}},)"
    R"("children":{"type":"array","items":{"$ref":"#"}},)"
    R"("kind":{"enum":["gift","plain"]},"note":{"anyOf":[{"type":"string"},{"type":"null"}]}}})";

struct served : prepared {
  served() { join({"place_order"}, order_shape, 42); }
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("start prints the run's id alone, and keeps input, key, tags and times") {
  served p;
  const ran started =
      p.call({"start", "place_order", R"({ "id": "42", "cents": 990 })", "--key", "order-42",
              "--tag", "customer=acme", "--delay", "2h", "--priority", "5", "--queue", "gpu"});
  REQUIRE_MESSAGE(started.code == 0, started.err);

  const auto id = fermata::engine::run_id::parse(started.out.substr(0, started.out.size() - 1));
  REQUIRE(id);
  const auto request = p.journal->find_request(*id);
  REQUIRE(request.ok());
  REQUIRE(request->has_value());
  CHECK((*request)->input.bytes == R"({"id":"42","cents":990})");
  CHECK((*request)->input.type == 42);
  CHECK((*request)->key == "order-42");
  CHECK((*request)->tags.at("customer") == "acme");
  CHECK((*request)->not_before == p.journal->now() + 7200 * second);
  CHECK((*request)->priority == 5);
  CHECK((*request)->queue == "gpu");
}

TEST_CASE("a workflow that nobody ever served is refused with a guess, unless --unchecked") {
  served p;
  const ran refused = p.call({"start", "place_oder"});

  CHECK(refused.code == 4);
  CHECK(has(refused.err, "did you mean 'place_order'"));
  CHECK(has(refused.err, "[FER-1304]"));
  CHECK(p.call({"start", "place_oder", "--unchecked"}).code == 0);
}

TEST_CASE(
    "an input that doesn't fit is refused, naming the path, what is there and what belongs there") {
  served p;
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"id":42})", "'id' is 42, it must be a string"},
      {R"({"cents":3000000000})", "'cents' is 3000000000, it must be an integer from -2147483648"},
      {R"({"items":[{"sku":"a"},{"sku":7}]})", "'items.1.sku' is 7, it must be a string"},
      {R"({"kind":"large"})", "'kind' is \"large\", it must be one of [\"gift\",\"plain\"]"},
      {R"([1])", "it is [1], it must be an object"}};
  for (const auto& [input, sentence] : wrong) {
    CAPTURE(input);
    const ran refused = p.call({"start", "place_order", input});
    CHECK(refused.code == 2);
    CHECK_MESSAGE(has(refused.err, sentence), refused.err);
    CHECK(has(refused.err, "[FER-1305]"));
    CHECK(p.call({"start", "place_order", input, "--unchecked"}).code == 0);
  }
}

TEST_CASE("an input may lack members, have more, and be null where that is allowed") {
  served p;
  for (const char* fits :
       {"{}", R"({"id":"1","new":true})", R"({"note":null})", R"({"children":[{"id":"2"}]})"})
    CHECK_MESSAGE(p.call({"start", "place_order", fits}).code == 0, fits);
}

TEST_CASE("a shape of a codec's own, which isn't JSON Schema, is left to the worker") {
  for (const char* own :
       {R"({"type":"i[teger"})", R"({"type":"object","properties":{"a":{"type":"text"}}})",
        R"({"type":7})", R"({"minimum":"low"})", R"({"properties":[1]})", R"({"$ref":7})"}) {
    prepared p;
    p.join({"place_order"}, own, 42);
    const ran started = p.call({"start", "place_order", R"({"a":1})"});
    CHECK_MESSAGE(started.code == 0, own, ": ", started.err);
  }
}

TEST_CASE("JSON with a mistake is shown with a caret below the place") {
  served p;
  const ran refused = p.call({"start", "place_order", R"({"id":42,})"});

  CHECK(refused.code == 2);
  CHECK(has(refused.err, "line 1, column 10"));
  CHECK(has(refused.err, "  {\"id\":42,}\n           ^"));
  CHECK(has(refused.err, "[FER-1305]"));
  CHECK(has(p.call({"start", "place_order", R"({"id":)"}).err, "ends too early"));
}

TEST_CASE("input may come from standard input") {
  served p;
  CHECK(p.call({"start", "place_order", "-", "--key", "k"}, 0, "{\"id\":\"9\"}\n").code == 0);
  CHECK(p.call({"start", "place_order", "@/no/such/file"}).code == 2);
}

TEST_CASE("a key that is taken gives that run, or a refusal when input or wish differ") {
  served p;
  const ran first = p.call({"start", "place_order", R"({"id":"1"})", "--key", "k"});
  const ran same = p.call({"start", "place_order", R"({"id": "1"})", "--key", "k"});
  const ran other = p.call({"start", "place_order", R"({"id":"2"})", "--key", "k"});
  const ran fresh =
      p.call({"start", "place_order", R"({"id":"1"})", "--key", "k", "--on-duplicate", "fail"});

  CHECK(same.out == first.out);
  CHECK(other.code == 3);
  CHECK(has(other.err, "[FER-1301]"));
  CHECK(fresh.code == 3);
  CHECK(p.call({"start", "place_order", "{}", "--on-duplicate", "maybe"}).code == 2);
}

TEST_CASE("start and signal answer programs with typed documents") {
  served p;
  const json::value started =
      json::parse(p.call({"start", "place_order", "{}", "-o", "json", "--key", "k"}).out);
  CHECK(started.at("$type") == "started");
  CHECK(started.at("workflow") == "place_order");

  const ran signalled = p.call({"signal", "k", "reviewed", R"({"ok":true})", "-o", "json"});
  REQUIRE_MESSAGE(signalled.code == 0, signalled.err);
  const json::value sent = json::parse(signalled.out);
  CHECK(sent.at("$type") == "accepted");
  CHECK(p.call({"signal", "k", "reviewed", "{ok:true}"}).code == 2);
  CHECK(has(p.call({"explain", "k"}).out, "1 message unread"));
}

TEST_CASE("what the command line alone shows to be wrong starts nothing") {
  served p;
  const auto refuses = [&](std::vector<std::string> more, int code, std::string_view words) {
    std::vector<std::string> all{"start", "place_order", R"({"id":"1"})"};
    all.insert(all.end(), more.begin(), more.end());
    const ran refused = p.call(all);
    CHECK(refused.code == code);
    CHECK_MESSAGE(has(refused.err, words), refused.err);
  };
  refuses({"--wait", "foo"}, 2, "the time to wait needs");
  refuses({"--key", ""}, 2, "[FER-1307]");
  refuses({"--not-after", "1990-01-01T00:00:00Z"}, 2, "has passed already");
  refuses({"--delay", "99999999d"}, 2, "[FER-1406]");
  refuses({"--not-after", "20000-01-01T00:00:00Z"}, 2, "");
  refuses({"--queue", "d\xe9"}, 2, "[FER-1309]");

  CHECK(p.call({"list", "-o", "ids"}).out.empty());
}

TEST_CASE("texts that aren't UTF-8 are refused where they come in") {
  served p;
  const std::string bad = "d\xe9";
  p.call({"start", "place_order", R"({"id":"1"})", "--key", "k"});
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"cancel", "k", "--why", bad},
        {"terminate", "k", "--why", bad},
        {"retry", "k", "--why", bad},
        {"signal", "k", bad},
        {"list", "--namespace", bad},
        {"start", bad, "{}", "--unchecked"}}) {
    const ran refused = p.call(words);
    CHECK(refused.code == 2);
    CHECK_MESSAGE(has(refused.err, "[FER-1309]"), refused.err);
  }
  CHECK(p.call({"show", "k"}).code == 0);
}

TEST_CASE("a cancel of what hasn't begun says when it takes effect") {
  served p;
  p.call({"start", "place_order", R"({"id":"1"})", "--key", "k", "--delay", "1h"});

  CHECK(has(p.call({"cancel", "k"}).err, "takes effect when a worker begins it"));
}
