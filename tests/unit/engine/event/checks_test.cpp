// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"

#include "engine/ports/simulated.hpp"
#include "sample_events.hpp"

#include <doctest/doctest.h>

namespace fermata::engine {
namespace {

std::string counting(std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(i);
  return out;
}

}  // namespace

TEST_CASE("CRC-32C of RFC 3720 §B.4") {
  std::string falling = counting(32);
  std::reverse(falling.begin(), falling.end());

  for (auto* crc : {&crc32c, &crc32c_by_table}) {
    CHECK(crc(std::string(32, '\0'), 0) == 0x8a9136aa);
    CHECK(crc(std::string(32, '\xff'), 0) == 0x62a8ab43);
    CHECK(crc(counting(32), 0) == 0x46dd794e);
    CHECK(crc(falling, 0) == 0x113fdb5c);
    CHECK(crc("123456789", 0) == 0xe3069283);
    CHECK(crc("", 0) == 0);
  }
}

TEST_CASE("the processor's CRC equals the table's, for every length and in pieces") {
  seeded_random chance(3);
  std::string bytes(300, '\0');
  chance.fill(bytes.data(), bytes.size());
  const std::string_view all = bytes;

  for (std::size_t size = 0; size <= all.size(); ++size) {
    const std::string_view part = all.substr(0, size);
    REQUIRE(crc32c(part) == crc32c_by_table(part));
    REQUIRE(crc32c(all.substr(size), crc32c(part)) == crc32c(all));
    REQUIRE(crc32c_by_table(all.substr(size), crc32c_by_table(part)) == crc32c(all));
  }
}

TEST_CASE("SipHash-2-4 of the paper's appendix, and of the reference vectors") {
  const std::string key = counting(16);

  CHECK(siphash24(key, counting(15)) == 0xa129ca6149be45e5);
  CHECK(siphash24(key, "") == 0x726fdb47dd0e0e31);
  CHECK(siphash24(key, counting(1)) == 0x74f839c593dc67fd);
  CHECK(siphash24(key, counting(8)) == 0x93f5f5799a932462);
  CHECK(siphash24(key, counting(63)) == 0x958a324ceb064572);
}

TEST_CASE("SHA-256 of FIPS 180-4's examples") {
  const auto hex = [](std::string_view of) {
    const auto hash = sha256(of);
    return testing::to_hex({reinterpret_cast<const char*>(hash.data()), hash.size()});
  };

  CHECK(hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace fermata::engine
