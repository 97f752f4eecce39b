// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/planted.hpp"
#include "engine/store/postgres/claim_statements.hpp"
#include "engine/store/postgres/load_statements.hpp"
#include "engine/store/postgres/prospect.hpp"
#include "engine/store/postgres/turn.hpp"
#include "engine/store/projection.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace fermata::engine::postgres {

namespace {

/// Due timers that an owner has been handed lie before those it hasn't. Behind so many of them none is
/// seen until some have fired.
constexpr std::size_t timers_looked_at_most = 4'096;

/// One claim at work: candidates in order, then each is taken.
class claimer {
 public:
  claimer(turn& turn, const claim_request& what, claim_places& from, batch_result& result)
      : turn_(turn),
        what_(what),
        from_(from),
        result_(result),
        space_(turn.at.spaces.id_of(what.space)),
        wanted_(static_cast<std::size_t>(std::max(0, what.at_most))),
        new_wanted_(std::min(wanted_, static_cast<std::size_t>(std::max(0, what.new_at_most)))) {
    for (const std::string& name : what.queues) queue_names_[turn.at.names.id_of(name)] = name;
  }

  /// Alone it stands at the beginning of its transaction, with the fence, and asks for what was seen; else
  /// behind what the batch has written, and asks for everything, as without `seen`.
  void look(const prospect* seen, bool alone) {
    const prospect* only = alone ? seen : nullptr;
    if (!what_.workflows.empty() && (only == nullptr || only->own_timers || only->timers))
      turn_.in.send(in_order_sql);
    if (alone) ask(fence_sql, params(turn_.worker), [this](rows& row) { read_fence(turn_, row); });
    if (!what_.workflows.empty()) ask_for(only);
    go();
    if (alone) turn_.now = turn_.at.clock.now();
    if (seen != nullptr) be_back_for(*seen);
    if (turn_.alive) take_all();
  }

 private:
  /// By one, which tells that there is more and isn't taken.
  bool full() const {
    return chosen_.size() + requests_.size() > wanted_ || new_ + requests_.size() > new_wanted_;
  }

  // ---- looking ----

  /// Nothing came of a kind that was seen: others were faster, or have locked it just now. Most transactions
  /// are over soon; one that isn't, as a caller's own may be, is looked for less and less often.
  void be_back_for(const prospect& seen) {
    const bool passed_over = (seen.own_marks && !found_.own_marks) ||
                             (seen.own_timers && !found_.own_timers) ||
                             (seen.timers && !found_.timers) || (seen.marks && !found_.marks) ||
                             (seen.requests && !found_.requests);
    constexpr std::int64_t longest_us = 1'000'000;
    from_.again_us = passed_over ? std::clamp(2 * from_.again_us, locked_again_us, longest_us) : 0;
    if (passed_over) look_again(result_, what_.now + from_.again_us);
  }

  params filter(std::size_t at_most) const {
    return std::move(claim_filter(turn_.at.names, space_, turn_.worker, what_)
                         .add(static_cast<std::int64_t>(at_most)));
  }

  void ask(const char* sql, params&& given, std::function<void(rows&)> read) {
    turn_.in.send(sql, std::move(given));
    readers_.push_back(std::move(read));
  }

  void go() {
    std::vector<rows> answers = turn_.in.finish();
    // What was to be written came before.
    rows* mine = answers.data() + (answers.size() - readers_.size());
    for (const auto& read : std::exchange(readers_, {})) read(*mine++);
  }

