// SPDX-License-Identifier: Apache-2.0
// Payloads against the types that read them: decoded, or refused with the place; what was decoded is
// encoded, and is the same when it is read again.
#include "engine/check.hpp"
#include "engine/event/journal.pb.h"
#include "tests/fuzz/reader.hpp"

#include <fermata/protobuf.hpp>
#include <fermata/step.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace fermata;

namespace {

enum class colour { red, green };
BOOST_DESCRIBE_ENUM(colour, red, green)

struct item {
  std::string sku = "none";
  std::int8_t tiny = 7;
  std::uint64_t large = 0;
  double real = 0;
  float small = 0;
  bool yes = false;
};
BOOST_DESCRIBE_STRUCT(item, (), (sku, tiny, large, real, small, yes))

struct order {
  std::string id;
  std::vector<item> items;
  std::optional<colour> paint;
  std::map<std::string, int> counts;
  bytes photo;
  time_point at;
  std::chrono::sys_time<std::chrono::nanoseconds> fine;
  std::chrono::minutes pause{};
};
BOOST_DESCRIBE_STRUCT(order, (), (id, items, paint, counts, photo, at, fine, pause))

struct folder {
  std::string name;
  std::vector<folder> folders;
};
BOOST_DESCRIBE_STRUCT(folder, (), (name, folders))

template <class T>
void come_back(std::string_view raw) {
  std::string once;
  try {
    once = codec<T>::encode(codec<T>::decode(raw));
  } catch (const decode_error&) {
    return;
  } catch (const encode_error&) {
    return;
  }
  const std::string twice = codec<T>::encode(codec<T>::decode(once));
  FERMATA_CHECK(once == twice, "'{}' became '{}'", once, twice);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  switch (from.byte() % 8) {
    case 0:
      come_back<item>(from.rest());
      break;
    case 1:
      come_back<order>(from.rest());
      break;
    case 2:
      come_back<folder>(from.rest());
      break;
    case 3:
      come_back<bytes>(from.rest());
      break;
    case 4:
      come_back<pb::failure>(from.rest());
      break;
    case 5:
      come_back<std::vector<double>>(from.rest());
      break;
    case 6:
      if (const auto raw = detail::bytes_of_base64(from.rest()))
        FERMATA_CHECK(detail::bytes_of_base64(detail::base64(*raw)) == raw, "other bytes");
      break;
    default:
      if (const auto at = detail::time_of(from.rest())) {
        const std::string text = detail::text_of(at->seconds, at->rest, 9);
        const auto again = detail::time_of(text);
        FERMATA_CHECK(again && again->seconds == at->seconds && again->rest == at->rest,
                      "'{}' is another time", text);
      }
  }
  return 0;
}
