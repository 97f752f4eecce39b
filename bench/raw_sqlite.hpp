// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/raw_commits.hpp"

#include <memory>
#include <string>

/// What the disk and SQLite give without an engine.
namespace fermata::bench {

/// In a new file: a journal-like table in log order, WAL, synchronous=FULL.
std::unique_ptr<raw_commits> sqlite_commits(const std::string& path);

/// A single-threaded program that writes just what an engine must: events in log order with a unique
/// index on (run, seq) and an append-only trigger, a row of `runs` with a unique key at the start,
/// updated at the end; 180 bytes an event, so many `events` a run, one commit a round.
/// Returns: completed runs per second.
double raw_workflows(const std::string& path, int in_flight, double seconds, int events = 12);

}  // namespace fermata::bench
