// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/batch.hpp"

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

/// Starts of one batch that are tied together: all of them are written, or none.
namespace fermata::engine {

/// What a store does with one start.
struct start_verbs {
  /// The answer that a start with a key gets from what is stored; empty when it would begin a run.
  /// Asked only of starts that are tied to others.
  std::function<std::optional<start_result>(const start_item&)> known;
  std::function<start_result(const start_item&)> apply;
};

/// Applies `all` in order. Of what is tied together nothing is applied when one would be refused.
std::vector<start_result> start_all(const std::vector<start_item>& all, const start_verbs& verbs);

/// Is the key bound with another input? Inputs of different types aren't compared.
bool other_input(std::uint64_t bound_type, std::string_view bound_digest, const start_item& item);

/// Why a copy isn't begun: another chain has its key by now.
absl::Status key_is_taken(const start_request& copy, const chain_id& by);
/// Why a copy isn't begun: a child that is in flight in it has ended meanwhile.
absl::Status child_has_ended(const start_request& copy, const chain_id& child);

}  // namespace fermata::engine
