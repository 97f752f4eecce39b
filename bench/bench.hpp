// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/report.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace fermata::bench {

enum class store_kind : std::uint8_t { sqlite, postgres };

/// What the command line says.
struct settings {
  store_kind on = store_kind::sqlite;  // where journals lie
  double seconds = 3;                  // of one measurement
  int repeat = 5;                      // measurements, of which the median is reported
  std::vector<int> in_flight = {};     // W2: 16, 64, 256, 1024; others: 256
  int clients = 0;                     // W2: threads that start and await; 0: one for each run
  std::size_t payload_bytes = 120;     // of each input and result, as JSON
  std::string postgres;                // where; everything is in schemas of its own
  int runs = 0;                        // W4, W5, W6, W8, W9; 0: what each has by itself
  std::vector<int> rates = {100'000, 10'000};  // W6: timers that are due per second
  double idle_seconds = 0;                     // W12; 0: as `seconds`
  int width = 1000;                            // W3: steps and children at once
  std::vector<int> finished = {};  // W5, W11: runs that have ended before, in the same journal
  std::vector<int> slots = {1, 16, 64, 256};           // W5: runs at once of a worker
  std::vector<int> processes = {1, 2, 4};              // W5: workers
  std::vector<int> events = {1'000, 10'000, 100'000};  // W8: of a run's history
  bool record_hashes = false;  // W11: of a step's input nothing but its hash
  bool old_snapshot = false;   // W5: again while a transaction is open that began before
  std::string folder;          // where journals and probes lie, one below the other
};

// One question each; README.md says what they measure.
void probe(const settings& how, report& to);
void probe_postgres(const settings& how, report& to);
void w1_sequential(const settings& how, report& to);
void w2_in_flight(const settings& how, report& to);
void w2_open_loop(const settings& how, report& to);
void w2_across(const settings& how, report& to);
void w3_fan_out(const settings& how, report& to);
void w4_enqueue(const settings& how, report& to);
void w5_drain(const settings& how, report& to);
void w6_timers(const settings& how, report& to);
void w7_latency(const settings& how, report& to);
void w7_across(const settings& how, report& to);
void w8_replay(const settings& how, report& to);
void w9_recovery(const settings& how, report& to);
void w10_memory(const settings& how, report& to);
void w11_history(const settings& how, report& to);
void w12_footprint(const settings& how, report& to);

}  // namespace fermata::bench
