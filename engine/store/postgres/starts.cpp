// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/store/postgres/turn.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/start_groups.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::postgres {

namespace {

using outcome = start_result::outcome;

/// What a caller left out, filled in.
start_request complete(const turn& turn, start_request request) {
  if (request.chain.empty()) request.chain = request.run;
  if (request.origin.empty()) request.origin = request.run;
  if (request.requested == 0) request.requested = turn.now;
  return request;
}

key_name name_of(const turn& turn, const start_request& request) {
  return {turn.at.spaces.id_of(request.space), request.workflow, request.key};
}

void bind_key(turn& turn, const start_request& request, std::string_view digest) {
  known_key& key = turn.keys[name_of(turn, request)];
  key.bound = true;
  // Mostly its row was put just so, to lock it.
  const bool there = key.fresh && key.chain == request.chain &&
                     key.input_type == request.input.type && key.input_digest == digest;
  if (there) return;
  key.chain = request.chain;
  key.input_type = request.input.type;
  key.input_digest = digest;
  turn.write.bind_key(turn.at.spaces.id_of(request.space), request.workflow, request.key,
                      request.chain, request.input.type, digest);
}

/// The answer for a key that is bound already; empty when the start may take the key over.
std::optional<start_result> duplicate(const turn& turn, const known_key& key,
                                      const start_item& item) {
  const auto chain = turn.chains.find(key.chain);
  if (chain == turn.chains.end() || chain->second.empty()) return std::nullopt;
  const known_chain& known = chain->second;
  start_result result{.how = outcome::exists, .run = known.run, .chain = key.chain};
  if (known.has_ended() == false && !known.request.empty() && (known.run.empty() || known.ended))
    result.run = known.request;
  if (item.on_duplicate == on_duplicate::fail) return result;
  if (item.on_duplicate == on_duplicate::restart_if_ended && known.has_ended()) return std::nullopt;

  const bool differs = other_input(key.input_type, key.input_digest, item);
  result.how = differs ? outcome::conflict : outcome::attached;
  return result;
}

/// The answer for a run id that is there already: the very same start again.
std::optional<start_result> repeated(const turn& turn, const start_item& item) {
  const auto known = turn.ids.find(item.request.run);
  if (known == turn.ids.end()) return std::nullopt;
  start_result result{
      .how = outcome::started, .run = item.request.run, .chain = known->second.chain};
  result.admitted =
      known->second.begun && item.admit && turn.worker != 0 && known->second.owner == turn.worker;
  if (result.admitted) result.row = 1;
  return result;
}

/// The answer that a start with a key gets from what is there; empty when it begins a run.
std::optional<start_result> known(const turn& turn, const start_item& item) {
  if (auto same = repeated(turn, item)) return same;
  if (item.request.key.empty()) return std::nullopt;
  const auto key = turn.keys.find(name_of(turn, item.request));
  if (key == turn.keys.end() || !key->second.bound) return std::nullopt;
  return duplicate(turn, key->second, item);
}

void prove(turn& turn, const run_id& run) {
  if (turn.in.proof.what == proof::kind::none)
    turn.in.proof = {.what = proof::kind::start, .run = run};
}

void add_request(turn& turn, const start_request& request) {
  turn.write.request(request, turn.at.spaces.id_of(request.space));
  turn.ids[request.run] = {.begun = false, .owner = 0, .chain = request.chain};
  turn.chains[request.chain].request = request.run;
  if (!request.previous_run.empty()) turn.write.change(request.previous_run).next_run = request.run;
  turn.latest = std::max(turn.latest, request.requested);
  turn.woke = true;
  prove(turn, request.run);
}

known_run& add_run(turn& turn, const run_row& row, const start_request& request, const head& last) {
  known_run& run = turn.runs[row.run];
  run.run = row.run;
  run.chain = row.chain;
  run.space = turn.at.spaces.id_of(row.space);
  run.queue = turn.at.names.id_of(row.queue);
  run.priority = -std::int64_t{row.priority};
  run.owner = row.owner;
  run.epoch = row.epoch;
  run.state = row.state;
  run.head = last;
  turn.ids[row.run] = {.begun = true, .owner = row.owner, .chain = row.chain};
  known_chain& chain = turn.chains[row.chain];
  chain.run = row.run;
  chain.ended = ended(row.state);
  chain.request = {};
  turn.write.run(request, row, run.space);
  for (const auto& [key, value] : request.tags) turn.write.tag(row.run, key, value);
  if (!request.previous_run.empty()) turn.write.change(request.previous_run).next_run = request.run;
  prove(turn, row.run);
  return run;
}

start_result apply_start(turn& turn, const start_item& item) {
  if (const auto same = repeated(turn, item)) return *same;

  const start_request request = complete(turn, item.request);
  if (!request.key.empty()) {
    const auto key = turn.keys.find(name_of(turn, request));
    if (key != turn.keys.end() && key->second.bound)
      if (const auto same = duplicate(turn, key->second, item)) return *same;
    bind_key(turn, request, item.input_digest);
  }

  start_result result{.how = outcome::started, .run = request.run, .chain = request.chain};
  if (item.admit && turn.alive) {
    result.admitted = true;
    result.row = 1;
    begin(turn, request, *item.admit, item.build);
  } else {
    add_request(turn, request);
  }
  return result;
}

/// Rows of keys that were put to lock them, and that no start has taken.
void remove_unbound(turn& turn) {
  for (const auto& [name, key] : turn.keys)
    if (key.fresh && !key.bound)
      turn.write.unbind_key(std::get<0>(name), std::get<1>(name), std::get<2>(name));
}

}  // namespace

