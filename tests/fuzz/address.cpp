// SPDX-License-Identifier: Apache-2.0
// Addresses of journals: read, or refused with a sentence.
#include "engine/store/postgres/address.hpp"
#include "engine/store/failure.hpp"
#include "engine/store/sqlite/address.hpp"
#include "tests/fuzz/reader.hpp"

using namespace fermata::engine;

namespace {

template <class Parse>
void try_to(const Parse& parse) {
  try {
    (void)parse();
  } catch (const store_failure&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  const bool prefixed = from.byte() % 2 == 0;
  const std::string text(from.rest());
  try_to([&] { return sqlite::parse_address(prefixed ? "sqlite:" + text : text); });
  if (postgres::is_postgres_address(prefixed ? "postgres://" + text : text))
    try_to([&] { return postgres::parse_address(prefixed ? "postgres://" + text : text); });
  (void)postgres::in_schema(text, "SELECT 1 FROM fermata.runs");
  return 0;
}
