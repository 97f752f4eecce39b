// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/store/postgres/turn.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

namespace fermata::engine::postgres {

namespace {

// The fence of a worker: whoever marks it dead waits until we are through, or was faster.
constexpr const char* fence_sql =
    "SELECT build, lease_until IS NOT NULL FROM fermata.workers "
    "WHERE id = $1 AND NOT dead AND NOT gone FOR KEY SHARE";

constexpr const char* fence_and_time_sql =
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8 FROM fermata.workers "
    "WHERE id = $1 AND NOT dead AND NOT gone FOR KEY SHARE";

// The order of locks, for all: requests by run, runs by run, keys by (space, key, workflow). Who locks
// waits for whoever was there before; what is read afterwards, by statements of their own, is what
// those have left.
constexpr const char* lock_requests_sql =
    "SELECT run FROM fermata.start_requests WHERE run = ANY($1) OR chain = ANY($1) "
    "ORDER BY run FOR NO KEY UPDATE";
// $1 are runs, $2 chains whose open run is meant, too; mostly that is the first one, which is in $1.
// "state + 0": an index of open runs is no way to a run whose id is known.
#define FERMATA_RUNS_MEANT                                                                \
  "ANY(array_cat($1, ARRAY(SELECT c.run FROM fermata.runs c WHERE c.chain = ANY($2) AND " \
  "c.state + 0 < 3)))"
constexpr const char* lock_runs_sql = "SELECT run FROM fermata.runs WHERE run = " FERMATA_RUNS_MEANT
                                      " AND state + 0 < 3 ORDER BY run FOR NO KEY UPDATE";
constexpr const char* put_keys_sql =
    "INSERT INTO fermata.keys(space, key, workflow, chain, input_type, input_digest) "
    "SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::uuid[], $5::int8[], $6::bytea[]) "
    "ON CONFLICT DO NOTHING RETURNING space, workflow, key";
constexpr const char* lock_keys_sql =
    "SELECT k.space, k.workflow, k.key, k.chain, k.input_type, k.input_digest "
    "FROM fermata.keys k JOIN unnest($1::int8[], $2::text[], $3::text[]) AS u(space, key, "
    "workflow) "
    "ON k.space = u.space AND k.key = u.key AND k.workflow = u.workflow "
    "ORDER BY k.space, k.key, k.workflow FOR NO KEY UPDATE OF k";

constexpr const char* read_runs_sql =
    "SELECT r.run, r.chain, r.space, r.queue, r.priority, r.owner, r.epoch, r.state, h.position, "
    "h.chain, m.since FROM fermata.runs r "
    "LEFT JOIN LATERAL (SELECT e.position, e.chain FROM fermata.events e WHERE e.run = r.run "
    "  ORDER BY e.position DESC LIMIT 1) h ON true "
    "LEFT JOIN fermata.ready m ON m.run = r.run "
    "WHERE r.run = " FERMATA_RUNS_MEANT;
// Counted as far as $2 says, unless the inbox may be full.
constexpr const char* read_chains_sql =
    "SELECT c.chain, r.run, r.state, q.run, i.last, CASE WHEN i.last IS NULL THEN 0 ELSE "
    "  (SELECT count(*) FROM (SELECT 1 FROM fermata.inbox x WHERE x.chain = c.chain LIMIT "
    "    CASE WHEN i.last - i.first + 1 >= $3 THEN $3 * 2 ELSE c.enough END) counted) END "
    "FROM unnest($1::uuid[], $2::int8[]) AS c(chain, enough) "
    "LEFT JOIN LATERAL (SELECT min(seq) AS first, max(seq) AS last FROM fermata.inbox x "
    "  WHERE x.chain = c.chain) i ON true "
    "LEFT JOIN LATERAL (SELECT a.run, a.state FROM ("
    "  SELECT run, state, started FROM fermata.runs WHERE run = c.chain AND chain IS NULL "
    "  UNION ALL SELECT run, state, started FROM fermata.runs WHERE chain = c.chain) a "
    "  ORDER BY a.state < 3 DESC, a.started DESC, a.run DESC LIMIT 1) r ON true "
    "LEFT JOIN LATERAL (SELECT s.run FROM fermata.start_requests s "
    "  WHERE s.run = c.chain AND s.chain IS NULL "
    "  UNION ALL SELECT s.run FROM fermata.start_requests s WHERE s.chain = c.chain LIMIT 1) q "
    "  ON true";
constexpr const char* read_ids_sql =
    "SELECT u.chain, u.id FROM unnest($1::uuid[], $2::uuid[]) AS u(chain, id) WHERE "
    "EXISTS(SELECT 1 FROM fermata.inbox i WHERE i.chain = u.chain AND i.id = u.id) OR "
    "EXISTS(SELECT 1 FROM fermata.ledger l WHERE l.chain = u.chain AND l.id = u.id)";
constexpr const char* read_consumed_sql =
    "SELECT i.chain, i.seq, i.id FROM unnest($1::uuid[], $2::int8[]) AS u(chain, seq) "
    "JOIN fermata.inbox i ON i.chain = u.chain AND i.seq = u.seq";
constexpr const char* read_existing_sql =
    "SELECT run, owner, chain, true FROM fermata.runs WHERE run = ANY($1) "
    "UNION ALL SELECT run, 0, chain, false FROM fermata.start_requests WHERE run = ANY($1)";
constexpr const char* read_parents_sql =
    "SELECT u.run FROM unnest($1::uuid[], $2::uuid[]) AS u(run, chain) WHERE "
    "EXISTS(SELECT 1 FROM fermata.runs c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (u.run, u.chain) AND c.state + 0 < 3 AND "
    "  c.close_policy <> 2) OR "
    "EXISTS(SELECT 1 FROM fermata.start_requests c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (u.run, u.chain) AND c.close_policy <> 2)";

// An event lands where its predecessor is the last. The
// predecessor and the owner are asked for by scalar subqueries, which never become a join over the
// whole table: without statistics that took four times as long (bench/README.md).
#define FERMATA_AFTER_PREDECESSOR                                                                \
  "(SELECT p.chain FROM fermata.events p WHERE p.run = a.run AND p.position = a.position - 1) "  \
  "  = a.after AND "                                                                             \
  "(SELECT r.epoch FROM fermata.runs r WHERE r.run = a.run AND r.owner = $23 AND r.state + 0 < " \
  "3) "                                                                                          \
  "  = a.owned AND (SELECT true FROM fermata.workers w WHERE w.id = $23 AND NOT w.dead "         \
  "  AND NOT w.gone)"
constexpr const char* append_sql =
    "INSERT INTO fermata.events(run, position, at, epoch, crc, key_id, name, place, content_type, "
    "input_content_type, kind, flags, codec, operation, value, input, salt, digest, details, "
    "chain) "
    "SELECT a.run, a.position, a.at, a.epoch, a.crc, a.key_id, a.name, a.place, a.content_type, "
    "a.input_content_type, a.kind, a.flags, a.codec, a.operation, a.value, a.input, a.salt, "
    "a.digest, a.details, a.chain FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], "
    "$5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], "
    "$12::int8[], $13::int8[], $14::text[], $15::bytea[], $16::bytea[], $17::bytea[], "
    "$18::bytea[], $19::bytea[], $20::bytea[], $21::bytea[], $22::int8[]) AS a(run, position, at, "
    "epoch, crc, key_id, name, place, content_type, input_content_type, kind, flags, codec, "
    "operation, value, input, salt, digest, details, chain, after, owned) "
    "WHERE " FERMATA_AFTER_PREDECESSOR " ON CONFLICT DO NOTHING RETURNING run";
constexpr const char* read_chain_hashes_sql =
    "SELECT position, chain FROM fermata.events WHERE run = $1 AND position > $2 "
    "ORDER BY position LIMIT $3";

std::string digest16(const payload& input) {
  const auto digest = sha256(input.bytes);
  return {digest.begin(), digest.begin() + 16};
}

/// What a batch touches.
struct touched {
  std::set<run_id> runs;                    // appended to
  std::map<chain_id, std::int64_t> chains;  // → unread messages that make a difference
  std::set<chain_id> addressed;             // chains that get messages
  std::set<run_id> existing;                // starts and children
  std::vector<std::pair<chain_id, message_id>> messages;
  std::vector<std::pair<chain_id, std::uint64_t>> consumed;
  std::map<std::tuple<std::int64_t, std::string, std::string>, known_key> keys;  // in lock order
  std::vector<std::pair<run_id, chain_id>> ending;
  std::vector<std::size_t> plain;  // appends
  std::set<run_id> with_tasks;     // runs whose tasks matter

