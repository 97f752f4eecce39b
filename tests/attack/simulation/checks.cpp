// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/checks.hpp"

#include "engine/event/encode.hpp"
#include "engine/operate/verify.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fermata::simulation {

namespace {

std::vector<engine::run_row> rows_of(const world& in, bool open) {
  engine::run_query query;
  query.at_most = 1'000'000;
  if (open)
    query.states = {engine::run_state::waiting_to_start, engine::run_state::running,
                    engine::run_state::compensating};
  auto rows = in.journal->list(query);
  return rows.ok() ? *std::move(rows) : std::vector<engine::run_row>{};
}

std::vector<engine::event> events_of(const world& in, const engine::run_id& run) {
  std::vector<engine::event> all;
  const auto stored = in.journal->read_events(run, 1, 1'000'000);
  if (!stored.ok()) return all;
  for (const engine::encoded_event& one : *stored)
    if (auto event = engine::decode(run, one); event.ok()) all.push_back(*std::move(event));
  return all;
}

/// All steps that the journal has as completed were carried out.
void check_bodies(world& in, const engine::run_row& row, const std::vector<engine::event>& events) {
  for (const engine::event& e : events) {
    if (e.kind != engine::event_kind::step_completed) continue;
    const std::string key = engine::idempotency_key(row.run, e.operation, e.name);
    if (!in.seen.began(key)) in.seen.complain("never began", key + " completed, and never began");
  }
}

void check_undone(world& in, const engine::run_row& row) {
  const std::string run = row.run.text();
  const bool undone =
      row.state == engine::run_state::failed || row.state == engine::run_state::cancelled;
  if (undone && in.seen.open_charges(run) != 0)
    in.seen.complain("not undone",
                     fmt::format("run {} {}: {} charges weren't refunded", run,
                                 engine::text_of(row.state), in.seen.open_charges(run)));
  if (row.state == engine::run_state::completed && in.seen.refunds_of(run))
    in.seen.complain("undone", fmt::format("run {} completed, and was refunded", run));
}

/// Each acknowledged signal is in the history, received once or told as unread, or in the inbox of a run that
/// was terminated before it began.
void check_signals(world& in, const wanted_run& run, const std::vector<engine::event>& events) {
  std::map<std::string, int> received, unread;
  for (const engine::event& e : events) {
    if (e.kind == engine::event_kind::signal_received) ++received[e.details.signal().message()];
    for (const std::string& id : e.details.ended().unread()) ++unread[id];
    for (const std::string& id : e.details.failing().unread()) ++unread[id];
  }
  if (const auto inbox = in.journal->inbox(*run.started); inbox.ok())
    for (const engine::message& one : *inbox) ++unread[std::string(one.id.view())];
  for (const wanted_run::sent& one : run.signals) {
    const std::string id(one.id.view());
    const bool there = received[id] + unread[id] > 0;
    if (received[id] > 1)
      in.seen.complain("signal twice", fmt::format("{} was received {} times by {}", one.id.text(),
                                                   received[id], run.started->text()));
    if (one.acked && !there)
      in.seen.complain("lost signal", fmt::format("{} was acknowledged, and isn't in {}",
                                                  one.id.text(), run.started->text()));
    if (one.refused && there)
      in.seen.complain("refused signal", fmt::format("{} was refused, and is in {}", one.id.text(),
                                                     run.started->text()));
  }
}

void check_outcome(world& in, const wanted_run& run, const engine::run_row& row,
                   const std::vector<engine::event>& events) {
  if (events.empty()) return;
  const bool stopped = run.cancelled || run.terminated;
  const auto wanted =
      fails_by_plan(run.what) ? engine::run_state::failed : engine::run_state::completed;
  const bool by_plan = row.state == wanted;
  const bool as_told = (run.cancelled && row.state == engine::run_state::cancelled) ||
                       (run.terminated && row.state == engine::run_state::terminated);
  if (!by_plan && !as_told)
    in.seen.complain("outcome", fmt::format("program {} ({}) is {}: {}", run.what.id,
                                            row.run.text(), engine::text_of(row.state), row.error));
  if (row.state == engine::run_state::completed) {
    const std::string result = std::to_string(result_of(run.what));
    if (events.back().value.bytes != result)
      in.seen.complain("result", fmt::format("program {} ({}) came to {}, {} is right", run.what.id,
                                             row.run.text(), events.back().value.bytes, result));
  }
  if (row.state == engine::run_state::failed && !stopped &&
      events.back().details.ended().why().type() != "planned")
    in.seen.complain("outcome", fmt::format("program {} ({}) failed otherwise than planned: {}",
                                            run.what.id, row.run.text(), row.error));
}

/// What was acknowledged exists, and once; what wasn't asked for doesn't exist.
void check_client(world& in, const wanted_run& run,
                  const std::multimap<std::string, engine::run_row>& by_program) {
  const std::string name = std::to_string(run.what.id);
  const std::size_t there = by_program.count(name);
  const std::size_t least = run.started ? 1 : 0;
  const std::size_t most = run.tried ? 1 : 0;
  if (there < least || there > most)
    in.seen.complain("starts", fmt::format("program {} exists {} times", name, there));
  if (there != 1) return;
  const engine::run_row& row = by_program.find(name)->second;
  if (run.started && row.run != *run.started)
    in.seen.complain("starts", fmt::format("program {} was acknowledged as {}, and is {}", name,
                                           run.started->text(), row.run.text()));
  const std::vector<engine::event> events = events_of(in, row.run);
  if (run.started) check_signals(in, run, events);
  check_outcome(in, run, row, events);
}

}  // namespace

