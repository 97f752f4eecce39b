// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/store/postgres/load_statements.hpp"
#include "engine/store/postgres/turn.hpp"

#include <algorithm>
#include <functional>
#include <set>

namespace fermata::engine::postgres {

namespace {

std::string digest16(const payload& input) {
  const auto digest = sha256(input.bytes);
  return {digest.begin(), digest.begin() + 16};
}

/// What a batch touches.
struct touched {
  std::set<run_id> runs;                    // appended to
  std::map<chain_id, std::int64_t> chains;  // → unread messages that make a difference
  std::map<chain_id, std::int64_t>
      inboxes;                   // the same, of a run's own: no more is asked of the chain
  std::set<chain_id> addressed;  // chains that get messages
  std::set<run_id> existing;     // starts and children
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
  std::size_t unread_of(const chain_id& id) const {
    const auto own = inboxes.find(id);
    return own == inboxes.end() ? 0 : static_cast<std::size_t>(own->second);
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
    if (asks_for_inbox)
      all.inboxes[one.chain] += static_cast<std::int64_t>(one.consumed.size()) + 1;
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
      if (!child.key.empty()) {
        all.key(at.spaces, child, digest16(child.input));
        if (child.chain == one.chain) all.chain(one.chain, 0);  // it goes on: its key is its own
      }
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
  std::erase_if(all.inboxes, [&](const auto& own) {
    const auto whole = all.chains.find(own.first);
    if (whole == all.chains.end()) return false;
    whole->second += own.second;
    return true;
  });
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
  trip.ask(fence_sql, params(turn.worker), [&turn](rows& row) { read_fence(turn, row); });
}

void ask_to_append(turn& turn, round_trip& trip, const batch& what, const touched& all) {
  if (all.plain.empty()) return;
  trip.ask(append_sql, plain_appends(turn.at, what, all.plain),
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
  trip.ask(lock_runs_sql, params(runs, chains), [&locked](rows& row) {
    while (row.next()) locked.insert(row.id<run_id>(0));
  });
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

void ask_for_inboxes(turn& turn, round_trip& trip, const touched& all) {
  if (all.inboxes.empty()) return;
  column chain(type::uuid), enough(type::int8);
  for (const auto& [id, count] : all.inboxes) {
    chain.add(id);
    enough.add(count);
  }
  trip.ask(read_inboxes_sql, params(chain, enough), [&turn](rows& row) {
    while (row.next()) turn.chains[row.id<chain_id>(0)].unread = row.integer(1);
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

/// A request that came between our locks may be begun beside us, without the message that we put; so may a
/// run come that goes on with a chain, and rest. What was read is more than what was locked: all of it once more.
void check_locks(const turn& turn, const touched& all, const absl::flat_hash_set<run_id>& locked) {
  for (const chain_id& id : all.addressed) {
    const auto chain = turn.chains.find(id);
    if (chain == turn.chains.end()) continue;
    const known_chain& known = chain->second;
    const bool open = !known.run.empty() && !known.ended;
    const bool unlocked = (open && !locked.contains(known.run)) ||
                          (!known.request.empty() && !locked.contains(known.request));
    if (unlocked)
      fail(absl::StatusCode::kUnavailable, "FER-2106",
           "the chain went on while a message came; it may be sent again", failure::again);
  }
}

}  // namespace

void read_fence(turn& turn, rows& row) {
  turn.alive = row.next();
  if (!turn.alive) return;
  turn.worker_build = row.text(0);
  turn.has_lease = row.integer(1) != 0;
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
  ask_for_inboxes(turn, trip, all);
  ask_for_messages(turn, trip, all);
  ask_for_ids(turn, trip, all);
  ask_for_tasks(turn, trip, all);
  trip.go();

  turn.now = turn.at.clock.now();  // learned just now
  // What isn't plain after all: an append that didn't land is looked at; a key's chain, too.
  touched more;
  for (const std::size_t i : all.plain)
    if (!turn.landed.contains(i)) more.runs.insert(what.appends[i].run);
  ask_for_runs(turn, trip, more, locked);
  // Not locked, which would be against the order: a chain that has a key gets no other run while its
  // key is locked, but from its own owner.
  for (const auto& [name, key] : turn.keys)
    if (key.bound && !all.chains.contains(key.chain))
      more.chain(key.chain, all.unread_of(key.chain));
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
