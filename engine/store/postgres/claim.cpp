// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/store/postgres/claim_statements.hpp"
#include "engine/store/postgres/low_water.hpp"
#include "engine/store/postgres/turn.hpp"
#include "engine/store/projection.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace fermata::engine::postgres {

namespace {

/// Due timers that an owner has been handed lie before those it hasn't.
constexpr std::int64_t timers_looked_at_most = 4'096;

/// One claim at work: candidates in order, then each is taken.
class claimer {
 public:
  claimer(turn& turn, const claim_request& what, claim_places& from, batch_result& result)
      : turn_(turn),
        what_(what),
        from_(from),
        result_(result),
        space_(turn.at.spaces.id_of(what.space)),
        wanted_(static_cast<std::size_t>(std::max(0, what.at_most))) {
    for (const std::string& name : what.workflows) {
      workflow_ids_.add(turn.at.names.id_of(name));
      workflows_.add(std::string_view(name));
    }
    for (const std::string& name : what.queues) {
      queue_names_[turn.at.names.id_of(name)] = name;
      queues_.add(std::string_view(name));
    }
    for (const auto& [id, name] : queue_names_) queue_ids_.add(id);
    for (const run_id& run : what.not_these) not_these_.add(run);
  }

  void look() {
    const bool whole = from_.sweeps.due(turn_.at.clock.steady_now());
    if (whole) find_stretches();
    look_once();
    if (!whole && !full()) sweep_if_allowed();
    take_all();
  }

 private:
  bool full() const { return chosen_.size() + requests_.size() > wanted_; }

  // ---- stretches ----

  void find_stretches() {
    sweeping_since_ = turn_.at.clock.steady_now();
    turn_.in.send(request_stretches_sql, params(space_, queues_));
    turn_.in.send(mark_stretches_sql, params(space_, queue_ids_));
    std::vector<rows> found = turn_.in.finish();
    const std::size_t last = found.size() - 1;  // what was to be written came before
    from_.requests.forget();
    from_.marks.forget();
    for (rows& row = found[last - 1]; row.next();) {
      const low_water::stretch at_once{std::string(row.text(0)), row.integer(1), false};
      from_.requests.begin_anew(at_once);
      from_.requests.begin_anew({at_once.queue, at_once.priority, true});
    }
    for (rows& row = found[last]; row.next();)
      from_.marks.begin_anew({queue_names_[row.integer(0)], row.integer(1), false});
  }

  void swept() {
    if (sweeping_since_ != 0)
      from_.sweeps.swept(std::exchange(sweeping_since_, 0), turn_.at.clock.steady_now());
  }

  /// It got less than it asked for: is there anything before where it looked?
  void sweep_if_allowed() {
    const std::int64_t now = turn_.at.clock.steady_now();
    if (!from_.sweeps.allowed(now)) {
      const time_us then = what_.now + (from_.sweeps.allowed_at() - now);
      result_.next_not_before =
          result_.next_not_before == 0 ? then : std::min(result_.next_not_before, then);
      return;
    }
    find_stretches();
    look_once();
  }

  // ---- looking ----

  /// $1 … $6.
  params filter() const {
    return params(space_, workflow_ids_, std::string_view(what_.build),
                  what_.own_build_only ? turn_.at.names.id_of(what_.build) : 0, not_these_,
                  std::int64_t{format_level});
  }

  std::int64_t at_most() const { return static_cast<std::int64_t>(wanted_ + 1); }

  void look_once() {
    params own_marks = filter();
    own_marks.add(turn_.worker).add(at_most());
    turn_.in.send(own_marks_sql, std::move(own_marks));
    params own_timers = filter();
    own_timers.add(turn_.worker).add(timers_looked_at_most).add(what_.now);
    turn_.in.send(own_timers_sql, std::move(own_timers));
    params timers = filter();
    timers.add(2 * at_most()).add(what_.now).add(queue_ids_);  // one run may have several
    turn_.in.send(timers_sql, std::move(timers));
    ask_for_marks();
    ask_for_requests();
    turn_.in.send(next_timer_sql, params(space_, what_.now));
    turn_.in.send(next_start_sql, params(space_, what_.now));
    std::vector<rows> all = turn_.in.finish();
    rows* answer = all.data() + (all.size() - 7);  // what was to be written came before

    while (answer[0].next()) choose(answer[0].id<run_id>(0));
    while (answer[1].next()) choose_timer(answer[1]);
    while (answer[2].next()) choose(answer[2].id<run_id>(0));
    while (answer[3].next()) choose_mark(answer[3]);
    while (answer[4].next()) choose_request(answer[4]);
    if (answer[5].next()) result_.next_timer = answer[5].integer(0);
    if (answer[6].next()) result_.next_not_before = answer[6].integer(0);
    swept();
  }

