// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fermata/codes.hpp>
#include <fermata/error.hpp>
#include <fermata/protobuf.hpp>
#include <fermata/step.hpp>

#include <cmath>
#include <map>
#include <set>

using namespace std::chrono_literals;
using fermata::bytes;
using fermata::codec;
using fermata::decode_error;
using fermata::encode_error;
using fermata::detail::facts_of;

namespace {

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct item {
  std::string sku = "none";
  int cents = 7;
};
BOOST_DESCRIBE_STRUCT(item, (), (sku, cents))

struct order {
  std::string id;
  std::vector<item> items;
  std::optional<colour> paint;
  std::map<std::string, int> counts;
  bytes photo;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, items, paint, counts, photo))

struct numbers {
  std::int8_t tiny = 0;
  std::uint64_t large = 0;
  bool yes = false;
  double d = 0;
  float f = 0;
};
BOOST_DESCRIBE_STRUCT(numbers, (), (tiny, large, yes, d, f))

struct times {
  fermata::time_point at;
  std::chrono::sys_seconds coarse;
  std::chrono::sys_time<std::chrono::microseconds> fine;
  std::chrono::minutes pause{};
  std::chrono::microseconds blink{};
};
BOOST_DESCRIBE_STRUCT(times, (), (at, coarse, fine, pause, blink))

struct folder {
  std::string name;
  std::vector<folder> folders;
  std::optional<item> cover;
};
BOOST_DESCRIBE_STRUCT(folder, (), (name, folders, cover))

struct base {
  int inherited = 1;
};
BOOST_DESCRIBE_STRUCT(base, (), (inherited))
struct derived : base {
  int own = 2;
};
BOOST_DESCRIBE_STRUCT(derived, (base), (own))

struct card {
  std::string number;
};
BOOST_DESCRIBE_STRUCT(card, (), (number))
struct payment {
  std::vector<card> cards;
};
BOOST_DESCRIBE_STRUCT(payment, (), (cards))

/// Looks like a protobuf message, and keeps its text as it is.
struct fake_message {
  std::string text;
  bool SerializeToString(std::string* out) const { return *out = text, text != "incomplete"; }
  bool ParseFromArray(const void* raw, int size) {
    text.assign(static_cast<const char*>(raw), static_cast<std::size_t>(size));
    return text != "garbage";
  }
  static std::string GetTypeName() { return "shop.fake_message"; }
};

struct picture {
  int width = 0;
};
struct album {
  picture front;
};
BOOST_DESCRIBE_STRUCT(album, (), (front))
struct undescribed {};

template <class T>
std::string problem_of(std::string_view json) {
  try {
    (void)codec<T>::decode(json);
  } catch (const decode_error& why) {
    return why.what();
  }
  return "";
}

template <class T>
T there_and_back(const T& value) {
  return codec<T>::decode(codec<T>::encode(value));
}

}  // namespace

template <>
inline constexpr bool fermata::sensitive<card> = true;

template <>
struct fermata::codec<picture> {
  static constexpr std::string_view content_type = "image/x-width";
  static constexpr std::string_view type_name = "picture";
  static std::string encode(const picture& p) { return std::string(size_t(p.width), '#'); }
  static picture decode(std::string_view raw) { return {static_cast<int>(raw.size())}; }
  static boost::json::value to_json(const picture& p) { return p.width; }
  static picture from_json(const boost::json::value& json) {
    if (!json.is_int64()) throw decode_error("that isn't a width");
    return {static_cast<int>(json.get_int64())};
  }
};

TEST_CASE("members are written in declared order") {
  const order o{.id = "o-1",
                .items = {{"tea", 350}},
                .paint = colour::green,
                .counts = {{"b", 2}, {"a", 1}},
                .photo = {"hi"}};

  CHECK(codec<order>::encode(o) ==
        R"({"id":"o-1","items":[{"sku":"tea","cents":350}],"paint":"green",)"
        R"("counts":{"a":1,"b":2},"photo":"aGk="})");
  CHECK(codec<order>::encode({}) == R"({"id":"","items":[],"paint":null,"counts":{},"photo":""})");
  CHECK(codec<derived>::encode({}) == R"({"inherited":1,"own":2})");
}

