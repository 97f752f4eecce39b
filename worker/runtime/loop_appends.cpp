// SPDX-License-Identifier: Apache-2.0
// Appends: what runs produced becomes batches; when they are written, and by which thread.
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "engine/store/projection.hpp"
#include "src/convert.hpp"
#include "worker/runtime/loop.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::runtime {

namespace {
constexpr std::size_t inline_appends = 8;  // below it, a hop to the writer's thread costs more
constexpr int own_looks = 16;
/// After a crash there may be any number: the first of them go on before the last are claimed, and other
/// commits needn't wait for all of them. So whoever has few takes few at first.
constexpr int claimed_at_once = 8'000;
constexpr int claimed_at_first = 256;
}  // namespace

/// Takes from the machine what is to be written.
void run_loop::gather(active& run) {
  engine::machine& machine = run.live->machine();
  auto add = [](auto& to, auto&& from) {
    if (to.empty())
      to = std::move(from);
    else
      to.insert(to.end(), std::make_move_iterator(from.begin()),
                std::make_move_iterator(from.end()));
  };
  outbox& out = out_of(run);
  add(out.events, machine.take_events());
  add(out.removed_timers, machine.take_removed_timers());
  add(out.dropped, machine.take_dropped());
  add(out.tasks_gone, machine.take_tasks_gone());
  add(out.tasks_withdrawn, machine.take_tasks_withdrawn());
  if (auto status = run.live->take_status()) out.status = std::move(status);
  for (detail::live_run::line& l : run.live->take_lines()) {
    engine::log_line line;
    line.run = run.row.run;
    line.at = now_;
    line.level = static_cast<int>(l.how);
    line.text = std::move(l.text);
    line.place = std::move(l.place);
    line.position = l.position;
    line.ordinal = l.ordinal;
    outside_.run_line(line);
    out.lines.push_back(std::move(line));
  }
  if (out.empty()) spare_outboxes_.give(std::move(run.out));
}

run_loop::outbox& run_loop::out_of(active& run) {
  if (!run.out) run.out = spare_outboxes_.take();
  return *run.out;
}

void run_loop::want_append(active& run) {
  if (run.appending || std::exchange(run.queued, true)) return;
  to_append_.push_back(run.row.run);
}

/// Nothing to do now, and nothing that these events could set going.
bool run_loop::can_park(active& run) const {
  if (!run.owned || !run.live || !run.to_commit.empty() || !run.attempts.empty() ||
      run.live->pinned())
    return false;
  if (run.out)
    for (const engine::produced& p : run.out->events)
      if (engine::class_of(p.what.kind) != engine::event_class::command) return false;
  const engine::standing stands = run.live->machine().stands();
  return !stands.ended && stands.attempts == 0 && !stands.finishing;
}

void run_loop::address(const active& run, engine::append& to) const {
  to.run = run.row.run;
  to.chain = run.row.chain;
  to.row = run.row.row;
  to.epoch = run.row.epoch;
  to.after = run.head.position;
  to.after_hash = run.head.hash;
}

run_loop::sent_append& run_loop::new_sent(active& run) {
  run.sent = spare_sent_.take();
  run.sent->number = ++appends_sent_;
  run.sent->then = run.head;
  return *run.sent;
}

namespace {
void remove_timers(std::vector<std::string>&& operations, engine::run_changes& from) {
  for (std::string& operation : operations) {
    const bool set_anew =
        std::any_of(from.timers_set.begin(), from.timers_set.end(),
                    [&](const engine::timer_row& t) { return t.operation == operation; });
    if (!set_anew) from.timers_removed.push_back(std::move(operation));
  }
}
}  // namespace

void run_loop::build_append(active& run, engine::append& to) {
  address(run, to);
  sent_append& sent = new_sent(run);
  if (run.attention != engine::attention::none) {
    to.attention = run.attention;
    to.report = run.report;
    to.then = engine::then::park;
    return;
  }
  sent.parks = can_park(run);
  outbox& out = out_of(run);
  for (engine::produced& p : out.events) {
    engine::event& e = p.what;
    e.position = ++sent.then.position;
    e.epoch = run.row.epoch;
    std::array<char, 16> salt{};
    if (e.value.present() || e.input.present()) salt = journal_.chance().salt16();
    to.events.push_back(engine::encode(run.row.run, sent.then.hash, e, {salt.data(), salt.size()}));
    sent.then.hash = to.events.back().chain;
    engine::fold_changes(run.row.run, e, to.changes);
    if (p.child) to.children.push_back(std::move(*p.child));
    if (p.send) to.messages.push_back(std::move(*p.send));
    if (p.consumes != 0) to.consumed.push_back(p.consumes);
    if (p.task) {
      to.tasks.push_back(std::move(*p.task));
      to.tasks.back().epoch = e.position;
    }
    if (engine::class_of(e.kind) == engine::event_class::end) {
      to.then = engine::then::end;
      to.may_have_children = run.live->machine().may_have_children();
      to.may_have_tasks = run.live->machine().may_have_tasks();
      sent.told = to.messages;
    }
    sent.events.push_back(std::move(e));
  }
  remove_timers(std::move(out.removed_timers), to.changes);
  engine::merge_changes(to.changes, out.changes);
  // An append without an event that keeps its run can't be told from itself when it is sent again: it would
  // take the message that has got the number since.
  if (!to.events.empty() || sent.parks)
    for (const std::uint64_t seq : std::exchange(out.dropped, {})) to.consumed.push_back(seq);
  sent.consumes = to.consumed;
  to.tasks_gone = std::move(out.tasks_gone);
  to.tasks_withdrawn = std::move(out.tasks_withdrawn);
  to.status = std::move(out.status);
  to.logs = std::move(out.lines);
  clear_out(run);
  if (sent.parks) {
    to.then = engine::then::park;
    const engine::machine& machine = run.live->machine();
    const bool unserved =
        run.unserved != 0 && machine.look(run.unserved).how == engine::settled::pending;
    to.waits = unserved
                   ? fmt::format("no worker here serves step '{}'", machine.look(run.unserved).name)
                   : machine.stands().waits;
  }
}

