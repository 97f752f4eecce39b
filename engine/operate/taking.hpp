// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/operate.hpp"

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

/// What all acts have in common: read the run, append behind its last event, try again when somebody
/// was faster.
namespace fermata::engine {

absl::Status unknown_run(const run_id& run);                             // FER-1302
absl::Status ended_already(const run_row& row);                          // FER-1303
absl::Status not_allowed(const run_id& run, std::string_view sentence);  // FER-1308

/// The run's row. Errors: FER-1302.
absl::StatusOr<run_row> find_row(const store& where, const run_id& run);

/// An append that takes the run from whoever has it: `owner_changed` to nobody, then what is added.
class taking {
 public:
  taking(const run_row& row, const head& last, time_us now);

  /// The first event. `from` is the owner's public id, empty when nobody owns the run.
  void take_from(std::string_view from, std::string_view why);
  void add(event what);
  append& what() { return append_; }

 private:
  append append_;
  chain_hash hash_;
  position_t position_;
  time_us now_;
};

/// Reads the run's head and owner and begins to take it.
absl::StatusOr<taking> take(const store& where, const run_row& row, std::string_view why);

/// One try: the append, or nothing when there is nothing to do.
using one_try = std::function<absl::StatusOr<std::optional<append>>()>;
/// Makes and commits until it lands; a few times.
absl::Status until_landed(store& where, const run_id& run, const one_try& make);

/// Commits, and sends the very same again when the answer was lost.
absl::StatusOr<batch_result> commit_surely(store& where, const batch& what);
/// Calls again while the store says UNAVAILABLE; a few times.
absl::Status surely(const std::function<absl::Status()>& call);

/// Who did it and why: `pause`, `resume`, `retry`.
event act_event(std::string_view name, const act& by);

/// What an end tells the parent's chain; empty when there is no parent, or it isn't to be told.
std::optional<message> end_message(const run_row& row, const event& end, run_state how);

/// Stored forms of `events` from position 1 on.
std::vector<encoded_event> encode_all(const run_id& run, const std::vector<event>& events);

/// 16 random bytes.
std::string random_salt();

/// A start request that never begins becomes an ended run: its start, then `end`. Its parent is told.
/// False when it has begun or ended meanwhile.
absl::StatusOr<bool> end_unbegun(store& where, const start_request& request, event end,
                                 run_state how);

}  // namespace fermata::engine
