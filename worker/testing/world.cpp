// SPDX-License-Identifier: Apache-2.0
#include "worker/testing/world.hpp"

#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"
#include "src/live_run.hpp"

#include <fmt/format.h>

namespace fermata::testing {

namespace {
constexpr engine::time_us begin_of_2026 = 1'767'225'600'000'000;
constexpr int idle_polls_max = 3;
}  // namespace

absl::StatusOr<engine::batch_result> crashing_store::commit(engine::batch&& what) {
  std::size_t adds = 0;
  for (const engine::append& a : what.appends)
    if (worker_acts_) adds += a.body ? 1 : a.events.size();
  const bool now = adds != 0 && !crashed_ && at_ != 0 && events_ < at_ && events_ + adds >= at_;
  if (crashed_) return absl::UnavailableError("the process is dead");
  if (now && how_ == way::crash_before) {
    crashed_ = true;
    events_ = at_;
    return absl::UnavailableError("the process died before it was written");
  }
  auto answer = inner_->commit(std::move(what));
  if (answer.ok()) events_ += adds;
  if (now && how_ == way::crash_after) {
    crashed_ = true;
    return absl::UnavailableError("the process died after it was written");
  }
  return answer;
}

kit::world::world(way how, std::size_t at)
    : time(std::make_shared<engine::manual_clock>(begin_of_2026)),
      chance(std::make_shared<engine::seeded_random>(1)),
      where(make_place(time, chance)),
      store(std::make_shared<crashing_store>(where->open(), how, at)),
      how_(how) {}

kit::world::~world() { clear(); }

/// Attempts refer to the loop, and those that wait for something outside to the context.
void kit::world::clear() {
  tasks_.clear();
  io_.emplace();
  loop_.reset();
}

std::shared_ptr<detail::journal_impl> kit::world::make_journal() {
  journal_ = std::make_shared<detail::journal_impl>(store, "default", time, chance);
  journal_->pump_with([this] {
    work();
    return pass_time({});
  });
  return journal_;
}

void kit::world::employ(fermata::worker& who) {
  serves = &who.inside().serves();
  serves->on_step([this](detail::step_entry& entry) { instrument(entry); });
  serves->on_workflow([this](const detail::workflow_entry& entry) {
    if (loop_ && serves->workflow(entry.name) != nullptr) restart();  // another build is deployed
  });
}

void kit::world::hire() {
  engine::worker_row who;
  who.id = engine::new_worker_id(*time, *chance);
  who.build = "test";
  auto made = store->register_worker(who);
  detail::raise(made.status());
  worker_row_ = made->row;
  (void)store->rescue(worker_row_);
  runtime::loop_options how;
  how.build = "test";
  how.evict_always = how_ == way::evicted;
  how.inline_commits = true;
  loop_ = std::make_unique<runtime::run_loop>(*journal_, *serves, worker_row_, std::move(how), *this);
}

/// What was in memory is gone; the journal stays.
void kit::world::restart() {
  clear();
  store->put_in(where->reopen(worker_row_, store->take_out()));
  store->restart();
  hire();
}

void kit::world::execute(std::vector<runtime::step_pool::task>&& tasks) {
  for (auto& task : tasks) tasks_.push_back(std::move(task));
}

/// Counts attempts and plays faults. A body becomes asynchronous, so that one that hangs just never
/// answers.
void kit::world::instrument(detail::step_entry& entry) {
  if (auto* body = std::get_if<detail::transactional_body>(&entry.body)) {
    body->run = [this, name = entry.name, run = std::move(body->run)](
                    void* handle, const detail::payload& input) {
      ++entered[name];
      if (auto f = faults.find(name); f != faults.end() && f->second.times > 0) {
        --f->second.times;
        throw failure(f->second.why);
      }
      return run(handle, input);
    };
    return;
  }
  entry.body = detail::async_body([this, name = entry.name, body = std::move(entry.body)](
                                      void* io, detail::payload input, step_context& attempt,
                                      detail::async_done done) {
    ++entered[name];
    if (auto f = faults.find(name); f != faults.end() && f->second.times > 0) {
      --f->second.times;
      if (f->second.hangs) return;
      return done(std::make_exception_ptr(f->second.why), {});
    }
    if (const auto* later = std::get_if<detail::async_body>(&body))
      return (*later)(io, std::move(input), attempt, std::move(done));
    detail::payload value;
    std::exception_ptr problem;
    try {
      value = std::get<detail::sync_body>(body)(input, attempt);
    } catch (...) {
      problem = std::current_exception();
    }
    done(problem, std::move(value));
  });
}

std::int64_t kit::world::turn() {
  const std::size_t before = store->events();
  loop_->poke();
  store->worker_acts(true);
  const std::int64_t due = loop_->turn();
  store->worker_acts(false);
  if (store->events() != before) idle_polls_ = 0;
  return due;
}

std::int64_t kit::world::work() {
  if (!loop_) hire();
  for (;;) {
    const std::size_t before = store->events();
    const std::int64_t due = turn();
    if (store->crashed()) {
      restart();
      continue;
    }
    if (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
      continue;
    }
    io_->restart();
    if (io_->poll_one() > 0) continue;
    if (store->events() == before) return due;
  }
}

/// The steady time until which something may happen by itself: timers of runs that nobody has to look
/// after, starts that wait for their time, time-outs of attempts.
std::int64_t kit::world::last_moment() {
  const std::int64_t now = time->steady_now_us();
  std::int64_t last = 0;
  auto until = [&](engine::time_us wall) { last = std::max(last, now + wall - store->now()); };
  engine::run_query open;
  open.at_most = 100'000;
  open.states = {engine::run_state::waiting_to_start, engine::run_state::running,
                 engine::run_state::compensating};
  auto rows = store->list(open);
  detail::raise(rows.status());
  for (const engine::run_row& row : *rows) {
    if (row.attention != engine::attention::none) continue;
    if (row.started == 0) {
      until(row.not_before);
      continue;
    }
    auto timers = store->timers(row.run);
    detail::raise(timers.status());
    for (const engine::timer_row& timer : *timers) until(timer.due);
  }
  return last;
}

bool kit::world::pass_time(std::optional<std::int64_t> until) {
  const std::int64_t due = work();
  const std::int64_t now = time->steady_now_us();
  if (!until) {
    if (++idle_polls_ == idle_polls_max) last_moment_ = last_moment();
    if (idle_polls_ > idle_polls_max && now > std::max(last_moment_, loop_->last_due()))
      return false;
  }
  const std::int64_t to = until ? std::min(due, *until) : due;
  time->advance(std::max<std::int64_t>(to - now, until && now >= *until ? 0 : 1));
  return !until || time->steady_now_us() < *until;
}

void kit::world::replay_all() {
  engine::run_query all;
  all.at_most = 100'000;
  auto rows = store->list(all);
  detail::raise(rows.status());
  for (const engine::run_row& row : *rows) {
    const detail::workflow_entry* entry = serves->workflow(row.workflow);
    if (entry == nullptr || row.started == 0 || row.state == engine::run_state::terminated ||
        row.state == engine::run_state::expired)
      continue;
    auto stored = store->read_events(row.run, 1, 1'000'000);
    detail::raise(stored.status());
    engine::machine_options options;
    options.run = row.run;
    options.chain = row.chain;
    detail::live_run live(std::move(options), entry->function, {});
    std::vector<engine::event> history;
    for (const engine::encoded_event& e : *stored) {
      auto event = engine::decode(row.run, e);
      detail::raise(event.status());
      history.push_back(std::move(*event));
    }
    for (const engine::event& e : history)
      if (engine::class_of(e.kind) == engine::event_class::command) live.machine().foresee(e);
    live.machine().history_ends_at(history.back().position);
    for (const engine::event& e : history) live.deliver(e);
    if (const auto& m = live.machine().difference(); !m.empty()) throw mismatch(m.text(row.run));
    if (live.machine().state() != row.state)
      throw mismatch(fmt::format("run {} is {}, its replay says {}", row.run.text(),
                                 engine::text_of(row.state),
                                 engine::text_of(live.machine().state())));
  }
}

}  // namespace fermata::testing
