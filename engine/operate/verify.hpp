// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <cstdint>
#include <functional>
#include <string>

/// The history checker (`fermata verify`): recomputes everything that a journal promises.
namespace fermata::engine {

struct finding {
  run_id run;               // empty: about the store
  position_t position = 0;  // 0: about the run
  std::string what;         // a sentence
};

struct verify_summary {
  std::uint64_t runs = 0;
  std::uint64_t events = 0;
  std::uint64_t payloads_erased = 0;
  std::uint64_t findings = 0;
};

struct verify_options {
  run_id only;        // empty: all runs
  bool pages = true;  // also the store's own pages and indexes
  std::function<void(const finding&)> found;
  std::function<void(const verify_summary&)> progress;  // now and then
};

/// Streams over all events, also of a live journal. Errors only when the store can't be read.
absl::StatusOr<verify_summary> verify(const store& where, const verify_options& options);

}  // namespace fermata::engine