  void chain(const chain_id& id, std::size_t enough) {
    std::int64_t& known = chains[id];
    known = std::max(known, static_cast<std::int64_t>(enough));
  }
  void message(const engine::message& what) {
    chain(what.to, 1);
    addressed.insert(what.to);
    messages.emplace_back(what.to, what.id);
  }
  void key(const interner& spaces, const start_request& what, std::string_view digest) {
    if (what.key.empty()) return;
    const chain_id chain = what.chain.empty() ? chain_id(what.run) : what.chain;
    keys.try_emplace(
        {spaces.id_of(what.space), what.key, what.workflow},
        known_key{
            .chain = chain, .input_type = what.input.type, .input_digest = std::string(digest)});
  }
};

touched touched_by(const server& at, const batch& what) {
  touched all;
  std::map<run_id, int> appends;
  for (const append& one : what.appends) ++appends[one.run];
  for (const append& one : what.appends)
    for (const message& sent : one.messages) appends[sent.to] += 2;
  for (const message& one : what.messages) appends[one.to] += 2;
  for (const task_finish& one : what.finish) appends[one.task.run] += 2;

  for (std::size_t i = 0; i < what.appends.size(); ++i) {
    const append& one = what.appends[i];
    if (what.worker != 0 && is_plain(one) && appends[one.run] == 1 && appends[one.chain] <= 1) {
      all.plain.push_back(i);
      continue;
    }
    all.runs.insert(one.run);
    const bool asks_for_inbox =
        one.then != then::keep || !one.consumed.empty() || one.looked || one.by_operator;
    if (asks_for_inbox) {
      all.chain(one.chain, 0);
      all.chains[one.chain] += static_cast<std::int64_t>(one.consumed.size()) + 1;
    }
    for (const std::uint64_t seq : one.consumed) all.consumed.emplace_back(one.chain, seq);
    for (const message& sent : one.messages) all.message(sent);
    if (!one.tasks_gone.empty() || !one.tasks_withdrawn.empty() || !one.tasks.empty() ||
        (one.then == then::end && one.may_have_tasks))
      all.with_tasks.insert(one.run);
    if (!one.tasks_withdrawn.empty()) {  // one that nobody has is told of at once
      all.chain(one.chain, 1);
      all.addressed.insert(one.chain);
    }
    for (const start_request& child : one.children) {
      all.existing.insert(child.run);
      if (!child.key.empty()) all.key(at.spaces, child, digest16(child.input));
      if (!child.previous_run.empty()) all.runs.insert(child.previous_run);
    }
    if (one.then == then::end && one.may_have_children) all.ending.emplace_back(one.run, one.chain);
  }
  for (const start_item& one : what.starts) {
    all.existing.insert(one.request.run);
    all.key(at.spaces, one.request, one.input_digest);
  }
  for (const message& one : what.messages) all.message(one);
  for (const task_finish& one : what.finish) {
    all.runs.insert(one.task.run);
    all.with_tasks.insert(one.task.run);
    all.message(one.outcome);
  }
  return all;
}

/// Statements and who reads their answers, in order.
class round_trip {
 public:
  explicit round_trip(transaction& in) : in_(in) {}
  void ask(const char* sql, params&& given, std::function<void(rows&)> read) {
    in_.send(sql, std::move(given));
    readers_.push_back(std::move(read));
  }
  void go() {
    std::vector<rows> answers = in_.finish();
    for (std::size_t i = 0; i < readers_.size(); ++i)
      if (readers_[i]) readers_[i](answers[i]);
    readers_.clear();
  }

