// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/encode.hpp"
#include "tests/fuzz/reader.hpp"

namespace fuzz {

inline fermata::engine::run_id any_run() {
  return fermata::engine::run_id::of(
      fermata::engine::ulid::make(1'700'000'000'000'000, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

/// A row of the table `events`, as a damaged or foreign journal might have it.
inline fermata::engine::encoded_event read_stored(reader& from) {
  fermata::engine::encoded_event e;
  e.kind = static_cast<fermata::engine::event_kind>(from.byte());
  const std::uint8_t shape = from.byte();
  e.position = from.number(1 + (shape & 1U) * 7);
  e.epoch = static_cast<fermata::engine::epoch_t>(from.number(1));
  e.at = static_cast<std::int64_t>(from.number((shape & 2U) != 0 ? 8 : 2));
  e.flags = (shape & 4U) != 0 ? from.byte() : 0;
  e.codec = (shape & 8U) != 0 ? from.byte() : 0;
  e.key_id = (shape & 16U) != 0 ? from.byte() : 0;
  e.operation = from.text();
  e.name = from.text();
  e.details = from.text();
  if ((shape & 32U) != 0) {
    e.content_type = std::string_view("application/json");
    e.value = from.text();
  }
  if ((shape & 64U) != 0) {
    e.input_content_type = std::string_view("application/json");
    e.input = from.text();
  }
  if ((shape & 96U) != 0) {
    const std::string_view salt = "0123456789abcdef";
    e.salt = salt;
    e.digest = salt;
  }
  return e;
}

}  // namespace fuzz
