// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/store/memory/turn.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/start_groups.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::memory {
namespace {

using outcome = start_result::outcome;

/// What a caller left out, filled in.
start_request complete(const turn& turn, start_request request) {
  if (request.chain.empty()) request.chain = request.run;
  if (request.origin.empty()) request.origin = request.run;
  if (request.requested == 0) request.requested = turn.now;
  return request;
}

std::string digest16(const payload& input) {
  const auto digest = sha256(input.bytes);
  return {digest.begin(), digest.begin() + 16};
}

start_result answer(outcome how, const run_row& row) {
  return {.how = how, .run = row.run, .chain = row.chain};
}

/// The answer for a key that is bound already; empty when the start may take the key over.
std::optional<start_result> duplicate(const tables& data, const key_record& key,
                                      const start_item& item) {
  const std::optional<run_row> row = data.current(key.chain);
  if (!row) return std::nullopt;
  if (item.on_duplicate == on_duplicate::fail) return answer(outcome::exists, *row);
  if (item.on_duplicate == on_duplicate::restart_if_ended && ended(row->state)) return std::nullopt;

  const bool differs = other_input(key.input_type, key.input_digest, item);
  return answer(differs ? outcome::conflict : outcome::attached, *row);
}

/// The very same start again.
start_result repeated(const turn& turn, const start_item& item, const run_row& row) {
  start_result result = answer(outcome::started, row);
  result.admitted = item.admit && row.row != 0 && turn.worker != 0 && row.owner == turn.worker;
  if (result.admitted) result.row = row.row;
  return result;
}

/// The answer that a start with a key gets from what is there; empty when it begins a run.
std::optional<start_result> known(const turn& turn, const start_item& item) {
  const start_request& r = item.request;
  if (const auto row = turn.data.row_of(r.run)) return repeated(turn, item, *row);
  const auto bound_key = turn.data.keys.find(key_name{r.space, r.workflow, r.key});
  if (bound_key == turn.data.keys.end()) return std::nullopt;
  return duplicate(turn.data, bound_key->second, item);
}

}  // namespace

run_record& begin(turn& turn, const start_request& request, const encoded_event& first,
                  std::string_view build) {
  event start = make_start_event(request, first.at, first.epoch, build);
  run_row row = row_of_start(request, start);
  row.owner = turn.worker;
  row.updated = turn.now;
  run_record& run = turn.data.insert_run(std::move(row));
  turn.data.append_events(run, {first});

  run_changes changes;
  fold_changes(request.run, start, changes);
  turn.data.apply(run, changes);
  turn.data.link_previous(request.previous_run, request.run);
  set_lease(turn);
  return run;
}

namespace {

start_result apply_start(turn& turn, const start_item& item) {
  tables& data = turn.data;
  if (const auto row = data.row_of(item.request.run)) return repeated(turn, item, *row);

  const start_request request = complete(turn, item.request);
  if (!request.key.empty()) {
    const key_name name{request.space, request.workflow, request.key};
    const auto bound_key = data.keys.find(name);
    if (bound_key != data.keys.end()) {
      if (auto known = duplicate(data, bound_key->second, item)) return *known;
    }
    data.keys[name] = {request.chain, request.input.type, item.input_digest};
  }

  start_result result{.how = outcome::started, .run = request.run, .chain = request.chain};
  data.latest = std::max(data.latest, request.requested);
  if (item.admit && data.alive(turn.worker)) {
    result.admitted = true;
    result.row = begin(turn, request, *item.admit, item.build).row.row;
  } else {
    data.insert_request(request);
    data.link_previous(request.previous_run, request.run);
  }
  return result;
}

}  // namespace

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all) {
  return start_all(all, {.known = [&](const start_item& one) { return known(turn, one); },
                         .apply = [&](const start_item& one) { return apply_start(turn, one); }});
}

void insert_child(turn& turn, start_request request) {
  tables& data = turn.data;
  if (data.row_of(request.run)) return;

  request = complete(turn, std::move(request));
  if (!request.key.empty()) {
    const key_name name{request.space, request.workflow, request.key};
    const auto [at, fresh] = data.keys.try_emplace(
        name, key_record{request.chain, request.input.type, digest16(request.input)});
    if (!fresh && at->second.chain != request.chain) request.key.clear();
  }
  data.insert_request(request);
  data.link_previous(request.previous_run, request.run);
}

void set_lease(turn& turn) {
  worker_record* worker = turn.data.find_worker(turn.worker);
  if (worker == nullptr || worker->row.lease_until != 0) return;
  worker->row.lease_until = turn.time.boot_now_us() + limits::lease_ms * 1'000;
}

}  // namespace fermata::engine::memory
