// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Recorded histories as files: README.md tells their form.
namespace replay {

namespace engine = fermata::engine;

struct recorded_run {
  engine::run_id run;
  std::string workflow;
  engine::run_state state = engine::run_state::running;
  std::vector<engine::encoded_event> events;
};

struct recording {
  std::string file;  // 0.1.0/timers
  std::string scene;
  std::vector<recorded_run> runs;  // in the order in which they began
};

/// All that was recorded, in the order of the files' names. With FERMATA_RECORD_HISTORIES set, the
/// scenes that this version hasn't recorded are recorded first.
/// Throws: `mismatch` when a file can't be read.
const std::vector<recording>& all_recordings();

/// Reads one file's text. Throws: `mismatch` with the line that is wrong.
recording read_recording(const std::string& file, std::string_view text);
std::string text_of(const recording& what);

std::string to_hex(std::string_view bytes);

/// What lies in this journal.
std::vector<recorded_run> runs_of(const engine::store& where);

/// Puts the first `events` events of a run into the journal, owned by nobody, ready to be taken.
/// Throws: `fermata::error` when the journal refuses it.
void put_in(engine::store& where, const recorded_run& what, std::size_t events);

/// Every event decoded, with its CRC, digest and place in the chain. Throws: `mismatch`.
std::vector<engine::event> decoded(const recorded_run& what);

}  // namespace replay
