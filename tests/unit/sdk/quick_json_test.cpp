// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fermata/codec.hpp>

#include <limits>

using fermata::codec;
using fermata::detail::quick_reader;
using fermata::detail::quickly_readable;

namespace {

struct base {
  bool yes = true;
};
BOOST_DESCRIBE_STRUCT(base, (), (yes))

struct mixed : base {
  std::int8_t tiny = 1;
  std::uint64_t large = 2;
  std::string text = "default";
  std::vector<std::int64_t> list = {4};
  std::optional<std::string> note = "default";
  std::vector<mixed> inner;
};
BOOST_DESCRIBE_STRUCT(mixed, (base), (tiny, large, text, list, note, inner))

struct with_double {
  double number = 0;
};
BOOST_DESCRIBE_STRUCT(with_double, (), (number))
enum class colour { red };
BOOST_DESCRIBE_ENUM(colour, red)

static_assert(quickly_readable<mixed> && quickly_readable<std::string> && quickly_readable<int>);
static_assert(!quickly_readable<with_double> && !quickly_readable<std::vector<with_double>>);
static_assert(!quickly_readable<colour> && !quickly_readable<std::map<std::string, int>>);
static_assert(!quickly_readable<fermata::bytes> && !quickly_readable<fermata::time_point>);

mixed sample() {
  mixed what;
  what.tiny = -128;
  what.large = std::numeric_limits<std::uint64_t>::max();
  what.text = "plain text, of more than sixteen bytes";
  what.list = {0, -1, std::numeric_limits<std::int64_t>::min()};
  what.note.reset();
  what.inner.resize(2);
  what.inner[1].yes = false;
  what.inner[1].list.clear();
  return what;
}

/// What was read, written again; or why it wasn't.
template <class Read>
std::string told(Read read) {
  try {
    return codec<mixed>::encode(read());
  } catch (const fermata::decode_error& why) {
    return why.what();
  } catch (const fermata::encode_error& why) {
    return why.what();
  }
}

std::string by_either_half(std::string_view text) {
  return told([&] { return codec<mixed>::decode(text); });
}

std::string by_the_tolerant_half(std::string_view text) {
  return told([&] {
    return fermata::detail::with_json(
        text, [](const boost::json::value& from) { return fermata::detail::read<mixed>(from); });
  });
}

}  // namespace

TEST_CASE("what our walk wrote is read without a document") {
  const std::string text = codec<mixed>::encode(sample());

  mixed read;
  CHECK(quick_reader(text).whole(read));
  CHECK(codec<mixed>::encode(read) == text);
  CHECK(by_the_tolerant_half(text) == text);
}

TEST_CASE(
    "texts that need an escape or aren't ASCII, spaces and another order are left to the "
    "document") {
  mixed read;
  CHECK_FALSE(quick_reader(R"({"yes": true})").whole(read));
  std::string text;
  CHECK_FALSE(quick_reader(R"("a\"b")").whole(text));
  CHECK_FALSE(quick_reader("\"\xc3\xa4\"").whole(text));
  CHECK_FALSE(quick_reader("\"a\nb\"").whole(text));
  CHECK_FALSE(quick_reader("\"open").whole(text));
  int number = 0;
  for (const char* other : {"01", "-", "", "1.0", "1e3", "+1", " 1", "1 ", "2147483648", "-01"})
    CHECK_FALSE_MESSAGE(quick_reader(other).whole(number), other);
  CHECK(quick_reader("-2147483648").whole(number));
}

TEST_CASE(
    "a byte more, less or other: the quick half never answers what the tolerant one wouldn't") {
  const std::string text = codec<mixed>::encode(sample());
  const std::string bytes("\"\\{}[],:-+.019eEntx /\x01\x7f\x80\xc3\0", 26);
  const auto alike = [](const std::string& edited) {
    const std::string expected = by_the_tolerant_half(edited);
    if (by_either_half(edited) != expected)
      FAIL_CHECK("'" << edited << "': " << by_either_half(edited) << ", not " << expected);
  };

  for (std::size_t at = 0; at <= text.size(); ++at) {
    for (const char byte : bytes) {
      alike(std::string(text).insert(at, 1, byte));
      if (at < text.size()) alike(std::string(text).replace(at, 1, 1, byte));
    }
    alike(text.substr(0, at));
    if (at < text.size()) alike(std::string(text).erase(at, 1));
  }
}

TEST_CASE("what lies too deep is refused by both halves with one sentence") {
  for (const int depth : {60, 99, 100, 101, 104, 300}) {
    std::string text =
        R"({"yes":true,"tiny":1,"large":2,"text":"","list":[],"note":null,"inner":[)";
    std::string nested;
    for (int i = 0; i < depth; ++i) nested += text;
    for (int i = 0; i < depth; ++i) nested += "]}";
    CHECK(by_either_half(nested) == by_the_tolerant_half(nested));
  }
}