/// All but the messages that the append couldn't take along.
void run_loop::clear_out(active& run) {
  std::vector<std::uint64_t> later = std::move(run.out->dropped);
  run.out->clear();
  run.out->dropped = std::move(later);
  if (run.out->empty()) spare_outboxes_.give(std::move(run.out));
}

/// A transactional step on the journal's own tables: its body runs on the writer's turn.
void run_loop::build_transaction(active& run, engine::append& to) {
  address(run, to);
  sent_append& sent = new_sent(run);
  auto state = std::make_shared<transaction_state>();
  state->what = std::move(run.to_commit.front());
  run.to_commit.pop_front();
  state->outcome = run.live->machine().outcome_of(state->what->slot, state->what->attempt(),
                                                  state->what->started);
  state->outcome.position = run.head.position + 1;
  state->outcome.epoch = run.row.epoch;
  sent.committing = state;
  engine::fold_changes(run.row.run, state->outcome, to.changes);
  const auto salt = journal_.chance().salt16();
  to.body = [state, salt, id = run.row.run, after = run.head.hash,
             this](void* handle) -> absl::StatusOr<std::vector<engine::encoded_event>> {
    live_attempt& a = *state->what;
    black_box::prepare_thread();  // whoever writes
    a.enter_box(a.host().box());
    try {
      detail::payload value;
      if (a.local.body) {
        value = a.local.body->run(a.context(), handle);
      } else {
        const auto& body = std::get<detail::transactional_body>(serves_.step(a.start().name)->body);
        value = body.run(handle, detail::to_sdk(a.start().input));
      }
      a.leave_box();
      detail::check_value("the result", a.start().name, value.bytes.size());
      state->outcome.details.mutable_step()->set_result_type(value.type);
      state->outcome.value = detail::to_engine(std::move(value));
      return std::vector{engine::encode(id, after, state->outcome, {salt.data(), salt.size()})};
    } catch (...) {
      a.leave_box();
      state->problem = std::current_exception();
      return absl::AbortedError("the transaction's body threw");
    }
  };
}

/// What is to be written now; its batch may be empty.
run_loop::commit_answer run_loop::collect() {
  commit_answer made{.answer = absl::UnknownError(""), .batch = {}, .runs = {}};
  std::size_t events = 0;
  std::size_t bytes = 0;
  std::vector<engine::run_id> later;
  made.batch.appends = std::move(spare_appends_);
  made.batch.appends.reserve(to_append_.size());
  made.runs.reserve(to_append_.size());
  for (const engine::run_id& id : std::exchange(to_append_, {})) {
    auto found = runs_.find(id);
    if (found == runs_.end()) continue;
    active& run = *found->second;
    if (events >= engine::limits::batch_events || bytes >= engine::limits::batch_bytes) {
      later.push_back(id);
      continue;
    }
    run.queued = false;
    engine::append& one = made.batch.appends.emplace_back();
    if (!run.to_commit.empty() && !has_to_write(run) && run.attention == engine::attention::none)
      build_transaction(run, one);
    else
      build_append(run, one);
    run.appending = true;
    events += one.events.size() + 1;
    bytes += engine::bytes_in(one);
    made.runs.push_back({id, run.sent->number});
  }
  to_append_ = std::move(later);
  for (engine::task_finish& one : to_finish_) made.finishes.push_back(key_of(one.task));
  made.batch.finish = std::exchange(to_finish_, {});
  if (!claim_under_way_) made.batch.claim = claim_request_now();
  made.claims = made.batch.claim.has_value();
  claim_under_way_ = claim_under_way_ || made.claims;
  if (made.claims) ++claims_sent_;
  made.batch.worker = worker_;
  made.sent = store_.boot_now();
  return made;
}

