// SPDX-License-Identifier: Apache-2.0
#include "story.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine::story {
namespace {

const char* const words[] = {"pending", "value", "failed", "cancelled", "elapsed"};
std::string word(settled how) { return words[static_cast<int>(how)]; }

run_id the_run() { return run_id::of(ulid::make(begin, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})); }

event start_event() {
  event e{.position = 1, .kind = event_kind::run_started, .epoch = 1, .at = begin};
  e.name = "flow";
  e.value = text("input");
  auto& s = *e.details.mutable_started();
  s.set_seed("0123456789abcdef");
  s.set_chain(std::string(the_run().view()));
  s.set_origin(std::string(the_run().view()));
  return e;
}

std::string since(time_us at) { return fmt::format("+{}ms", (at - begin) / 1000); }

std::string joined(const auto& list) {
  std::string out;
  for (const auto& each : list) out += (out.empty() ? "" : ",") + std::string(each);
  return out;
}

std::string of_attempt(const fermata::pb::attempt& a) {
  std::string out = fmt::format(" number={}", a.number());
  if (a.next_due_us() != 0) out += " next=" + since(a.next_due_us());
  if (!a.why().message().empty()) out += " why=" + a.why().message();
  if (a.signal() != 0) out += fmt::format(" signal={}", a.signal());
  return a.alone() ? out + " alone" : out;
}

std::string of_ended(const fermata::pb::ended& e) {
  std::string out;
  if (!e.why().message().empty()) out += " why=" + e.why().message();
  if (e.abandoned_size() != 0) out += " abandoned=" + joined(e.abandoned());
  if (e.unread_size() != 0) out += fmt::format(" unread={}", e.unread_size());
  return out;
}

std::string details_of(const event& e) {
  const auto& d = e.details;
  if (d.has_timer()) return " due=" + since(d.timer().due_us());
  if (d.has_attempt()) return of_attempt(d.attempt());
  if (d.has_ended()) return of_ended(d.ended());
  if (d.has_child_end() && !d.child_end().why().message().empty())
    return " why=" + d.child_end().why().message();
  if (d.has_cancel()) return " why=" + d.cancel().why();
  if (d.has_act()) return " " + d.act().act();
  if (d.has_compensation() && !d.compensation().undoes().empty())
    return " undoes=" + d.compensation().undoes_operation();
  if (d.has_failing())
    return " why=" + d.failing().why().message() + (d.failing().cancelled() ? " cancelled" : "") +
           (d.failing().abandoned_size() ? " abandoned=" + joined(d.failing().abandoned()) : "");
  if (!d.has_step()) return {};
  std::string out;
  if (d.step().attempts() != 1) out += fmt::format(" attempts={}", d.step().attempts());
  if (!d.step().why().message().empty()) out += " why=" + d.step().why().message();
  return out;
}

}  // namespace

std::string render(const event& e) {
  std::string out = fmt::format("{} {}", e.position, text_of(e.kind));
  if (!e.operation.empty()) out += " " + e.operation;
  if (!e.name.empty() && class_of(e.kind) != event_class::end) out += " " + e.name;
  if (e.value.present() && e.kind != event_kind::run_started) out += " \"" + e.value.bytes + "\"";
  return out + details_of(e);
}

std::string plain(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto first = line.find_first_not_of(' ');
    if (first != line.npos) out += std::string(line.substr(first)) + "\n";
  }
  return out;
}

// ---- the code ----