TEST_CASE("a missing member keeps its default and an unknown one is ignored") {
  const auto read = codec<item>::decode(R"({"sku":"tea","colour":{"deep":[1,2]}})");

  CHECK(read.sku == "tea");
  CHECK(read.cents == 7);
}

TEST_CASE("what doesn't fit is named by its path") {
  CHECK(problem_of<order>(R"({"items":[{},{"cents":"much"}]})") ==
        ".items[1].cents isn't a whole number from -2147483648 to 2147483647");
  CHECK(problem_of<order>(R"({"counts":{"a":true}})") ==
        ".counts.a isn't a whole number from -2147483648 to 2147483647");
  CHECK(problem_of<order>(R"({"id":5})") == ".id isn't a text");
  CHECK(problem_of<order>(R"({"items":{}})") == ".items isn't a list");
  CHECK(problem_of<order>(R"({"paint":"blue"})") == ".paint isn't one of red, green");
  CHECK(problem_of<order>(R"({"photo":"?"})") == ".photo: that isn't bytes in base64");
  CHECK(problem_of<order>("[]") == "the payload isn't an object");
  CHECK(problem_of<album>(R"({"front":"wide"})") == ".front: that isn't a width");
  CHECK(problem_of<item>("{\"sku\":").starts_with("the payload isn't JSON: "));
  CHECK(problem_of<item>("{} {}").starts_with("the payload isn't JSON: "));
  CHECK(problem_of<std::optional<item>>("null").empty());
  CHECK(problem_of<item>("null") == "the payload isn't an object");
}

TEST_CASE("a number out of its type's range is an error") {
  CHECK(codec<numbers>::decode(R"({"tiny":-128})").tiny == -128);
  CHECK(problem_of<numbers>(R"({"tiny":128})") == ".tiny isn't a whole number from -128 to 127");
  CHECK(problem_of<numbers>(R"({"tiny":1.5})") == ".tiny isn't a whole number from -128 to 127");
  CHECK(codec<numbers>::decode(R"({"tiny":1e1})").tiny == 10);
  CHECK(codec<numbers>::decode(R"({"large":18446744073709551615})").large == UINT64_MAX);
  CHECK(!problem_of<numbers>(R"({"large":18446744073709551616})").empty());
  CHECK(!problem_of<numbers>(R"({"large":-1})").empty());
  CHECK(problem_of<numbers>(R"({"f":1e39})") == ".f isn't a number that fits");
  CHECK(!problem_of<numbers>(R"({"d":1e999})").empty());
  CHECK(problem_of<numbers>(R"({"yes":1})") == ".yes isn't true or false");
}

TEST_CASE("a double comes back to the last bit") {
  for (double d : {0.1 + 0.2, 1.0 / 3, 5e-324, 1.7976931348623157e308, 9007199254740993.0, -0.0,
                   123456789.12345678, 2.2250738585072011e-308, 1e22, 1e23}) {
    const double read = there_and_back(numbers{.d = d}).d;
    CHECK(read == d);
    CHECK(std::signbit(read) == std::signbit(d));
  }
  std::uint64_t bits = 0x9e3779b97f4a7c15ULL;
  for (int i = 0; i < 20000; ++i) {
    bits = bits * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto d = std::bit_cast<double>(bits);
    const auto f = std::bit_cast<float>(static_cast<std::uint32_t>(bits >> 32));
    if (!std::isfinite(d) || !std::isfinite(f)) continue;
    const numbers read = there_and_back(numbers{.d = d, .f = f});
    REQUIRE(read.d == d);
    REQUIRE(read.f == f);
  }
}

TEST_CASE("what JSON can't hold isn't written") {
  CHECK_THROWS_AS(codec<numbers>::encode({.d = std::nan("")}), encode_error);
  CHECK_THROWS_AS(codec<numbers>::encode({.f = INFINITY}), encode_error);
  CHECK_THROWS_AS(codec<std::string>::encode("\xff"), encode_error);
  CHECK_THROWS_AS(codec<std::string>::encode("\xed\xa0\x80"), encode_error);
  CHECK_THROWS_AS(codec<std::string>::encode("eight bytes and \xc3"), encode_error);
  CHECK_THROWS_AS(codec<colour>::encode(static_cast<colour>(9)), encode_error);
  folder deep;
  for (int i = 0; i < 300; ++i) deep = folder{.name = "", .folders = {deep}, .cover = {}};
  CHECK_THROWS_AS(codec<folder>::encode(deep), encode_error);
}

