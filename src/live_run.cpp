// SPDX-License-Identifier: Apache-2.0
#include "src/live_run.hpp"

#include "engine/check.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/utf8.hpp"
#include "src/bounds.hpp"
#include "src/convert.hpp"

#include <algorithm>

namespace fermata::detail {

namespace {
std::array<char, 30> text_of(const engine::run_id& run) {
  const std::string text = run.text();
  std::array<char, 30> kept;
  FERMATA_CHECK(text.size() == kept.size(), "the id {} has {} characters", text, text.size());
  std::ranges::copy(text, kept.begin());
  return kept;
}
}  // namespace

live_run::live_run(engine::machine_options options, const workflow_function& function,
                   const engine::step_plan& defaults)
    : function_(function),
      defaults_(defaults),
      id_(text_of(options.run)),
      machine_(std::move(options)),
      context_(*this) {}

live_run::~live_run() {
  evicting_ = true;
  if (local_)
    for (const auto& [op, gate] : local_->gates) gate->close();
  for (auto branch = frames_.rbegin(); branch != frames_.rend(); ++branch)
    if (branch->root) std::exchange(branch->root, nullptr)->self.destroy();
}

// ---- driven by the worker ----

void live_run::deliver(engine::event what) {
  position_ = what.position;
  ordinal_ = 0;
  const engine::event_kind kind = what.kind;
  if (kind == engine::event_kind::run_started)
    for (const auto& [name, value] : what.details.started().tags()) tags_.made().insert(name);
  machine_.deliver(std::move(what));
  if (kind == engine::event_kind::run_started && machine_.code_runs()) start_root();
  run_code();
}

void live_run::go_live() {
  machine_.go_live();
  run_code();
}

void live_run::settle() { run_code(); }

namespace {
engine::settled how_of(const std::exception_ptr& thrown) {
  return is_cancelled(thrown) ? engine::settled::cancelled : engine::settled::failed;
}
}  // namespace

void live_run::start_root() {
  const root_frame root = function_(context_, to_sdk(machine_.take_input()));
  result_of_ = root.result_of;
  detail::resume(*root.frame);
  made_frames_of(0).root = root.frame;
  if (root.frame->done) root_ended();
}

/// The code is over: the run's result is known.
void live_run::root_ended() {
  if (over()) return;
  engine::settled how = engine::settled::value;
  engine::payload result;
  pb::failure why;
  try {
    result = to_engine(result_of_(*frames_of(0)->root));
    check_value("the result", machine_.workflow(), result.bytes.size());
  } catch (...) {
    result = {};
    how = how_of(std::current_exception());
    if (how == engine::settled::failed) why = failure_of(std::current_exception());
  }
  machine_.root_ended(how, std::move(result), std::move(why));
}

void live_run::run_code() {
  for (;;) {
    wake_settled();
    if (over() || ready_.empty()) break;
    promise_base* next = ready_.front();
    ready_.pop_front();
    if (next->done)
      root_ended();
    else
      detail::resume(*next);
  }
  machine_.stand();
}

void live_run::wake_settled() {
  for (const slot op : machine_.take_settled()) {
    const bool cancelled_branch = machine_.look(op).inner && !settled(op);
    for (auto w = waiting_.begin(); w != waiting_.end();) {
      promise_base* const who = w->who;
      if (!(cancelled_branch ? machine_.refuses(who->branch, w->on) : w->on == op)) {
        ++w;
        continue;
      }
      ready_.push_back(who);
      auto last = w + 1;
      while (last != waiting_.end() && last->who == who) ++last;
      while (w != waiting_.begin() && (w - 1)->who == who) --w;
      w = waiting_.erase(w, last);
    }
  }
}

live_run::local_op live_run::begin_body(slot op) {
  if (!local_) return {};
  auto found = local_->bodies.find(op);
  if (found == local_->bodies.end()) return {};
  local_op begun = found->second;
  begun.gate = std::make_shared<body_gate>();
  local_->gates.emplace_back(op, begun.gate);
  return begun;
}

bool live_run::pinned() {
  if (!local_) return false;
  std::erase_if(local_->gates, [](const auto& body) { return body.second->is_over(); });
  return !local_->gates.empty();
}

// ---- asked by the code ----

namespace {
engine::operation_kind kind_of(op_kind kind) {
  switch (kind) {
    case op_kind::step:
      return engine::operation_kind::step;
    case op_kind::local:
      return engine::operation_kind::local;
    case op_kind::transaction:
      return engine::operation_kind::transaction;
    case op_kind::child:
      return engine::operation_kind::child;
    case op_kind::timer:
      return engine::operation_kind::timer;
    case op_kind::signal:
      return engine::operation_kind::receive;
    case op_kind::publish:
      return engine::operation_kind::publish;
    case op_kind::tag:
      return engine::operation_kind::tag;
    case op_kind::send:
      return engine::operation_kind::send;
    case op_kind::branch:
      return engine::operation_kind::branch;
  }
  return engine::operation_kind::branch;
}
}  // namespace

engine::request live_run::translate(request& what) const {
  engine::request ask;
  ask.kind = kind_of(what.kind);
  ask.name = std::string(what.name);
  ask.place = place_of(what.where);
  ask.input = to_engine(std::move(what.input));
  if (ask.kind == engine::operation_kind::step || ask.kind == engine::operation_kind::local ||
      ask.kind == engine::operation_kind::transaction)
    ask.plan = plan_of(what.options, defaults_);
  if (ask.kind == engine::operation_kind::child)
    ask.child = {.key = std::string(what.child.key),
                 .deadline_ms = what.child.deadline ? what.child.deadline->count() : 0,
                 .queue = std::string(what.child.queue),
                 .priority = what.child.priority,
                 .close_policy = static_cast<int>(what.child.on_parent_close)};
  if (what.patience) ask.patience_ms = what.patience->count();
  if (what.until) ask.until = micros(*what.until);
  if (what.undo)
    ask.undo = engine::undo_plan{std::string(what.undo->name), engine::operation_kind::step,
                                 plan_of(what.undo->options, defaults_)};
  return ask;
}

/// What can't be is refused before the machine hears of it: by the code alone, so at each replay.
void live_run::check(const request& what) {
  check_value("the input", what.name, what.input.bytes.size());
  const auto refuse = [](const std::optional<refusal>& why, const char* type) {
    if (why) throw failure(why->text, {.type = type, .retryable = false});
  };
  // Asked without a name first: almost all are fine, and the text would cost them an allocation.
  const auto refuse_step = [&](auto ask, std::string_view name, const step_options& options) {
    if (ask("", options))
      refuse(ask("step '" + std::string(name) + "'", options), "not_in_this_version");
  };
  refuse_step(refuse_options, what.name, what.options);
  if (what.undo) refuse_step(refuse_options, what.undo->name, what.undo->options);
  if (what.kind == op_kind::local || what.kind == op_kind::transaction)
    refuse_step(refuse_queue, what.name, what.options);
  if (!what.child.key.empty()) refuse(refuse_key(what.child.key), "bad_key");
  if (what.kind != op_kind::tag) return;
  refuse(refuse_tag(what.name, what.input.bytes), "bad_tag");
  std::set<std::string, std::less<>>& tags = tags_.made();
  if (tags.size() >= engine::limits::tags_per_run && !tags.contains(what.name))
    throw failure("tag '" + std::string(what.name) + "' is one too many: a run has at most " +
                      std::to_string(engine::limits::tags_per_run) + " [FER-1404]",
                  {.type = "too_many_tags", .retryable = false});
  tags.emplace(what.name);
}

slot live_run::issue(request&& what) {
  FERMATA_CHECK(!evicting_, "{}: a destructor called the context while its run left memory",
                place_of(what.where).str());
  check(what);
  engine::request ask = translate(what);
  asked_at_ = &ask.place.str();
  if (tell_ != nullptr) tell_->store(asked_at_, std::memory_order_relaxed);
  const slot op = machine_.ask(branch(), std::move(ask));
  if (what.body)
    local_.made().bodies[op] = {std::move(what.body), std::string(what.database), what.result, {}};
  return op;
}

const live_run::branch_frames* live_run::frames_of(slot branch) const {
  const auto found = std::ranges::lower_bound(frames_, branch, {}, &branch_frames::branch);
  return found == frames_.end() || found->branch != branch ? nullptr : &*found;
}

live_run::branch_frames& live_run::made_frames_of(slot branch) {
  const auto found = std::ranges::lower_bound(frames_, branch, {}, &branch_frames::branch);
  if (found != frames_.end() && found->branch == branch) return *found;
  return *frames_.insert(found, branch_frames{.branch = branch});
}

slot live_run::spawn(promise_base& root, branch_kind kind, std::shared_ptr<void> keeps) {
  const slot op = machine_.open_branch(branch(), kind == branch_kind::shielded);
  root.branch = op;
  branch_frames& frames = made_frames_of(op);
  frames.root = &root;
  if (keeps) frames.keeps.push_back(std::move(keeps));
  if (!over()) detail::resume(root);
  return op;
}

result_view live_run::look(slot op) const {
  const engine::operation& is = machine_.look(op);
  const_cast<engine::machine&>(machine_).observe(op);
  result_view view;
  view.how = static_cast<settled_as>(is.how);
  view.bytes = is.value.bytes;
  if (is.inner) {
    const branch_frames* found = frames_of(op);
    view.frame = found == nullptr ? nullptr : found->root;
  } else if (is.why) {
    auto& kept = failures_.made()[op];
    if (!kept) kept = std::make_unique<failure>(to_sdk(*is.why, std::string(run_id())));
    view.why = kept.get();
  } else if (is.how == engine::settled::value && is.value.bytes.empty() && !is.value.present()) {
    view.bytes = "null";
  }
  return view;
}

bool live_run::settled(slot op) const { return machine_.look(op).how != engine::settled::pending; }
bool live_run::refuses(slot op) const { return machine_.refuses(branch(), op); }

void live_run::cancel(slot op, location) {
  if (!engine::planted("losers_of_a_race_go_on")) machine_.cancel(op);
}

void live_run::keep(slot branch, std::shared_ptr<void> what) {
  made_frames_of(branch).keeps.push_back(std::move(what));
}

void live_run::drop(slot op) noexcept {
  if (over()) return;
  std::vector<slot> inside;
  for (const branch_frames& frames : frames_)
    for (slot b = frames.branch; b != 0; b = machine_.look(b).branch)
      if (b == op && frames.root && !frames.root->done) inside.push_back(frames.branch);
  if (local_)
    for (const auto& [body, gate] : local_->gates)
      for (slot b = machine_.look(body).branch; b != 0; b = machine_.look(b).branch)
        if (b == op) gate->close();
  for (auto branch = inside.rbegin(); branch != inside.rend(); ++branch)
    std::exchange(made_frames_of(*branch).root, nullptr)->self.destroy();
  machine_.drop(op);
}

void live_run::wait(std::span<const slot> ops, promise_base& who) {
  for (const slot op : ops) waiting_.push_back({&who, op});
}

void live_run::ended(promise_base& who) noexcept {
  who.done = true;
  if (over()) return;
  if (who.parent) return wake(*who.parent);
  const branch_frames* mine = frames_of(who.branch);
  if (mine == nullptr || mine->root != &who) return;
  if (who.branch == 0) return wake(who);  // those that are ready before it go on first
  engine::settled how = engine::settled::value;
  pb::failure why;
  if (who.error) {
    how = how_of(who.error);
    why = failure_of(who.error);
  }
  machine_.branch_ended(who.branch, how, std::move(why));
}

void live_run::gone(promise_base& who) noexcept {
  if (evicting_) return;
  std::erase_if(waiting_, [&](const waiting& w) { return w.who == &who; });
  ready_.remove(&who);
}

void live_run::undecodable(slot op, std::string_view why) noexcept {
  const engine::operation& what = machine_.look(op);
  const std::string subject = op == 0 ? "the input of workflow '" + machine_.workflow() + "'"
                                      : "the result of " + engine::describe(what.kind, what.name);
  machine_.undecodable(subject + " can't be read: " + std::string(why), what.place.str());
}

// ---- the rest of context ----

void live_run::compensate(request&& undo) {
  check(undo);
  engine::request ask = translate(undo);
  ask.undo = engine::undo_plan{ask.name, ask.kind, plan_of(undo.options, defaults_)};
  if (ask.kind == engine::operation_kind::child) {
    ask.undo->plan.queue = ask.child.queue;
    ask.undo->plan.priority = ask.child.priority.value_or(0);
  }
  ask.kind = engine::operation_kind::compensation;
  (void)machine_.ask(branch(), std::move(ask));
}

bool live_run::patched(std::string_view change, location where) {
  return machine_.patched(branch(), change, place_of(where));
}

void live_run::send(std::string_view run, std::string_view signal, payload value, location where) {
  const auto to = engine::run_id::parse(run);
  if (!to)
    throw failure("'" + std::string(run) + "' isn't a run's id: ctx.signal takes run_…",
                  {.type = "bad_run_id", .retryable = false});
  engine::request ask;
  ask.kind = engine::operation_kind::send;
  ask.name = std::string(signal);
  ask.place = place_of(where);
  ask.input = to_engine(std::move(value));
  ask.to = *to;
  (void)machine_.ask(branch(), std::move(ask));
}

namespace {
/// At most so many bytes of it, whole characters, and U+FFFD for what is none.
std::string shortened(std::string_view text, std::size_t most) {
  constexpr std::size_t rest_of_character = 3;
  std::size_t end = std::min(text.size(), most);
  for (std::size_t i = 0; i < rest_of_character && end > 0 && end < text.size(); ++i)
    if ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return engine::as_utf8(text.substr(0, end));
}
}  // namespace

void live_run::status(std::string_view text) {
  status_ = shortened(text, engine::limits::status_max);
}

std::optional<std::string> live_run::take_status() {
  if (!status_) return std::nullopt;
  return std::move(*std::exchange(status_, {}));
}

void live_run::log(level how, std::string_view text, location where) {
  ++ordinal_;
  if (position_ < machine_.history_end() || over()) return;
  lines_.push_back(
      {how, shortened(text, engine::limits::log_line_max), place_of(where), position_, ordinal_});
}

time_point live_run::now() const { return instant(machine_.now()); }

}  // namespace fermata::detail
