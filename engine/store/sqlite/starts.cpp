// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/planted.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"
#include "engine/store/start_groups.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::sqlite {

namespace {

using outcome = start_result::outcome;

struct bound_key {
  chain_id chain;
  std::uint64_t input_type = 0;
  std::string input_digest;
};

/// What a caller left out, filled in.
start_request complete(const turn& turn, start_request request) {
  if (request.chain.empty()) request.chain = request.run;
  if (request.origin.empty()) request.origin = request.run;
  if (request.requested == 0) request.requested = turn.now;
  return request;
}

std::optional<bound_key> find_key(connection& db, const start_request& request) {
  use row =
      db.sql(planted("sqlite_key_of_any_workflow")
                 ? "SELECT chain, input_type, input_digest FROM keys WHERE space = ?1 AND key = ?3"
                 : "SELECT chain, input_type, input_digest FROM keys "
                   "WHERE space = ?1 AND workflow = ?2 AND key = ?3");
  row.with(db.spaces.id_of(request.space), db.names.id_of(request.workflow), request.key);
  if (!row.next()) return std::nullopt;
  return bound_key{row.id<chain_id>(0), static_cast<std::uint64_t>(row.integer(1)),
                   std::string(row.bytes(2))};
}

void bind_key(connection& db, const start_request& request, std::string_view digest) {
  db.sql(
        "INSERT INTO keys(space, workflow, key, chain, input_type, input_digest) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET chain = excluded.chain, "
        "input_type = excluded.input_type, input_digest = excluded.input_digest")
      .with(db.spaces.id_of(request.space), db.names.id_of(request.workflow), request.key,
            request.chain, static_cast<std::int64_t>(request.input.type), blob{digest})
      .run();
}

/// The answer for a key that is bound already; empty when the start may take the key over.
std::optional<start_result> duplicate(connection& db, const bound_key& key,
                                      const start_item& item) {
  const current_run now = find_current(db, key.chain);
  if (now.run.empty()) return std::nullopt;
  start_result result{.how = outcome::exists, .run = now.run, .chain = key.chain};
  if (item.on_duplicate == on_duplicate::fail) return result;
  if (item.on_duplicate == on_duplicate::restart_if_ended && now.ended) return std::nullopt;

  const bool differs = other_input(key.input_type, key.input_digest, item);
  result.how = differs ? outcome::conflict : outcome::attached;
  return result;
}

/// Ids rise with time: mostly one look a transaction tells that all of its starts are new.
bool is_newest(turn& turn, const run_id& run) {
  if (!turn.newest) {
    use of_runs = turn.db.sql("SELECT run FROM runs ORDER BY run DESC LIMIT 1");
    turn.newest = of_runs.next() ? of_runs.id<run_id>(0) : run_id{};
    use of_requests = turn.db.sql("SELECT run FROM start_requests ORDER BY run DESC LIMIT 1");
    if (of_requests.next()) turn.newest = std::max(*turn.newest, of_requests.id<run_id>(0));
  }
  return run > *turn.newest;
}

void is_there(turn& turn, const run_id& run) {
  if (turn.newest) turn.newest = std::max(*turn.newest, run);
}

/// The answer for a run id that is there already: the very same start again.
std::optional<start_result> repeated(turn& turn, const start_item& item) {
  const run_id& run = item.request.run;
  if (is_newest(turn, run)) return std::nullopt;
  {
    use row = turn.db.sql("SELECT id, owner, chain FROM runs WHERE run = ?1");
    if (row.with(run).next()) {
      start_result result{.how = outcome::started, .run = run};
      result.chain = row.null(2) ? run : row.id<chain_id>(2);
      result.admitted = item.admit && turn.worker != 0 && row.integer(1) == turn.worker;
      if (result.admitted) result.row = row.integer(0);
      return result;
    }
  }
  use row = turn.db.sql("SELECT chain FROM start_requests WHERE run = ?1");
  if (!row.with(run).next()) return std::nullopt;
  return start_result{
      .how = outcome::started, .run = run, .chain = row.null(0) ? run : row.id<chain_id>(0)};
}

/// The answer that a start with a key gets from what is there; empty when it begins a run.
std::optional<start_result> known(turn& turn, const start_item& item) {
  if (auto same = repeated(turn, item)) return same;
  const auto key = find_key(turn.db, item.request);
  return key ? duplicate(turn.db, *key, item) : std::nullopt;
}

bool exists(turn& turn, const run_id& run) {
  if (is_newest(turn, run)) return false;
  use row = turn.db.sql(
      "SELECT EXISTS(SELECT 1 FROM runs WHERE run = ?1) "
      "OR EXISTS(SELECT 1 FROM start_requests WHERE run = ?1)");
  row.with(run).next();
  return row.integer(0) != 0;
}

void link_previous(connection& db, const start_request& request) {
  if (request.previous_run.empty()) return;
  db.sql("UPDATE runs SET next_run = ?2 WHERE run = ?1")
      .with(request.previous_run, request.run)
      .run();
}

void add_request(turn& turn, const start_request& request) {
  insert_request(turn.db, request);
  is_there(turn, request.run);
  link_previous(turn.db, request);
  turn.latest = std::max(turn.latest, request.requested);
  turn.woke = true;
}

}  // namespace

