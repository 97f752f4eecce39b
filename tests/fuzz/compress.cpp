// SPDX-License-Identifier: Apache-2.0
// Payloads as a store has them: damaged ones are refused, within the bound; ours come back as they were.
#include "engine/event/compress.hpp"

#include "engine/check.hpp"
#include "engine/limits.hpp"
#include "tests/fuzz/reader.hpp"

using namespace fermata::engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  const int times = 1 << (from.byte() & 7U);
  std::string plain;
  (void)unpack_zstd(from.rest(), plain);
  FERMATA_CHECK(plain.size() <= static_cast<std::size_t>(limits::payload_max), "{} bytes",
                plain.size());

  std::string large;
  for (int i = 0; i < times; ++i) large += from.rest();
  std::string stored;
  if (pack(large, stored) == codec::plain) {
    FERMATA_CHECK(stored.empty() || stored == large, "kept as another");
    return 0;
  }
  FERMATA_CHECK(unpack_zstd(stored, plain).empty() && plain == large, "it didn't come back");
  return 0;
}
