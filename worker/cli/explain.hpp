// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/crash.hpp"
#include "worker/cli/session.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Why a run isn't further: what is known of it, and the one sentence that follows.
namespace fermata::cli {

/// An operation that has begun and has no outcome, as far as the journal tells. A plain local step
/// has no event before its outcome, so it isn't among them.
struct in_flight {
  enum class what { step, child, sleep, receive } kind = what::step;
  std::string operation;
  std::string name;
  std::string place;
  engine::time_us since = 0;
  engine::time_us due = 0;  // of a timer, or of the next attempt; 0: none
  int attempts = 0;         // that have failed
  bool executing = false;   // an attempt is under way
  std::string error;        // of the last attempt
  std::string queue;
  bool queued = false;  // its attempt is in this queue, or executed
  engine::run_id child;
  engine::run_state child_state = engine::run_state::running;
};

struct run_facts {
  engine::run_row row;
  engine::time_us now = 0;
  std::int64_t boot_now = 0;
  std::vector<engine::message> inbox;
  std::vector<engine::timer_row> timers;
  std::vector<engine::task_row> tasks;  // attempts at steps on queues of their own
  std::vector<engine::worker_row> all_workers;
  std::vector<engine::worker_row> workers;  // alive
  std::vector<engine::serving_row> serving;
  std::optional<engine::worker_row> owner;  // also when it is dead
  std::vector<in_flight> operations;
  crash_story crash;
  pb::operator_act last_act;  // who paused it
  engine::time_us last_act_at = 0;
  engine::position_t events = 0;
  engine::time_us last_event_at = 0;
  std::string last_event;  // "step 'charge_card'"
  std::string damage;      // the journal can't be read behind an event
  bool compensated = false;
  std::map<std::string, engine::position_t> signals;  // where the newest of each name is

  bool served_now(std::string_view kind, std::string_view name) const;
  bool ever_served(std::string_view kind, std::string_view name) const;
};

run_facts facts_of(session& s, const engine::run_row& row);

struct next_step {
  std::string command;
  std::string when = "";  // under which condition, or what for
  bool whole = true;      // false: something has to be filled in
};

struct explanation {
  std::string reason;  // a word for programs: "waits_for_signal"
  std::string sentence;
  std::vector<std::string> evidence;
  std::vector<next_step> next;      // commands to type
  std::vector<std::string> advice;  // what else can be done
};

/// Always has an answer.
explanation reason_for(session& s, const run_facts& facts);

/// Of a run that has ended.
explanation because_ended(session& s, const run_facts& facts);
/// Of one that waits for a person; empty when it doesn't.
std::optional<explanation> because_of_attention(session& s, const run_facts& facts);
/// Of one whose steps wait in a queue of their own, or are executed there; empty when none is.
std::optional<explanation> because_of_tasks(session& s, const run_facts& facts);
/// What there is to say of each of them.
std::vector<std::string> task_evidence(session& s, const run_facts& facts);
/// The same row, for a command about another run of it.
engine::run_row named(engine::run_row row, const engine::run_id& run);

/// "for 3m" or "since 2026-…"; "for another 5m" or "until 2026-…".
std::string since_text(session& s, engine::time_us at);
std::string until_text(session& s, engine::time_us at);

}  // namespace fermata::cli
