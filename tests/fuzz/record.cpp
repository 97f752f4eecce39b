// SPDX-License-Identifier: Apache-2.0
// A stored event that passes its checksum although nobody of ours wrote it: decoded, told to people,
// checked; and what can be decoded is encoded again and is the same.
#include "engine/check.hpp"
#include "engine/replay/mismatch.hpp"
#include "engine/store/projection.hpp"
#include "tests/fuzz/stored_event.hpp"

using namespace fermata::engine;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  const run_id run = fuzz::any_run();
  encoded_event stored = fuzz::read_stored(from);
  (void)decode(run, stored);  // a wrong checksum
  seal(run, {}, stored);
  (void)check_chain(run, {}, stored);
  (void)decode_envelope(run, stored);
  const absl::StatusOr<event> what = decode(run, stored);
  if (!what.ok()) return 0;

  (void)describe(*what);
  run_changes changes;
  fold_changes(run, *what, changes);
  encoded_event copy = stored;
  erase_payloads(run, copy);
  FERMATA_CHECK(decode_envelope(run, copy).ok(), "what was erased can't be read");
  if (!check_limits(*what).ok()) return 0;
  const encoded_event again = encode(run, {}, *what, "0123456789abcdef");
  const absl::StatusOr<event> same = decode(run, again);
  FERMATA_CHECK(same.ok(), "what was encoded can't be decoded");
  FERMATA_CHECK(same->details.SerializeAsString() == what->details.SerializeAsString() &&
                    same->value.bytes == what->value.bytes &&
                    same->input.bytes == what->input.bytes && same->name == what->name,
                "it is another event");
  return 0;
}