slot code::ask(request what) {
  if (what.place.empty()) what.place = "code:" + what.name;
  return m_.ask(branch_, std::move(what));
}
slot code::step(std::string name, request more) {
  more.name = std::move(name);
  if (!more.input.present()) more.input = text("in");
  if (more.undo && more.undo->name.empty()) more.undo->name = "undo_" + more.name;
  return ask(std::move(more));
}
slot code::sleep(std::int64_t ms, std::string place) {
  return ask({.kind = operation_kind::timer, .place = std::move(place), .patience_ms = ms});
}
slot code::receive(std::string name, std::optional<std::int64_t> patience_ms) {
  return ask(
      {.kind = operation_kind::receive, .name = std::move(name), .patience_ms = patience_ms});
}
slot code::child(std::string name, child_plan plan, std::string input) {
  return ask({.kind = operation_kind::child,
              .name = std::move(name),
              .input = text(std::move(input)),
              .child = std::move(plan)});
}
slot code::publish(std::string name, std::string value) {
  return ask(
      {.kind = operation_kind::publish, .name = std::move(name), .input = text(std::move(value))});
}
slot code::send(std::string name, std::string value) {
  return ask({.kind = operation_kind::send,
              .name = std::move(name),
              .input = text(std::move(value)),
              .to = the_run()});
}
slot code::on_failure(std::string name, std::string input, undo_plan plan) {
  plan.name = name;
  return ask({.kind = operation_kind::compensation,
              .name = name,
              .input = text(std::move(input)),
              .undo = std::move(plan)});
}
slot code::branch(body inside, bool shielded) {
  const slot made = m_.open_branch(branch_, shielded);
  if (m_.code_runs()) run(made, inside);
  return made;
}
void code::drop(slot op) {
  std::erase_if(waiting_, [&](const waiter& w) {
    for (slot b = w.branch; b != 0; b = m_.look(b).branch)
      if (b == op) return true;
    return false;
  });
  m_.drop(op);
}
void code::wait_all(std::vector<slot> on, body then) {
  std::erase_if(on, [&](slot s) { return m_.look(s).how != settled::pending; });
  if (on.empty()) return then(*this);
  wait(on, [on, then](code& c) { c.wait_all(on, then); });
}
void code::fail(std::string why) {
  failed_.emplace();
  failed_->set_message(std::move(why));
  failed_->set_type("own");
}

void code::run(slot branch, const body& what) {
  const auto before = std::exchange(branch_, branch);
  const bool parked = std::exchange(parked_, false);
  what(*this);
  if (!parked_ && m_.code_runs()) {
    if (failed_)
      end(settled::failed, *std::exchange(failed_, std::nullopt));
    else
      end(settled::value);
  }
  parked_ = parked;
  branch_ = before;
}

void code::end(settled how, fermata::pb::failure why) {
  if (branch_ != 0) return m_.branch_ended(branch_, how, std::move(why));
  m_.root_ended(how, how == settled::value ? text(result_) : payload{}, std::move(why));
}

void code::park(std::vector<slot> on, body then, bool any_end) {
  if (!m_.code_runs()) return;
  waiter w{branch_, std::move(on), std::move(then), any_end};
  for (slot s : w.on) m_.observe(s);
  const bool now = std::any_of(w.on.begin(), w.on.end(), [&](slot s) {
    return m_.look(s).how != settled::pending || m_.refuses(branch_, s);
  });
  if (!now) {
    parked_ = true;
    return waiting_.push_back(std::move(w));
  }
  resume(std::move(w));
}

/// In its branch already.
void code::resume(waiter w) {
  const slot* done = nullptr;
  for (const slot& s : w.on)
    if (!done && m_.look(s).how != settled::pending) done = &s;
  for (slot s : w.on)
    if (m_.refuses(w.branch, s)) done = nullptr;
  const settled how = done ? m_.look(*done).how : settled::cancelled;
  if (w.any_end || how == settled::value || how == settled::elapsed) return w.then(*this);
  parked_ = true;
  end(how,
      how == settled::failed && m_.look(*done).why ? *m_.look(*done).why : fermata::pb::failure{});
}