  void ask_for_marks() {
    column queue(type::int8), priority(type::int8), since(type::int8), run(type::uuid);
    for (const auto& [where, place] : from_.marks.all()) {
      queue.add(turn_.at.names.id_of(where.queue));
      priority.add(where.priority);
      since.add(place.at);
      run.add(place.run.view());
    }
    params given = filter();
    given.add(at_most()).add(queue).add(priority).add(since).add(run);
    turn_.in.send(marks_sql, std::move(given));
  }

  void ask_for_requests() {
    column queue(type::text), priority(type::int8), not_before(type::int8), run(type::uuid),
        until(type::int8);
    for (const auto& [where, place] : from_.requests.all()) {
      queue.add(std::string_view(where.queue));
      priority.add(where.priority);
      not_before.add(place.at);
      run.add(place.run.view());
      until.add(where.delayed ? what_.now : 0);
    }
    turn_.in.send(requests_sql,
                  params(queue, priority, not_before, run, until, space_, what_.now,
                         std::int64_t{format_level}, workflows_, not_these_, at_most()));
  }

  bool choose(const run_id& run) {
    if (!seen_.insert(run).second || full()) return false;
    chosen_.push_back(run);
    return true;
  }

  void choose_timer(const rows& row) {
    const handed_timers::setting how{static_cast<epoch_t>(row.integer(1)), row.integer(3)};
    const auto run = row.id<run_id>(0);
    if (!turn_.handed.has({run, std::string(row.text(2))}, how)) choose(run);
  }

  void choose_mark(const rows& row) {
    const auto run = row.id<run_id>(0);
    if (!choose(run) || chosen_.size() > wanted_) return;
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
    std::vector<rows> found;
    if (!chosen_.empty()) {
      turn_.in.send(runs_sql, params(runs));
      turn_.in.send(due_sql, params(runs, what_.now));
      turn_.in.send(tasks_sql, params(runs));
      found = turn_.in.finish();
      while (found[0].next()) read_one(found[0]);
      while (found[1].next()) read_timer(found[1]);
      while (found[2].next())
        details_[found[2].id<run_id>(0)].tasks.push_back(
            {found[2].id<run_id>(0), std::string(found[2].text(1)),
             static_cast<std::uint64_t>(found[2].integer(2))});
      for (const run_id& run : chosen_) chains.add(details_[run].run.chain);
    }
    for (const start_request& request : requests_) chains.add(request.chain);
    rows messages = turn_.in.run(inbox_sql, params(chains));
    while (messages.next()) {
      message one = read_message(messages);
      inboxes_[one.to].push_back(std::move(one));
    }
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
    claimed taken{.fresh = true};
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
  column workflow_ids_{type::int8}, workflows_{type::text}, queues_{type::text},
      queue_ids_{type::int8}, not_these_{type::uuid};
  std::map<std::int64_t, std::string> queue_names_;
  absl::flat_hash_set<run_id> seen_;
  std::vector<run_id> chosen_;
  std::vector<start_request> requests_;
  absl::flat_hash_map<run_id, claimed> details_;
  absl::flat_hash_map<chain_id, std::vector<message>> inboxes_;
  std::int64_t sweeping_since_ = 0;
};

}  // namespace

void claim(turn& turn, const claim_request& what, claim_places& from, batch_result& result) {
  turn.write.send(turn.in, turn.now);
  if (turn.alive && !what.workflows.empty()) claimer(turn, what, from, result).look();
}

}  // namespace fermata::engine::postgres