 private:
  transaction& in_;
  std::vector<std::function<void(rows&)>> readers_;
};

template <class Range>
column uuids(const Range& ids) {
  column all(type::uuid);
  for (const auto& id : ids) all.add(id);
  return all;
}

void ask_for_worker(turn& turn, round_trip& trip) {
  if (turn.worker == 0) return;
  trip.ask(fence_sql, params(turn.worker), [&turn](rows& row) {
    turn.alive = row.next();
    if (!turn.alive) return;
    turn.worker_build = row.text(0);
    turn.has_lease = row.integer(1) != 0;
  });
}

params plain_appends(const interner& names, const batch& what,
                     const std::vector<std::size_t>& which) {
  event_columns firsts;
  column after(type::bytes), owned(type::int8);
  for (const std::size_t i : which) {
    const append& one = what.appends[i];
    firsts.add(names, one.run, one.events.front());
    after.add(bytes_of(one.after_hash));
    owned.add(std::int64_t{one.epoch});
  }
  params given = firsts.to_params();
  given.add(after).add(owned).add(what.worker);
  return given;
}

absl::flat_hash_set<std::size_t> landed_of(const batch& what, const std::vector<std::size_t>& which,
                                           rows& row) {
  absl::flat_hash_set<run_id> landed;
  while (row.next()) landed.insert(row.id<run_id>(0));
  absl::flat_hash_set<std::size_t> places;
  for (const std::size_t i : which)
    if (landed.contains(what.appends[i].run)) places.insert(i);
  return places;
}

void ask_to_append(turn& turn, round_trip& trip, const batch& what, const touched& all) {
  if (all.plain.empty()) return;
  trip.ask(append_sql, plain_appends(turn.at.names, what, all.plain),
           [&turn, &what, &all](rows& row) { turn.landed = landed_of(what, all.plain, row); });
}

void ask_for_runs(turn& turn, round_trip& trip, const touched& all,
                  absl::flat_hash_set<run_id>& locked) {
  std::set<run_id> ids = all.runs;
  for (const auto& [chain, enough] : all.chains) ids.insert(chain);
  if (ids.empty()) return;
  const column chains = uuids(all.addressed);
  const column runs = uuids(ids);
  if (!all.addressed.empty())
    trip.ask(lock_requests_sql, params(chains), [&locked](rows& row) {
      while (row.next()) locked.insert(row.id<run_id>(0));
    });
  trip.ask(lock_runs_sql, params(runs, chains), {});
  trip.ask(read_runs_sql, params(runs, chains), [&turn](rows& row) {
    while (row.next()) {
      known_run known;
      known.run = row.id<run_id>(0);
      known.chain = row.null(1) ? known.run : row.id<run_id>(1);
      known.space = row.integer(2);
      known.queue = row.integer(3);
      known.priority = row.integer(4);
      known.owner = row.integer(5);
      known.epoch = static_cast<epoch_t>(row.integer(6));
      known.state = static_cast<run_state>(row.integer(7));
      known.head = {static_cast<position_t>(row.integer(8)), row.hash(9)};
      known.marked = !row.null(10);
      known.since = row.integer(10);
      turn.runs[known.run] = known;
    }
  });
}

void ask_for_keys(turn& turn, round_trip& trip, const touched& all) {
  if (all.keys.empty()) return;
  column space(type::int8), key(type::text), workflow(type::text), chain(type::uuid),
      input_type(type::int8), digest(type::bytes);
  for (const auto& [name, first] : all.keys) {
    space.add(std::get<0>(name));
    key.add(std::string_view(std::get<1>(name)));
    workflow.add(std::string_view(std::get<2>(name)));
    chain.add(first.chain);
    input_type.add(static_cast<std::int64_t>(first.input_type));
    digest.add(std::string_view(first.input_digest));
  }
  trip.ask(put_keys_sql, params(space, key, workflow, chain, input_type, digest),
           [&turn, &all](rows& row) {
             while (row.next()) {
               const std::string of(row.text(1));
               const std::string text(row.text(2));
               known_key& put = turn.keys[key_name{row.integer(0), of, text}];
               put = all.keys.at({row.integer(0), text, of});
               put.fresh = true;
             }
           });
  trip.ask(lock_keys_sql, params(space, key, workflow), [&turn](rows& row) {
    while (row.next()) {
      known_key& known =
          turn.keys[key_name{row.integer(0), std::string(row.text(1)), std::string(row.text(2))}];
      if (known.fresh) continue;
      known.bound = true;
      known.chain = row.id<chain_id>(3);
      known.input_type = static_cast<std::uint64_t>(row.integer(4));
      known.input_digest = row.bytes(5);
    }
  });
}

void read_chain(turn& turn, rows& row) {
  known_chain& known = turn.chains[row.id<chain_id>(0)];
  known.run = row.id<run_id>(1);
  known.ended = !row.null(1) && ended(static_cast<run_state>(row.integer(2)));
  known.request = row.id<run_id>(3);
  known.last_seq = row.integer(4);
  known.unread = row.integer(5);
}

void ask_for_chains(turn& turn, round_trip& trip, const std::map<chain_id, std::int64_t>& wanted) {
  if (wanted.empty()) return;
  column chain(type::uuid), enough(type::int8);
  for (const auto& [id, count] : wanted) {
    chain.add(id);
    enough.add(count);
  }
  trip.ask(read_chains_sql, params(chain, enough, limits::inbox_per_chain), [&turn](rows& row) {
    while (row.next()) read_chain(turn, row);
  });
}

void ask_for_messages(turn& turn, round_trip& trip, const touched& all) {
  if (!all.messages.empty()) {
    column chain(type::uuid), id(type::uuid);
    for (const auto& [to, message] : all.messages) {
      chain.add(to);
      id.add(message);
    }
    trip.ask(read_ids_sql, params(chain, id), [&turn](rows& row) {
      while (row.next()) turn.chains[row.id<chain_id>(0)].ids.insert(row.id<message_id>(1));
    });
  }
  if (all.consumed.empty()) return;
  column chain(type::uuid), seq(type::int8);
  for (const auto& [of, number] : all.consumed) {
    chain.add(of);
    seq.add(static_cast<std::int64_t>(number));
  }
  trip.ask(read_consumed_sql, params(chain, seq), [&turn](rows& row) {
    while (row.next())
      turn.consumed[{row.id<chain_id>(0), static_cast<std::uint64_t>(row.integer(1))}] =
          row.id<message_id>(2);
  });
}

void ask_for_ids(turn& turn, round_trip& trip, const touched& all) {
  if (!all.existing.empty()) {
    trip.ask(read_existing_sql, params(uuids(all.existing)), [&turn](rows& row) {
      while (row.next()) {
        const auto run = row.id<run_id>(0);
        known_id& known = turn.ids[run];
        known.owner = row.integer(1);
        known.chain = row.null(2) ? run : row.id<run_id>(2);
        known.begun = row.integer(3) != 0;
      }
    });
  }
  if (all.ending.empty()) return;
  column run(type::uuid), chain(type::uuid);
  for (const auto& [id, of] : all.ending) {
    run.add(id);
    chain.add(of);
  }
  trip.ask(read_parents_sql, params(run, chain), [&turn](rows& row) {
    while (row.next()) turn.parents.insert(row.id<run_id>(0));
  });
}

void ask_for_tasks(turn& turn, round_trip& trip, const touched& all) {
  if (all.with_tasks.empty()) return;
  trip.ask("SELECT " FERMATA_TASK_COLUMNS FERMATA_TASK_TABLES "WHERE t.run = ANY($1)",
           params(uuids(all.with_tasks)), [&turn](rows& row) {
             while (row.next()) {
               task_row task = read_task(turn.names(), row);
               turn.tasks[{task.run, task.operation}] = std::move(task);
             }
           });
}

/// A request that came between our locks may be begun beside us, without the message that we put: all
/// of it once more.
void check_locks(const turn& turn, const touched& all, const absl::flat_hash_set<run_id>& locked) {
  for (const chain_id& id : all.addressed) {
    const auto chain = turn.chains.find(id);
    if (chain == turn.chains.end()) continue;
    const known_chain& known = chain->second;
    const bool open = !known.run.empty() && !known.ended;
    const bool unlocked = (open && !turn.runs.contains(known.run)) ||
                          (!known.request.empty() && !locked.contains(known.request));
    if (unlocked)
      fail(absl::StatusCode::kUnavailable, "FER-2106",
           "the chain went on while a message came; it may be sent again", failure::again);
  }
}

}  // namespace

bool is_plain(const append& what) {
  const run_changes& c = what.changes;
  const bool only_events = what.then == then::keep && !what.by_operator && !what.body &&
                           what.consumed.empty() && what.children.empty() &&
                           what.messages.empty() && what.tasks.empty() && what.tasks_gone.empty() &&
                           what.tasks_withdrawn.empty() && !what.waits && !what.status &&
                           !what.attention && !what.looked && !what.make_ready &&
                           what.logs.empty() && what.events.size() == 1;
  const bool no_changes = !c.state && !c.ended && !c.error && c.timers_set.empty() &&
                          c.timers_removed.empty() && !c.all_timers_removed && c.tags.empty() &&
                          c.published.empty();
  return only_events && no_changes && what.after != 0 &&
         what.events.front().position == what.after + 1;
}

namespace {

void add_names(std::vector<std::string_view>& names, const encoded_event& event) {
  names.push_back(event.name);
  names.push_back(event.place.str());
  names.push_back(event.content_type.str());
  names.push_back(event.input_content_type.str());
}

}  // namespace

bool all_plain(const batch& what) {
  if (what.worker == 0 || !what.starts.empty() || !what.messages.empty() || !what.finish.empty() ||
      what.claim || what.appends.empty())
    return false;
  absl::flat_hash_set<run_id> runs;
  return std::ranges::all_of(what.appends, [&](const append& one) {
    return is_plain(one) && runs.insert(one.run).second;
  });
}

absl::flat_hash_set<std::size_t> append_plain(server& at, const batch& what) {
  std::vector<std::size_t> all(what.appends.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return at.read_beside([&](connection& db) {
    // Behind a pool the settings go with each transaction, which is one more statement anyway.
    if (!db.durable()) return absl::flat_hash_set<std::size_t>{};
    const std::int64_t asked = at.clock.boot_now();
    db.send(fence_and_time_sql, params(what.worker));
    db.send(append_sql, plain_appends(at.names, what, all));
    std::vector<rows> answers = db.finish();
    if (answers[0].next()) at.clock.learn(answers[0].integer(0), asked, at.clock.boot_now());
    return landed_of(what, all, answers[1]);
  });
}

void learn_names(server& at, const encoded_event& what) {
  std::vector<std::string_view> names;
  add_names(names, what);
  std::erase_if(names, [&](std::string_view text) { return at.names.knows(text); });
  if (names.empty()) return;
  at.read_beside([&](connection& db) { at.names.learn(db, names); });
}

void learn_names(server& at, const batch& what) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> spaces;
  const auto learn_event = [&](const encoded_event& event) { add_names(names, event); };
  const auto learn_request = [&](const start_request& request) {
    names.push_back(request.workflow);
    names.push_back(request.queue);
    spaces.push_back(request.space);
  };
  for (const append& one : what.appends) {
    for (const encoded_event& event : one.events) learn_event(event);
    for (const start_request& child : one.children) learn_request(child);
  }
  for (const start_item& one : what.starts) {
    learn_request(one.request);
    names.push_back(one.build);
    if (one.admit) learn_event(*one.admit);
  }
  if (what.claim) {
    spaces.push_back(what.claim->space);
    names.push_back(what.claim->build);
    for (const std::string& name : what.claim->workflows) names.push_back(name);
    for (const std::string& name : what.claim->queues) names.push_back(name);
  }
  std::erase_if(names, [&](std::string_view text) { return at.names.knows(text); });
  std::erase_if(spaces, [&](std::string_view text) { return at.spaces.knows(text); });
  if (names.empty() && spaces.empty()) return;
  at.read([&](connection& db) {
    at.names.learn(db, names);
    at.spaces.learn(db, spaces);
  });
}

void load(turn& turn, const batch& what) {
  touched all = touched_by(turn.at, what);
  round_trip trip(turn.in);
  ask_for_worker(turn, trip);
  ask_to_append(turn, trip, what, all);
  absl::flat_hash_set<run_id> locked;
  ask_for_runs(turn, trip, all, locked);
  ask_for_keys(turn, trip, all);
  ask_for_chains(turn, trip, all.chains);
  ask_for_messages(turn, trip, all);
  ask_for_ids(turn, trip, all);
  ask_for_tasks(turn, trip, all);
  trip.go();

  turn.now = turn.at.clock.now();  // learned just now
  // What isn't plain after all: an append that didn't land is looked at; a key's chain, too.
  touched more;
  for (const std::size_t i : all.plain)
    if (!turn.landed.contains(i)) more.runs.insert(what.appends[i].run);
  for (const auto& [name, key] : turn.keys)
    if (key.bound && !turn.chains.contains(key.chain)) more.chain(key.chain, 0);
  ask_for_runs(turn, trip, more, locked);
  ask_for_chains(turn, trip, more.chains);
  trip.go();
  check_locks(turn, all, locked);
}

bool already_there(turn& turn, const append& what, const known_run& run) {
  if (what.body || what.events.empty()) return false;
  if (what.after + what.events.size() > run.head.position) return false;
  rows row = turn.in.run(read_chain_hashes_sql, params(run.run, what.after, what.events.size()));
  return std::ranges::all_of(what.events, [&](const encoded_event& event) {
    return row.next() && row.integer(0) == static_cast<std::int64_t>(event.position) &&
           row.hash(1) == event.chain;
  });
}

}  // namespace fermata::engine::postgres