known_run& begin(turn& turn, const start_request& request, const encoded_event& first,
                 std::string_view build) {
  const event start = make_start_event(request, first.at, first.epoch, build);
  run_row row = row_of_start(request, start);
  row.owner = turn.worker;
  row.updated = turn.now;
  run_changes changes;
  fold_changes(request.run, start, changes);
  if (changes.state) row.state = *changes.state;

  known_run& run = add_run(turn, row, request, {first.position, first.chain});
  turn.write.event(row.run, first);
  // Stronger than the run's id, which a request has had before.
  turn.in.proof = {
      .what = proof::kind::event, .run = row.run, .position = first.position, .hash = first.chain};
  apply_changes(turn, row.run, run.space, changes);
  set_lease(turn);
  turn.latest = std::max(turn.latest, first.at);
  return run;
}

known_run& insert_whole(turn& turn, const start_request& given,
                        const std::vector<encoded_event>& events, const run_changes& changes) {
  const start_request request = complete(turn, given);
  event start;
  start.at = events.front().at;
  start.epoch = events.back().epoch;
  run_row row = row_of_start(request, start);
  if (changes.state) row.state = *changes.state;
  row.ended = changes.ended.value_or(0);
  row.error = changes.error.value_or("");
  known_run& run = add_run(turn, row, request, {events.back().position, events.back().chain});
  for (const encoded_event& event : events) {
    turn.write.event(row.run, event);
    turn.latest = std::max(turn.latest, event.at);
  }
  apply_changes(turn, row.run, run.space, changes);
  turn.woke = true;
  return run;
}

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all) {
  auto answers =
      start_all(all, {.known = [&](const start_item& one) { return known(turn, one); },
                      .apply = [&](const start_item& one) { return apply_start(turn, one); }});
  remove_unbound(turn);
  return answers;
}

void insert_child(turn& turn, start_request given) {
  if (turn.ids.contains(given.run)) return;

  start_request request = complete(turn, std::move(given));
  if (!request.key.empty()) {
    const auto key = turn.keys.find(name_of(turn, request));
    if (key == turn.keys.end() || !key->second.bound) {
      const auto digest = sha256(request.input.bytes);
      bind_key(turn, request, {reinterpret_cast<const char*>(digest.data()), 16});
    } else if (key->second.chain != request.chain) {
      request.key.clear();
    }
  }
  add_request(turn, request);
}

}  // namespace fermata::engine::postgres