TEST_CASE("every text comes back, and what is escaped is as JSON wants it") {
  CHECK(codec<std::string>::encode("a\"b\\c\n\t\r\x01/\x7f") == R"("a\"b\\c\n\t\r\u0001/)"
                                                                "\x7f\"");
  const std::string parts[] = {"plain ascii of some length", "\"",   "\\", "\n", "ü", "€", "𝄐",
                               std::string(1, '\0'),         "\x1f", "x"};
  std::string text;
  for (unsigned i = 0; i < 4000; ++i) {
    text += parts[(i * 7919u + i / 13u) % std::size(parts)];
    if (i % 37 == 0) {
      REQUIRE(there_and_back(text) == text);
      text.clear();
    }
  }
}

TEST_CASE("times are text, durations are milliseconds") {
  const times t{.at = fermata::time_point(1767225600123ms),
                .coarse = std::chrono::sys_seconds(-1s),
                .fine = std::chrono::sys_time<std::chrono::microseconds>(1us),
                .pause = 90min,
                .blink = 1500us};

  CHECK(codec<times>::encode(t) ==
        R"({"at":"2026-01-01T00:00:00.123Z","coarse":"1969-12-31T23:59:59Z",)"
        R"("fine":"1970-01-01T00:00:00.000001Z","pause":5400000,"blink":1.5})");
  const times read = there_and_back(t);
  CHECK(read.at == t.at);
  CHECK(read.coarse == t.coarse);
  CHECK(read.fine == t.fine);
  CHECK(read.pause == t.pause);
  CHECK(read.blink == t.blink);
}

TEST_CASE("a time is read with any offset, and only if it exists") {
  auto at = [](std::string text) {
    return codec<fermata::time_point>::decode('"' + text + '"').time_since_epoch();
  };
  CHECK(at("2026-01-01T02:00:00+02:00") == 1767225600s);
  CHECK(at("2025-12-31t18:30:00.5-05:30") == 1767225600500ms);
  CHECK(at("2024-02-29T00:00:00Z") == 1709164800s);
  for (const char* wrong :
       {"2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00", "2026-01-01", "", "2026-01-01T00:00:00Z ", "26-01-01T00:00:00Z"})
    CHECK_THROWS_AS(at(wrong), decode_error);
  for (const auto extreme : {fermata::time_point::max(), fermata::time_point::min() + 1s})
    CHECK(there_and_back(extreme) == extreme);
  CHECK(there_and_back(fermata::duration::max()) == fermata::duration::max());
  CHECK(!problem_of<std::chrono::sys_time<std::chrono::nanoseconds>>("\"3000-01-01T00:00:00Z\"")
             .empty());
}

TEST_CASE("bytes are themselves at the top and base64 inside") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);

  CHECK(codec<bytes>::encode({all}) == all);
  for (std::size_t n : {0u, 1u, 2u, 3u, 255u, 256u}) {
    const order read = there_and_back(order{.photo = {all.substr(0, n)}});
    CHECK(read.photo.data == all.substr(0, n));
  }
  CHECK(facts_of<bytes>().content_type == "application/octet-stream");
  CHECK(facts_of<bytes>().shape == "{}");
}

TEST_CASE("a protobuf message is recorded as protobuf") {
  static_assert(fermata::recordable<fake_message>);
  const auto written = fermata::detail::encode(fake_message{"words"});

  CHECK(written.bytes == "words");
  CHECK(written.content_type == "application/x-protobuf");
  CHECK(!written.canonical);
  CHECK(written.type == fermata::detail::fingerprint("application/x-protobuf\nshop.fake_message"));
  CHECK(fermata::detail::decode<fake_message>(written).text == "words");
  CHECK_THROWS_AS(codec<fake_message>::encode({"incomplete"}), encode_error);
  CHECK_THROWS_AS(codec<fake_message>::decode("garbage"), decode_error);
}

