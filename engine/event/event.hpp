// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"
#include "engine/event/journal.pb.h"
#include "engine/event/kind.hpp"
#include "engine/event/texts.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace fermata::engine {

/// A value of the user's, as their codec wrote it: bytes to the engine. Never compressed here.
struct payload {
  std::string bytes;
  interned content_type;   // "application/json", "application/x-protobuf" …; empty: no payload
  std::uint64_t type = 0;  // fingerprint of the user's type
  bool sensitive = false;
  bool erased = false;    // was here, and was erased by retention
  bool canonical = true;  // equal values have equal bytes: input hashes are compared

  bool present() const noexcept { return !content_type.empty(); }
};

/// One record of the journal: something that happened to a run. Plain value.
struct event {
  position_t position = 0;
  event_kind kind = event_kind::run_started;
  epoch_t epoch = 0;
  time_us at = 0;
  std::string operation;  // "7", "3.2", "c.1"; empty where the event belongs to the run
  std::string name;       // of the step, workflow, signal, tag …
  interned place;         // "orders.cpp:41": where the code asked; empty: unknown
  payload value;          // outcome, message, input of a start, published value …
  payload input;          // of a step: kept up to the recording limit
  pb::details details;
};

/// An event as a store keeps it: columns, with checks made. Names and places are still text; a
/// store may intern them. What `crc` and `chain` cover is fixed in FORMAT.md §5.
struct encoded_event {
  position_t position = 0;
  event_kind kind = event_kind::run_started;
  epoch_t epoch = 0;
  time_us at = 0;
  std::string operation;
  std::string name;
  interned place;
  std::uint8_t flags = 0;    // FORMAT.md §4: sensitive, blob, erased …
  std::uint8_t codec = 0;    // 0 plain, 1 zstd: of value; high nibble: of input
  std::uint32_t key_id = 0;  // 0: not encrypted
  interned content_type;     // of value
  interned input_content_type;
  std::string value;  // as stored: compressed when codec says so
  std::string input;
  bytes16 salt;         // 16 bytes; empty where there is neither value nor input
  bytes16 digest;       // 16 bytes: of the plaintext of value and input, salted
  std::string details;  // serialised pb::details
  chain_hash chain{};
  std::uint32_t crc = 0;
};

}  // namespace fermata::engine