std::int64_t begin(turn& turn, const start_request& request, const encoded_event& first,
                   std::string_view build) {
  const event start = make_start_event(request, first.at, first.epoch, build);
  run_row run = row_of_start(request, start);
  run.owner = turn.worker;
  run.updated = turn.now;
  run_changes changes;
  fold_changes(request.run, start, changes);
  if (changes.state) run.state = *changes.state;

  const std::int64_t row = insert_run(turn.db, request, run);
  is_there(turn, request.run);
  insert_event(turn.db, row, first);
  const std::int64_t space = turn.db.spaces.id_of(request.space);
  apply_changes(turn, row, space, changes);
  link_previous(turn.db, request);
  set_lease(turn);
  turn.latest = std::max(turn.latest, first.at);
  turn.heads.put(row, {.run = request.run,
                       .chain = request.chain,
                       .position = first.position,
                       .hash = first.chain,
                       .owner = run.owner,
                       .epoch = run.epoch,
                       .space = space});
  return row;
}

std::int64_t insert_whole(turn& turn, const start_request& given,
                          const std::vector<encoded_event>& events, const run_changes& changes) {
  const start_request request = complete(turn, given);
  event start;
  start.at = events.front().at;
  start.epoch = events.back().epoch;
  run_row run = row_of_start(request, start);
  if (changes.state) run.state = *changes.state;
  const std::int64_t row = insert_run(turn.db, request, run);
  is_there(turn, request.run);
  for (const encoded_event& event : events) {
    insert_event(turn.db, row, event);
    turn.latest = std::max(turn.latest, event.at);
  }
  if (changes.ended || changes.error) {
    turn.db.sql("UPDATE runs SET ended = ?2, error = ?3 WHERE id = ?1")
        .with(row, changes.ended.value_or(0), changes.error.value_or(""))
        .run();
  }
  run_changes all = changes;
  all.tags.insert(request.tags.begin(), request.tags.end());
  apply_changes(turn, row, turn.db.spaces.id_of(request.space), all);
  link_previous(turn.db, request);
  turn.woke = true;
  return row;
}

namespace {

start_result apply_start(turn& turn, const start_item& item) {
  if (const auto known = repeated(turn, item)) return *known;

  const start_request request = complete(turn, item.request);
  if (!request.key.empty()) {
    if (const auto key = find_key(turn.db, request)) {
      if (const auto known = duplicate(turn.db, *key, item)) return *known;
    }
    bind_key(turn.db, request, item.input_digest);
  }

  start_result result{.how = outcome::started, .run = request.run, .chain = request.chain};
  if (item.admit && alive(turn)) {
    result.admitted = true;
    result.row = begin(turn, request, *item.admit, item.build);
  } else if (!item.admit || !planted("sqlite_start_lost_at_admission")) {
    add_request(turn, request);
  }
  return result;
}

}  // namespace

std::vector<start_result> apply_starts(turn& turn, const std::vector<start_item>& all) {
  return start_all(all, {.known = [&](const start_item& one) { return known(turn, one); },
                         .apply = [&](const start_item& one) { return apply_start(turn, one); }});
}

void insert_child(turn& turn, start_request given) {
  if (exists(turn, given.run)) return;

  start_request request = complete(turn, std::move(given));
  if (!request.key.empty()) {
    const auto key = find_key(turn.db, request);
    if (!key) {
      const auto digest = sha256(request.input.bytes);
      bind_key(turn.db, request, {reinterpret_cast<const char*>(digest.data()), 16});
    } else if (key->chain != request.chain) {
      request.key.clear();
    }
  }
  add_request(turn, request);
}

void remove_request(connection& db, const start_request& request) {
  db.sql(
        "DELETE FROM start_requests WHERE space = ?1 AND queue = ?2 AND priority = ?3 "
        "AND not_before = ?4 AND run = ?5")
      .with(db.spaces.id_of(request.space), db.names.id_of(request.queue), -request.priority,
            request.not_before, request.run)
      .run();
}

}  // namespace fermata::engine::sqlite