void code::go_on() {
  for (;;) {
    for (slot op : m_.take_settled()) {
      const bool told = m_.look(op).inner && m_.look(op).how == settled::pending;
      for (std::size_t i = 0; i < waiting_.size();) {
        waiter& w = waiting_[i];
        const bool touched = std::any_of(w.on.begin(), w.on.end(), [&](slot s) {
          return told ? m_.refuses(w.branch, s) : s == op;
        });
        if (!touched) {
          ++i;
          continue;
        }
        ready_.push_back(std::move(w));
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (ready_.empty() || !m_.code_runs()) return;
    waiter w = std::move(ready_.front());
    ready_.erase(ready_.begin());
    const slot branch = w.branch;
    run(branch, [&w](code& c) { c.resume(std::move(w)); });
  }
}

// ---- the worker ----

teller::teller(body program, bool evict) : program_(std::move(program)), evict_(evict) {
  journal_.push_back(start_event());
  renew();
  pump();
}

teller::teller(const teller* of, std::size_t events, bool with_code)
    : program_(of->program_), now_(of->now_), seq_(of->seq_) {
  journal_.assign(of->journal_.begin(), of->journal_.begin() + static_cast<std::ptrdiff_t>(events));
  renew(with_code);
}

std::unique_ptr<teller> teller::replay(std::size_t events, bool with_code) const {
  return std::unique_ptr<teller>(new teller(this, events, with_code));
}

void teller::renew(bool with_code) {
  machine_ = std::make_unique<machine>(machine_options{.run = the_run(), .chain = the_run()});
  code_ = std::make_unique<code>(*machine_);
  running_.clear();
  const bool failing = std::any_of(journal_.begin(), journal_.end(),
                                   [](const event& e) { return e.kind == event_kind::failing; });
  const bool fold = failing && !with_code;
  bool after = false;
  folded_ = fold;
  if (fold) machine_->fold_only();
  for (const event& e : journal_) {
    if (e.kind == event_kind::failing) after = true;
    if (class_of(e.kind) == event_class::command && (!fold || after)) machine_->foresee(e);
  }
  machine_->history_ends_at(journal_.back().position);
  const std::vector<event> history = journal_;
  for (const event& e : history) deliver(e);
  machine_->set_time(now_);
  machine_->go_live();
  code_->go_on();
  machine_->stand();
}

void teller::deliver(const event& what) {
  const bool live = machine_->live();
  machine_->deliver(what);
  if (what.kind == event_kind::run_started && machine_->code_runs()) code_->start(program_);
  code_->go_on();
  machine_->stand();
  if (live && machine_->stands().blocked) say("blocked: " + machine_->difference().text(the_run()));
}

void teller::pump_once() {
  std::vector<produced> made = machine_->take_events();
  std::vector<event> fresh;
  note_tasks();
  for (produced& p : made) {
    p.what.position = journal_.size() + 1;
    journal_.push_back(p.what);
    fresh.push_back(p.what);
    say("append " + render(p.what));
    if (p.task) {
      say(fmt::format("  task in {}{}", p.task->queue, p.task->alone ? " alone" : ""));
      tasks_[p.what.operation] = *p.task;
      tasks_[p.what.operation].epoch = p.what.position;
    }
    if (p.child) say("  start request " + p.child->workflow);
    if (p.send)
      say(p.send->kind == message_kind::cancel        ? "  tell the child to stop"
          : p.send->kind == message_kind::child_ended ? "  tell the parent"
                                                      : "  send " + p.send->name);
  }
  if (evict_) return renew(false);
  machine_->landed(fresh.size());
  for (const event& e : fresh) deliver(e);
}

/// What an append does to tasks before it puts new ones.
void teller::note_tasks() {
  for (const std::string& id : machine_->take_tasks_gone()) {
    say("take task " + id + " back");
    tasks_.erase(id);
  }
  for (const std::string& id : machine_->take_tasks_withdrawn()) {
    say("withdraw task " + id);
    tasks_.at(id).withdrawn = true;
  }
}

void teller::pump() {
  if (together_) return;
  do {
    while (machine_->has_events()) pump_once();
    take_starts();
  } while (machine_->has_events());
}

void teller::take_starts() {
  for (attempt_start& a : machine_->take_starts()) {
    say(fmt::format("start {} {} attempt {}{}", a.operation, a.name, a.number,
                    a.alone ? " alone" : ""));
    running_[a.operation] = std::move(a);
  }
  note_tasks();
  for (slot s : machine_->take_stops()) say("stop " + machine_->look(s).id);
  for (std::uint64_t seq : machine_->take_dropped()) say(fmt::format("drop message {}", seq));
  for (const std::string& id : machine_->take_removed_timers()) say("remove timer " + id);
}

std::vector<std::string> teller::running() const {
  std::vector<std::string> out;
  for (const auto& [id, start] : running_) out.push_back(id);
  return out;
}

bool teller::runs(const std::string& op) const {
  const auto found = running_.find(op);
  return found != running_.end() && machine_->look(found->second.op).is_work();
}

std::vector<std::string> teller::tasks() const {
  std::vector<std::string> out;
  for (const auto& [id, task] : tasks_) out.push_back(id);
  return out;
}

std::vector<std::string> teller::children() const {
  std::vector<std::string> out;
  for (slot s = 1; s < machine_->size(); ++s) {
    const operation& op = machine_->look(s);
    if (op.kind == operation_kind::child && op.how == settled::pending) out.push_back(op.id);
  }
  return out;
}

slot teller::find(const std::string& op) const {
  for (slot s = 1; s < machine_->size(); ++s)
    if (machine_->look(s).id == op) return s;
  return 0;
}

// ---- the world ----

void teller::completes(std::string op, std::string value) {
  auto node = running_.extract(op);
  REQUIRE_MESSAGE(!node.empty(), "operation " << op << " isn't running:\n" << story());
  machine_->attempt_ended(
      node.mapped().op,
      {.number = node.mapped().number, .value = text(std::move(value)), .started = now_});
  pump();
}
void teller::fails(std::string op, std::string why, bool retryable,
                   std::optional<std::int64_t> retry_after_ms) {
  auto node = running_.extract(op);
  REQUIRE_MESSAGE(!node.empty(), "operation " << op << " isn't running:\n" << story());
  attempt_end end{.how = attempt_end::how_t::failed,
                  .number = node.mapped().number,
                  .retry_after_ms = retry_after_ms,
                  .started = now_};
  end.why.set_message(std::move(why));
  end.why.set_retryable(retryable);
  machine_->attempt_ended(node.mapped().op, std::move(end));
  pump();
}
void teller::stopped(std::string op) {
  auto node = running_.extract(op);
  if (node.empty()) return;
  machine_->attempt_ended(
      node.mapped().op,
      {.how = attempt_end::how_t::cancelled, .number = node.mapped().number, .started = now_});
  pump();
}
void teller::refuse(std::string op) {
  auto node = running_.extract(op);
  machine_->attempt_refused(node.mapped().op);
  pump();
}
void teller::tell(message what) {
  what.seq = ++seq_;
  what.id = message_id::of(ulid::make(now_, {static_cast<std::uint8_t>(seq_)}));
  machine_->receive(what);
  pump();
}
void teller::signal(std::string name, std::string value) {
  tell({.kind = message_kind::signal, .name = std::move(name), .value = text(std::move(value))});
}
void teller::cancel(std::string why) {
  message m{.kind = message_kind::cancel};
  m.details.mutable_cancel()->set_why(std::move(why));
  m.details.mutable_cancel()->set_by("client");
  tell(std::move(m));
}
void teller::child_ends(std::string op, run_state how, std::string value) {
  message m{.kind = message_kind::child_ended, .operation = op};
  auto& end = *m.details.mutable_child_end();
  const slot s = find(op);
  if (s != 0) end.set_child(std::string(machine_->look(s).child.view()));
  end.set_state(static_cast<int>(how));
  if (how == run_state::completed)
    m.value = text(std::move(value));
  else
    end.mutable_why()->set_message(std::move(value));
  tell(std::move(m));
}
void teller::task_ends(const std::string& op, task_end how, std::string what, int signal) {
  auto node = tasks_.extract(op);
  REQUIRE_MESSAGE(!node.empty(), "operation " << op << " has no task:\n" << story());
  tell_task_end(node.mapped(), how, std::move(what), signal);
}
void teller::late_task_ends(const std::string& op, std::uint64_t epoch, task_end how,
                            std::string what, int attempt) {
  task_row task;
  task.attempt = attempt;
  task.operation = op;
  task.epoch = epoch;
  tell_task_end(task, how, std::move(what), 0);
}
void teller::tell_task_end(const task_row& task, task_end how, std::string what, int signal) {
  message m{.kind = message_kind::step_outcome, .operation = task.operation};
  auto& end = *m.details.mutable_task_end();
  end.set_how(static_cast<int>(how));
  end.set_attempt(task.attempt);
  end.set_epoch(task.epoch);
  end.set_started_us(now_);
  end.set_signal(signal);
  end.set_alone(task.alone);
  if (how == task_end::value) m.value = text(std::move(what));
  if (how == task_end::failed) {
    end.mutable_why()->set_message(std::move(what));
    end.mutable_why()->set_retryable(true);
  }
  tell(std::move(m));
}
void teller::task_late(const std::string& op, std::string why) {
  attempt_end end{.how = attempt_end::how_t::failed, .number = tasks_.at(op).attempt};
  tasks_.erase(op);
  end.why.set_message(std::move(why));
  end.why.set_retryable(true);
  machine_->task_late(find(op), std::move(end));
  pump();
}
void teller::task_missing(const std::string& op) {
  tasks_.erase(op);
  machine_->task_missing(find(op));
  pump();
}
void teller::passes(std::int64_t ms) {
  now_ += ms * 1000;
  machine_->set_time(now_);
  machine_->fire_timers();
  pump();
}
void teller::several(std::function<void()> together) {
  together_ = true;
  together();
  together_ = false;
  pump();
}
void teller::grace_over() {
  machine_->grace_over();
  pump();
}
void teller::crashes(std::string op, int signal, bool alone) {
  if (op.empty())
    machine_->crashed("", 1, signal, "", "", alone);
  else {
    const slot s = find(op);
    const int number = machine_->look(s).is_work() ? machine_->look(s).step->attempts + 1 : 0;
    renew(false);
    machine_->crashed(op, number, signal, "", "", alone);
  }
  pump();
}
void teller::act(std::string what) {
  event e{.position = journal_.size() + 1, .kind = event_kind::operator_act, .at = now_};
  e.details.mutable_act()->set_act(std::move(what));
  journal_.push_back(e);
  say("append " + render(e));
  renew(false);
  pump();
}
void teller::takeover() {
  say("takeover");
  renew(false);
  pump();
}

// ---- what came of it ----

std::string teller::story() const {
  std::string out;
  for (const std::string& line : lines_) out += line + "\n";
  return plain(out);
}
std::string teller::told() const {
  std::string out;
  for (const event& e : journal_) out += render(e) + "\n";
  return out;
}
std::string teller::ops() const {
  std::string out;
  for (slot s = 1; s < machine_->size(); ++s) {
    const operation& op = machine_->look(s);
    out += fmt::format("{} {} {} {}\n", op.id, op.name, word(op.how), op.value.bytes);
  }
  return out;
}

namespace {

/// Over each prefix of the journal: the code agrees, and the whole of it leads to the same end.
void replays(const teller& of) {
  for (std::size_t n = 1; n <= of.journal().size(); ++n) {
    auto again = of.replay(n);
    INFO("replay of ", n, " events of\n", of.told());
    CHECK_MESSAGE(again->m().difference().empty(), again->m().difference().text(the_run()));
  }
  auto whole = of.replay(of.journal().size());
  CHECK_FALSE(whole->m().has_events());
  if (!of.folded()) CHECK(whole->ops() == of.ops());
  CHECK(whole->m().state() == const_cast<teller&>(of).m().state());
}

}  // namespace

void every_way(const body& program, const std::function<void(teller&)>& world,
               std::string_view expected, bool lossy) {
  teller live(program);
  world(live);
  CHECK(live.story() == plain(expected));
  replays(live);
  if (lossy) return;

  teller evicted(program, true);
  world(evicted);
  CHECK(evicted.told() == live.told());
}

}  // namespace fermata::engine::story
