// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <string>
#include <string_view>
#include <vector>

/// One run whose journal has an event of every kind and payloads of every sort. Not a story that a
/// workflow could have written; the same in every program, since golden vectors are made from it.
namespace fermata::engine::testing {

struct sample {
  event what;
  std::string_view means = "{}";  // the details as JSON, written by hand; bytes as hex
  bool erase = false;             // the golden journal has it erased
};

run_id sample_run();
std::string sample_seed();  // 16 bytes
std::string salt_for(position_t position);

std::vector<sample> sample_events();

/// Their stored form, chained from nothing; with `erase` done where it is asked for.
std::vector<encoded_event> sample_journal(bool erase = false);

std::string to_hex(std::string_view bytes);
std::string from_hex(std::string_view hex);

/// Every field, as text: a difference shows itself.
std::string text_of(const event& what);

}  // namespace fermata::engine::testing
