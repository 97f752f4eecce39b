// SPDX-License-Identifier: Apache-2.0
// Ids as people type them: what can be read is written in one way, and read again as the same.
#include "engine/event/ids.hpp"

#include "engine/check.hpp"
#include "tests/fuzz/reader.hpp"

using namespace fermata::engine;

namespace {

template <class Id>
void come_back(std::string_view text) {
  const auto read = Id::parse(text);
  if (!read) return;
  FERMATA_CHECK(Id::parse(read->text()) == read, "'{}' is another id when it is read again", text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::reader(data, size).rest();
  come_back<ulid>(text);
  come_back<run_id>(text);
  come_back<worker_id>(text);
  if (const auto run = run_id::parse(text)) {
    FERMATA_CHECK(run_id::of(ulid::from_view(run->view())) == *run, "its bytes are another id");
    (void)idempotency_key(*run, "3.2", text);
    (void)child_run_id(*run, text, 1);
  }
  return 0;
}
