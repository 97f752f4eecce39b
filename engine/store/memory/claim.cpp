// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/planted.hpp"
#include "engine/store/memory/turn.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/tasks.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace fermata::engine::memory {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// One claim at work: candidates in order, then each is taken.
class claimer {
 public:
  claimer(turn& turn, const claim_request& what, batch_result& result)
      : turn_(turn),
        what_(what),
        result_(result),
        skipped_(what.not_these.begin(), what.not_these.end()) {}

  void look() {
    from_marks(turn_.worker);
    from_timers(turn_.worker);
    from_timers(0);
    from_marks(0);
    for (const run_id& id : chosen_) take(*turn_.data.find(id));
    from_requests();
    tell_next();
  }

 private:
  /// There is no place for one more, of its own or another.
  bool full(bool mine) {
    const bool is_full = static_cast<int>(chosen_.size() + fresh_) >= what_.at_most ||
                         (!mine && new_ >= what_.new_at_most);
    if (is_full) result_.more_ready = true;
    return is_full;
  }

  bool may_take(const run_record& run) const {
    const run_row& row = run.row;
    if (row.space != what_.space || ended(row.state) || skipped_.contains(row.run)) return false;
    if (row.attention != attention::none && row.attention != attention::blocked) return false;
    const bool blocked = row.attention == attention::blocked;
    if (blocked && run.blocked_builds.contains(what_.build)) return false;
    if (row.owner == turn_.worker) return true;
    if (what_.own_build_only && row.build != what_.build) return false;
    return has(what_.workflows, row.workflow) && has(what_.queues, row.queue);
  }

  void choose(const run_record& run) {
    const bool mine = run.row.owner == turn_.worker;
    if (!may_take(run) || seen_.contains(run.row.run) || full(mine)) return;
    if (!mine) ++new_;
    seen_.insert(run.row.run);
    chosen_.push_back(run.row.run);
  }

  void from_marks(std::int64_t owner) {
    for (const ready_mark& mark : turn_.data.ready[owner]) {
      if (result_.more_ready) return;
      choose(*turn_.data.find(mark.run));
    }
  }

  /// A timer is handed out once per epoch: it stays in the table until the owner's append.
  void from_timers(std::int64_t owner) {
    for (const auto& [due, id, operation] : turn_.data.timer_index) {
      if (due > what_.now || result_.more_ready) return;
      const run_record& run = *turn_.data.find(id);
      if (run.row.owner != owner) continue;
      const bool told = owner != 0 && run.timers.at(operation).told == run.row.epoch &&
                        !planted("memory_due_timer_told_twice");
      if (!told) choose(run);
    }
  }

  void take(run_record& run) {
    const bool mine = run.row.owner == turn_.worker;
    turn_.data.unmark(run);
    if (!mine) {
      turn_.data.set_owner(run, turn_.worker);
      ++run.row.epoch;
      run.row.updated = turn_.now;
    }
    hand_out(run, mine, false);
  }

  void from_requests() {
    std::vector<run_id> begun;
    for (const auto& [priority, not_before, id] : turn_.data.request_index) {
      if (not_before > what_.now) continue;
      const start_request& request = turn_.data.requests.at(id);
      const bool overdue = request.not_after != 0 && request.not_after < what_.now;
      if (overdue || request.space != what_.space || skipped_.contains(id)) continue;
      if (!has(what_.workflows, request.workflow) || !has(what_.queues, request.queue)) continue;
      if (full(false)) break;
      ++fresh_;
      ++new_;
      begun.push_back(id);
    }
    for (const run_id& id : begun) begin_one(id);
  }

  void begin_one(const run_id& id) {
    const std::optional<start_request> request = turn_.data.take_request(id);
    if (!request) return;
    const event start = make_start_event(*request, what_.now, 1, what_.build);
    const auto salt = turn_.chance.salt16();
    const encoded_event first = encode(id, {}, start, {salt.data(), salt.size()});
    hand_out(begin(turn_, *request, first, what_.build), false, true);
  }

  void hand_out(run_record& run, bool mine, bool fresh) {
    claimed one{.run = run.row, .fresh = fresh, .mine_before = mine, .head = head_of(run)};
    for (const auto& [seq, message] : turn_.data.chains[run.row.chain].inbox) {
      one.inbox.push_back(message);
    }
    for (auto& [operation, timer] : run.timers) {
      if (timer.row.due > what_.now) continue;
      timer.told = run.row.epoch;
      one.due.push_back(timer.row);
    }
    std::ranges::sort(one.due, by_due);
    for (const auto& [operation, task] : run.tasks) one.tasks.push_back(name_of(task));
    result_.claimed.push_back(std::move(one));
    set_lease(turn_);
  }

  void tell_next() {
    const tables& data = turn_.data;
    const timer_place now{what_.now, run_id::of({}), ""};
    for (auto at = data.timer_index.lower_bound(now); at != data.timer_index.end(); ++at) {
      const auto& [due, id, operation] = *at;
      if (due <= what_.now || data.find(id)->row.space != what_.space) continue;
      result_.next_timer = due;
      break;
    }
    time_us next = std::numeric_limits<time_us>::max();
    for (const auto& [id, request] : data.requests) {
      if (request.space == what_.space && request.not_before > what_.now) {
        next = std::min(next, request.not_before);
      }
    }
    if (next != std::numeric_limits<time_us>::max()) result_.next_not_before = next;
  }

  turn& turn_;
  const claim_request& what_;
  batch_result& result_;
  const std::set<run_id> skipped_;
  std::set<run_id> seen_;
  std::vector<run_id> chosen_;
  std::size_t fresh_ = 0;
  int new_ = 0;  // chosen, and not its own before
};

}  // namespace

void claim(turn& turn, const claim_request& what, batch_result& result) {
  if (turn.data.alive(turn.worker) && !what.workflows.empty()) claimer(turn, what, result).look();
}

}  // namespace fermata::engine::memory
