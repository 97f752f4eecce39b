// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

/// Every bound of the engine, with its reason. What goes beyond one is refused with an error that
/// names the bound. PROTOCOL §12.
namespace fermata::engine::limits {

// Time, in milliseconds unless the name says otherwise.
inline constexpr std::int64_t lease_ms = 15'000;           // a dead worker's runs go on within it
inline constexpr std::int64_t renew_ms = 5'000;            // a third: two renewals may be late
inline constexpr std::int64_t idle_poll_ms = 30'000;       // an idle system is silent
inline constexpr std::int64_t end_grace_ms = 10'000;       // for operations in flight at an end
inline constexpr std::int64_t slow_code_ms = 1'000;        // between awaits: logged
inline constexpr std::int64_t runaway_code_ms = 30'000;    // between awaits: the worker gives up
inline constexpr std::int64_t lock_warning_ms = 10'000;    // then the holder is named
inline constexpr std::int64_t store_retry_ms = 200;        // while the store can't be used
inline constexpr std::int64_t heartbeat_write_ms = 1'000;  // heartbeats are not events
inline constexpr std::int64_t late_task_ms = 1'000;        // its own worker times it out first
inline constexpr std::int64_t clock_warning_ms = 2'000;    // behind the journal's newest time
inline constexpr std::int64_t task_begins_ms = 500;        // half of it: then its time-outs count

// Sizes, in bytes.
inline constexpr std::size_t payload_inline = 16 * 1024;  // above: a blob, so that rows stay small
inline constexpr std::size_t payload_max = 8 * 1024 * 1024;
inline constexpr std::size_t compress_from = 4 * 1024;   // below, zstd saves less than it costs
inline constexpr std::size_t recorded_input_max = 1024;  // people look at inputs; more is hashed
inline constexpr std::size_t key_max = 255;
inline constexpr std::size_t name_max = 128;
inline constexpr std::size_t tag_value_max = 255;
inline constexpr std::size_t status_max = 1024;
inline constexpr std::size_t log_line_max = 4 * 1024;
inline constexpr std::size_t failure_text_max =
    16 * 1024;  // details can't be erased: keep them small
inline constexpr std::size_t failure_details_max = 64 * 1024;
inline constexpr std::size_t wal_warning = 64 * 1024 * 1024;  // then the log names the reader

// Counts.
inline constexpr std::size_t tags_per_run = 32;
inline constexpr std::size_t inbox_per_chain = 10'000;
inline constexpr std::size_t history_warning = 100'000;
inline constexpr std::size_t operations_in_flight = 10'000;
inline constexpr std::size_t live_frames = 50'000;
inline constexpr std::size_t batch_events = 4'096;
inline constexpr std::size_t batch_bytes = 4 * 1024 * 1024;  // reached with the last append
inline constexpr std::size_t released_at_once = 2'000;       // of a dead worker's runs
inline constexpr std::size_t commits_waiting =
    10'000;  // calls of a process that wait for its writer
inline constexpr std::size_t logs_per_run = 1'000;
inline constexpr std::size_t acknowledged_kept = 10'000;  // of a process, for after a promotion
inline constexpr std::size_t lost_named = 20;             // of a kind; the others are counted
inline constexpr std::size_t checkpoint_pages = 1'000;
inline constexpr int crashes_to_quarantine = 3;             // attributed to the operation
inline constexpr int unattributed_to_isolate = 2;           // in a row: executed alone from then on
inline constexpr int unattributed_alone_to_quarantine = 5;  // in a row while alone

}  // namespace fermata::engine::limits