bool all_ended(const world& in) { return rows_of(in, true).empty(); }

void complain_of_open(world& in) {
  for (const engine::run_row& row : rows_of(in, true)) {
    const auto timers = in.journal->timers(row.run);
    const auto tasks = in.journal->tasks(row.run);
    in.seen.complain(
        "not ended",
        fmt::format(
            "run {} ({}, attention {}) hasn't ended: owner {}, epoch {}, waits for '{}', {} "
            "timers, {} tasks {}",
            row.run.text(), engine::text_of(row.state), engine::text_of(row.attention), row.owner,
            row.epoch, row.waits, timers.ok() ? timers->size() : 0, tasks.ok() ? tasks->size() : 0,
            row.report));
  }
}

void check_all(world& in, const clients& by) {
  engine::verify_options how;
  how.found = [&](const engine::finding& one) {
    in.seen.complain(
        "verify", fmt::format("run {}, position {}: {}", one.run.text(), one.position, one.what));
  };
  if (const auto done = engine::verify(*in.journal, how); !done.ok())
    in.seen.complain("verify", std::string(done.status().message()));
  std::multimap<std::string, engine::run_row> by_program;
  for (const engine::run_row& row : rows_of(in, false)) {
    check_bodies(in, row, events_of(in, row.run));
    check_undone(in, row);
    if (const auto tag = row.tags.find("program"); tag != row.tags.end())
      by_program.emplace(tag->second, row);
  }
  for (const auto& run : by.all()) check_client(in, *run, by_program);
}

void tell_journal(world& in) {
  for (const engine::run_row& row : rows_of(in, false))
    for (const engine::event& e : events_of(in, row.run))
      in.tell("{} {:3} {} {} {}, epoch {}, at {:.6f}", row.run.text(), e.position,
              engine::text_of(e.kind), e.operation, std::string(e.name), e.epoch,
              static_cast<double>(e.at - row.requested) / 1e6);
}

std::uint64_t hash_of_journal(const world& in) {
  std::uint64_t hash = 0;
  std::string cursor;
  for (;;) {
    const auto events = in.journal->changes(cursor, 10'000);
    if (!events.ok() || events->empty()) return hash;
    // Not their chain: what operators append is salted by the system's chance.
    for (const engine::stored_event& one : *events)
      hash = mixed(hash ^ mixed(std::hash<engine::run_id>()(one.run)) ^ one.what.position << 8 ^
                   static_cast<std::uint64_t>(one.what.kind) ^
                   static_cast<std::uint64_t>(one.what.at) << 20);
    cursor = events->back().cursor;
  }
}

}  // namespace fermata::simulation