  void ask_for(const prospect* seen) {
    if (seen == nullptr || seen->own_marks)
      ask(own_marks_sql, filter(wanted_ + 1), [this](rows& row) {
        found_.own_marks = row.count() != 0;
        while (row.next()) choose(row.id<run_id>(0));
      });
    if (seen == nullptr || seen->own_timers) ask_for_own_timers();
    if (seen == nullptr || seen->timers) ask_for_timers();
    if (seen == nullptr || seen->marks) ask_for_marks();
    if (seen == nullptr || seen->requests) ask_for_requests();
    if (seen != nullptr) {
      result_.next_timer = seen->next_timer;
      result_.next_not_before = seen->next_not_before;
      return;
    }
    ask(next_timer_sql, params(space_, what_.now), [this](rows& row) {
      if (row.next()) result_.next_timer = row.integer(0);
    });
    ask(next_start_sql, params(space_, what_.now), [this](rows& row) {
      if (row.next()) result_.next_not_before = row.integer(0);
    });
  }

  void ask_for_own_timers() {
    params given = filter(timers_looked_at_most);
    given.add(from_.timers);
    ask(own_timers_sql, std::move(given), [this](rows& row) {
      found_.own_timers = row.count() != 0;
      std::size_t seen = 0;
      const std::size_t before = chosen_.size();
      for (; row.next(); ++seen) choose_timer(row);
      if (seen == timers_looked_at_most && chosen_.size() > before) result_.more_ready = true;
    });
  }

  void ask_for_timers() {
    column queues(type::int8);
    for (const auto& [id, name] : queue_names_) queues.add(id);
    const std::size_t at_most = 2 * (new_wanted_ + 1);  // one run may have several
    params given = filter(at_most);
    given.add(from_.new_timers).add(queues);
    ask(timers_sql, std::move(given), [this, at_most](rows& row) {
      found_.timers = row.count() != 0;
      std::size_t seen = 0;
      for (; row.next(); ++seen) choose_new(row.id<run_id>(0));
      if (seen == at_most) result_.more_ready = true;
    });
  }

  void ask_for_marks() {
    if (from_.marks.all().empty()) return;
    column queue(type::int8), priority(type::int8), since(type::int8), run(type::uuid);
    for (const auto& [where, place] : from_.marks.all()) {
      queue.add(turn_.at.names.id_of(where.queue));
      priority.add(where.priority);
      since.add(place.at);
      run.add(place.run.view());
    }
    params given = filter(new_wanted_ + 1);
    given.add(queue).add(priority).add(since).add(run);
    ask(planted("postgres_claims_without_a_lock") ? marks_unlocked_sql : marks_sql,
        std::move(given), [this](rows& row) {
          found_.marks = row.count() != 0;
          while (row.next()) choose_mark(row);
        });
  }

  void ask_for_requests() {
    if (from_.requests.all().empty()) return;
    column queue(type::text), priority(type::int8), not_before(type::int8), run(type::uuid),
        until(type::int8);
    for (const auto& [where, place] : from_.requests.all()) {
      queue.add(std::string_view(where.queue));
      priority.add(where.priority);
      not_before.add(place.at);
      run.add(place.run.view());
      until.add(where.delayed ? what_.now : 0);
    }
    params given = filter(new_wanted_ + 1);
    given.add(queue).add(priority).add(not_before).add(run).add(until);
    ask(requests_sql, std::move(given), [this](rows& row) {
      found_.requests = row.count() != 0;
      while (row.next()) choose_request(row);
    });
  }

  bool choose(const run_id& run) {
    if (!seen_.insert(run).second || full()) return false;
    chosen_.push_back(run);
    return true;
  }

  bool choose_new(const run_id& run) {
    if (!choose(run)) return false;
    ++new_;
    return true;
  }

  void choose_timer(const rows& row) {
    const handed_timers::setting how{static_cast<epoch_t>(row.integer(1)), row.integer(3)};
    const auto run = row.id<run_id>(0);
    if (!turn_.handed.has({run, std::string(row.text(2))}, how)) choose(run);
  }

  void choose_mark(const rows& row) {
    const auto run = row.id<run_id>(0);
    if (!choose_new(run) || full()) return;
    from_.marks.taken({queue_names_[row.integer(1)], row.integer(2), false}, {row.integer(3), run});
  }