TEST_CASE("a codec of the user's own is used at the top and as a member") {
  const auto written = fermata::detail::encode(picture{3});

  CHECK(written.bytes == "###");
  CHECK(written.content_type == "image/x-width");
  CHECK(!written.canonical);
  CHECK(codec<album>::encode({{5}}) == R"({"front":5})");
  CHECK(there_and_back(album{{5}}).front.width == 5);
  static_assert(!fermata::recordable<undescribed> && !fermata::recordable<int*>);
  static_assert(!fermata::recordable<std::vector<undescribed>>);
}

TEST_CASE("the shape of a type is a JSON Schema, also of one that contains itself") {
  CHECK(facts_of<item>().shape ==
        R"({"type":"object","properties":{"sku":{"type":"string"},)"
        R"("cents":{"type":"integer","minimum":-2147483648,"maximum":2147483647}}})");
  CHECK(facts_of<folder>().shape ==
        R"({"type":"object","properties":{"name":{"type":"string"},)"
        R"("folders":{"type":"array","items":{"$ref":"#"}},"cover":{"anyOf":[)" +
            facts_of<item>().shape + R"(,{"type":"null"}]}}})");
  CHECK(fermata::detail::shape<std::vector<folder>>().find(R"("$ref":"#/items")") !=
        std::string::npos);
  CHECK(facts_of<colour>().shape == R"({"enum":["red","green"]})");
  CHECK(facts_of<void>().shape == R"({"type":"null"})");
  CHECK(facts_of<boost::json::value>().shape == "{}");
  const folder tree{
      .name = "a", .folders = {{.name = "b", .folders = {}, .cover = item{}}}, .cover = {}};
  CHECK(there_and_back(tree).folders.at(0).cover->cents == 7);
}

TEST_CASE("fingerprints tell types apart and never change") {
  const std::set<std::uint64_t> all{facts_of<int>().type,    facts_of<std::int64_t>().type,
                                    facts_of<item>().type,   facts_of<order>().type,
                                    facts_of<folder>().type, facts_of<picture>().type,
                                    facts_of<bytes>().type,  facts_of<void>().type};
  CHECK(all.size() == 8);
  CHECK(facts_of<void>().type == 0);
  // Stored in journals: a difference here would be a new type everywhere.
  CHECK(facts_of<std::string>().type == fermata::detail::fingerprint(R"({"type":"string"})"));
  CHECK(fermata::detail::fingerprint("") == 0xcbf29ce484222325ULL);
  CHECK(fermata::detail::fingerprint("foobar") == 0x85944171f73967e8ULL);
}

TEST_CASE("a sensitive type marks everything that contains it") {
  CHECK(facts_of<card>().sensitive);
  CHECK(facts_of<payment>().sensitive);
  CHECK(fermata::detail::encode(std::optional<card>{}).sensitive);
  CHECK(!facts_of<order>().sensitive);
  CHECK(!facts_of<folder>().sensitive);
}

TEST_CASE("a failure's details come back as the type they were made from") {
  const fermata::failure why(
      "declined",
      {.type = "card_declined", .retryable = false, .details = fermata::json(item{"tea", 51})});

  CHECK(why.code() == "FER-1100");
  CHECK(why.details_as<item>().cents == 51);
  CHECK_THROWS_AS(why.details_as<std::vector<int>>(), decode_error);
  CHECK(fermata::timed_out("slow").code() == "FER-1102");
  CHECK(fermata::timed_out("slow").type() == "timed_out");
  static_assert(!std::is_base_of_v<fermata::failure, fermata::cancelled>);
  static_assert(!std::is_base_of_v<fermata::failure, decode_error>);
}

TEST_CASE("every error code has a meaning and a remedy that are sentences") {
  std::set<std::string_view> seen;
  for (const fermata::code_info& one : fermata::all_codes()) {
    CHECK(seen.insert(one.code).second);
    CHECK(one.code.size() == 8);
    CHECK(one.code.starts_with("FER-"));
    CHECK(one.meaning.ends_with('.'));
    CHECK(one.remedy.ends_with('.'));
    CHECK(fermata::code_named(one.code) == &one);
  }
  CHECK(fermata::code_named("FER-9999") == nullptr);
}