bool run_loop::flush() {
  if (!worth_a_batch(0)) return false;
  commit_answer made = collect();
  if (made.batch.empty()) return false;
  const std::size_t appends = made.batch.appends.size();
  const bool idle = appends <= inline_appends && running_.size() + backlog_.size() <= appends;
  if (batches_under_way_ == 0 && (options_.inline_commits || idle)) {
    if (auto answer = journal_.writer().try_commit(made.batch)) {
      made.answer = std::move(*answer);
      take_answer(std::move(made));
      return true;
    }
  }
  submit(std::move(made));
  return false;
}

/// Where several groups may be under way, plain appends go apart: they wait for nobody's locks, and
/// their way of being written is the shortest.
void run_loop::submit(commit_answer&& made) {
  std::optional<commit_answer> plain = plain_of(made);
  hand_over(std::move(made));
  if (plain) hand_over(std::move(*plain));
}

/// If there are enough of them, and anything else.
std::optional<run_loop::commit_answer> run_loop::plain_of(commit_answer& made) const {
  if (journal_.writer().lanes() == 1) return std::nullopt;
  std::vector<bool> is(made.batch.appends.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < is.size(); ++i) {
    is[i] = engine::is_plain(made.batch.appends[i]);
    count += is[i] ? 1 : 0;
  }
  if (count < inline_appends * 2 || count == engine::items_in(made.batch)) return std::nullopt;
  commit_answer plain{.answer = absl::UnknownError(""), .batch = {}, .runs = {}};
  plain.batch.worker = made.batch.worker;
  plain.sent = made.sent;
  plain.batch.appends.reserve(count);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < is.size(); ++i) {
    if (is[i]) {
      plain.batch.appends.push_back(std::move(made.batch.appends[i]));
      plain.runs.push_back(made.runs[i]);
    } else {
      if (kept != i) made.batch.appends[kept] = std::move(made.batch.appends[i]);
      made.runs[kept++] = made.runs[i];
    }
  }
  made.batch.appends.resize(kept);
  made.runs.resize(kept);
  return plain;
}

void run_loop::hand_over(commit_answer&& made) {
  ++batches_under_way_;
  journal_.writer().submit(
      std::move(made.batch),
      [this, runs = std::move(made.runs), finishes = std::move(made.finishes), sent = made.sent,
       claims = made.claims](engine::writer::answer answer, engine::batch&& back) mutable {
        post(std::make_unique<commit_answer>(std::move(answer), std::move(back), std::move(runs),
                                             std::move(finishes), sent, claims));
      });
}

/// Whether so many appends may be sent now. While the writer has batches, another may wait for it, so
/// that it needn't wait for the loop; a small one would only make the commits smaller.
bool run_loop::worth_a_batch(std::size_t at_least) const {
  if (!may_send()) return false;
  if (batches_under_way_ > 0) at_least = std::max(at_least, large_batch());
  return to_append_.size() >= at_least;
}

bool run_loop::may_send() const {
  const auto most = static_cast<int>(journal_.writer().lanes()) + 1;
  return again_.empty() && !must_compare() && batches_under_way_ < most;
}

std::size_t run_loop::large_batch() const {
  return std::max(inline_appends * 2, owned_.load() / 3);
}

/// While some of the runs are being written, others are worked on: as soon as a large part of them has
/// something to write it is sent, whatever mail there still is.
void run_loop::keep_writer_busy() {
  if (options_.inline_commits || !may_send()) return;
  if (dirty_.size() + to_append_.size() < large_batch()) return;
  advance_dirty();
  if (!worth_a_batch(large_batch())) return;
  if (commit_answer made = collect(); !made.batch.empty()) submit(std::move(made));
}

std::optional<engine::claim_request> run_loop::claim_request_now() {
  if (!may_begin() || (serves_.workflows().empty() && serves_.steps().empty())) return std::nullopt;
  const std::int64_t steady = journal_.time().steady_now_us();
  const auto owned = static_cast<int>(owned_.load());
  const int room = options_.max_runs - owned - reserved_.load();
  const bool due = steady >= next_look_ || (more_ready_ && (room > 0 || own_left_));
  if (!poked_.exchange(false) && !due) return std::nullopt;
  looked_for_ = store_.wake_count();
  // Whether what it executes is still wanted is asked as often as its lease is renewed.
  next_look_ =
      steady + 1000 * (tasks_.empty() ? engine::limits::idle_poll_ms : engine::limits::renew_ms);
  engine::claim_request want;
  // Runs that it has and that got messages, too.
  want.at_most = std::clamp(std::max(room, owned), own_looks, claimed_at_once);
  claim_at_most_ = static_cast<std::size_t>(want.at_most);
  const int soon = std::max(claimed_at_first, 4 * owned);
  want.new_at_most = std::clamp(room, 0, std::min(soon, want.at_most));
  want.space = journal_.ns();
  want.queues = options_.queues;
  want.workflows = serves_.workflow_names();
  want.build = options_.build;
  want.own_build_only = options_.own_build_only;
  want.now = now_;
  want.rooms = rooms();
  want.steps = serves_.step_names();
  want.holds = holds();
  return want;
}

}  // namespace fermata::runtime