  void choose_request(const rows& row) {
    if (full()) return;
    start_request request = read_request(turn_.names(), row);
    if (!seen_.insert(request.run).second) return;
    requests_.push_back(std::move(request));
    const start_request& last = requests_.back();
    if (full()) return;
    from_.requests.taken({last.queue, -std::int64_t{last.priority}, last.not_before != 0},
                         {last.not_before, last.run});
  }

  // ---- taking ----

  void take_all() {
    if (full()) {
      result_.more_ready = true;
      if (requests_.empty()) {
        chosen_.pop_back();
      } else {
        requests_.pop_back();
      }
    }
    if (chosen_.empty() && requests_.empty()) return;
    read_details();
    for (const run_id& run : chosen_) take(run);
    for (const start_request& request : requests_) begin_one(request);
  }

  void read_details() {
    column runs(type::uuid), chains(type::uuid);
    for (const run_id& run : chosen_) runs.add(run);
    for (const start_request& request : requests_) chains.add(request.chain);
    if (!chosen_.empty()) {
      ask(runs_sql, params(runs), [this](rows& row) {
        while (row.next()) read_one(row);
      });
      ask(due_sql, params(runs, what_.now), [this](rows& row) {
        while (row.next()) read_timer(row);
      });
      ask(tasks_sql, params(runs), [this](rows& row) {
        while (row.next())
          details_[row.id<run_id>(0)].tasks.push_back({row.id<run_id>(0), std::string(row.text(1)),
                                                       static_cast<std::uint64_t>(row.integer(2))});
      });
    }
    ask(inbox_sql, params(chains, runs), [this](rows& row) {
      while (row.next()) {
        message one = read_message(row);
        inboxes_[one.to].push_back(std::move(one));
      }
    });
    go();
  }

  void read_one(const rows& row) {
    claimed one;
    one.run = read_run(turn_.names(), row);
    one.mine_before = one.run.owner == turn_.worker;
    one.head = {static_cast<position_t>(row.integer(run_column_count)),
                row.hash(run_column_count + 1)};
    known_run& known = turn_.runs[one.run.run];
    known.run = one.run.run;
    known.chain = one.run.chain;
    known.space = row.integer(run_column_count + 3);
    known.queue = row.integer(run_column_count + 4);
    known.priority = -std::int64_t{one.run.priority};
    known.owner = one.run.owner;
    known.epoch = one.run.epoch;
    known.state = one.run.state;
    known.head = one.head;
    known.marked = !row.null(run_column_count + 2);
    known.since = row.integer(run_column_count + 2);
    details_[one.run.run] = std::move(one);
  }

  void read_timer(const rows& row) {
    details_[row.id<run_id>(0)].due.push_back({row.id<run_id>(0), std::string(row.text(1)),
                                               row.integer(2),
                                               static_cast<timer_purpose>(row.integer(3))});
  }

  void take(const run_id& id) {
    known_run& run = *turn_.find(id);
    claimed taken = std::move(details_[id]);
    unmark(turn_, run);
    if (!taken.mine_before) {
      run.owner = turn_.worker;
      ++run.epoch;
      row_change& row = turn_.write.change(id);
      row.owner = run.owner;
      row.epoch = std::int64_t{run.epoch};
      taken.run.owner = run.owner;
      taken.run.epoch = run.epoch;
      taken.run.updated = turn_.now;
      if (turn_.in.proof.what == proof::kind::none)
        turn_.in.proof = {
            .what = proof::kind::owner, .run = id, .owner = run.owner, .epoch = run.epoch};
    }
    hand_out(std::move(taken), run);
  }

  void begin_one(const start_request& request) {
    const event start = make_start_event(request, what_.now, 1, what_.build);
    const auto salt = turn_.at.chance->salt16();
    const encoded_event first = encode(request.run, {}, start, {salt.data(), salt.size()});
    learn_names(turn_.at, first);
    turn_.write.remove_request(request.run);
    known_run& run = begin(turn_, request, first, what_.build);
    claimed taken{.fresh = true, .beginning = {first}};
    taken.run = row_of_start(request, start);
    taken.run.row = 1;
    taken.run.owner = turn_.worker;
    taken.run.updated = turn_.now;
    taken.head = run.head;
    // A deadline may have passed already.
    if (request.deadline != 0 && request.deadline <= what_.now)
      taken.due.push_back({request.run, "", request.deadline, timer_purpose::deadline});
    hand_out(std::move(taken), run);
  }

  void hand_out(claimed&& taken, known_run& run) {
    const auto inbox = inboxes_.find(taken.run.chain);
    if (inbox != inboxes_.end()) taken.inbox = std::move(inbox->second);
    const auto bad =
        std::ranges::find_if(taken.inbox, [](const auto& m) { return !m.damage.empty(); });
    if (bad != taken.inbox.end()) return set_aside(run, *bad);
    for (const timer_row& timer : taken.due)
      turn_.handed_now.push_back({{taken.run.run, timer.operation}, {taken.run.epoch, timer.due}});
    set_lease(turn_);
    result_.claimed.push_back(std::move(taken));
  }

  /// A message that can't be read keeps its own run from going on, and no other: it belongs to nobody
  /// until somebody acts on it.
  void set_aside(known_run& run, const message& bad) {
    run.owner = 0;
    ++run.epoch;
    row_change& row = turn_.write.change(run.run);
    row.owner = 0;
    row.epoch = std::int64_t{run.epoch};
    row.attention = static_cast<std::int64_t>(attention::blocked);
    row.report = unreadable_message(run.run, bad);
    row.blocked_build += what_.build + '\n';
    turn_.latest = std::max(turn_.latest, turn_.now);
    turn_.woke = true;
  }

  turn& turn_;
  const claim_request& what_;
  claim_places& from_;
  batch_result& result_;
  const std::int64_t space_;
  const std::size_t wanted_;
  const std::size_t new_wanted_;  // of these, runs that it doesn't own yet
  std::map<std::int64_t, std::string> queue_names_;
  std::vector<std::function<void(rows&)>> readers_;  // of what was asked, in order
  prospect found_;                                   // which kinds were there
  absl::flat_hash_set<run_id> seen_;
  std::vector<run_id> chosen_;
  std::size_t new_ = 0;  // of the chosen
  std::vector<start_request> requests_;
  absl::flat_hash_map<run_id, claimed> details_;
  absl::flat_hash_map<chain_id, std::vector<message>> inboxes_;
};

/// It got less than it asked for: is there anything before where it looked?
void sweep_later(const database_clock& clock, const claim_request& what, const claim_places& from,
                 batch_result& result) {
  if (result.more_ready) return;
  const std::int64_t left = from.sweeps.allowed_at() - clock.steady_now();
  look_again(result, what.now + std::max<std::int64_t>(0, left));
}

}  // namespace

void claim(turn& turn, const claim_request& what, claim_places& from, const prospect* seen,
           batch_result& result) {
  turn.write.send(turn.in, turn.now);
  if (turn.alive && !what.workflows.empty()) {
    claimer(turn, what, from, result).look(seen, false);
    if (seen == nullptr) sweep_later(turn.at.clock, what, from, result);
  }
  claim_tasks(turn, what, result);
}

batch_result claim_alone(turn& turn, const claim_request& what, claim_places& from,
                         const prospect* seen) {
  batch_result result;
  claimer(turn, what, from, result).look(seen, true);
  if (seen == nullptr) {
    if (!what.workflows.empty()) sweep_later(turn.at.clock, what, from, result);
    claim_tasks(turn, what, result);
  } else {
    result.stopped = seen->stopped;
    result.more_ready = result.more_ready || seen->more_ready;
    if (seen->tasks) claim_tasks(turn, what, result);
  }
  if (result.claimed.empty() && result.tasks.empty() && !turn.woke) turn.in.forget();
  return result;
}

}  // namespace fermata::engine::postgres
