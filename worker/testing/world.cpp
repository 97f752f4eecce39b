// SPDX-License-Identifier: Apache-2.0
#include "worker/testing/world.hpp"

#include "engine/event/encode.hpp"
#include "engine/operate/operate.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"
#include "src/live_run.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::testing {

namespace {
constexpr engine::time_us begin_of_2026 = 1'767'225'600'000'000;
}  // namespace

absl::StatusOr<engine::batch_result> crashing_store::commit(engine::batch&& what) {
  std::size_t adds = 0;
  for (const engine::append& a : what.appends)
    if (worker_acts_) adds += a.body ? 1 : a.events.size();
  if (worker_acts_) adds += what.finish.size();
  const bool now = adds != 0 && !crashed_ && at_ != 0 && events_ < at_ && events_ + adds >= at_;
  if (crashed_) return absl::UnavailableError("the process is dead");
  if (now && how_ == way::crash_before) {
    crashed_ = true;
    events_ = at_;
    return absl::UnavailableError("the process died before it was written");
  }
  auto answer = worker_acts_ ? commit_in_trouble(std::move(what)) : inner_->commit(std::move(what));
  const bool dies_after = now && how_ == way::crash_after;
  // Written and never seen is written, too, when nobody is left to send it again.
  if (answer.ok() || dies_after) events_ += adds;
  if (dies_after) {
    crashed_ = true;
    return absl::UnavailableError("the process died after it was written");
  }
  return answer;
}

/// What is refused is sent again as it was: the batch must be whole.
absl::StatusOr<engine::batch_result> crashing_store::commit_in_trouble(engine::batch&& what) {
  const trouble::kind how = troubles_.next();
  met_trouble_ = met_trouble_ || how != trouble::kind::none;
  switch (how) {
    case trouble::kind::none:
      return inner_->commit(std::move(what));
    case trouble::kind::refused:
      return absl::UnavailableError("the store doesn't answer");
    case trouble::kind::full:
      return absl::ResourceExhaustedError("there is no room");
    case trouble::kind::unseen:
      (void)inner_->commit(engine::batch(what));
      return absl::UnavailableError("the answer was lost");
  }
  return absl::InternalError("");
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
  journal_->pump_with([this](std::int64_t until) { return go_on(until); });
  return journal_;
}

void kit::world::employ(fermata::worker& who) {
  serves = &who.inside().serves();
  shared_serves = who.inside().shared_serves();
  options_ = &who.inside().options();
  serves->on_step([this](detail::step_entry& entry) {
    instrument(entry);
    if (!entry.defaults.queue.empty()) serve_queue(entry.defaults.queue);
  });
  serves->on_workflow([this](const detail::workflow_entry& entry) {
    if (loop_ && serves->workflow(entry.name) != nullptr) restart();  // another build is deployed
  });
}

void kit::world::serve_queue(std::string_view queue) {
  std::vector<served_queue>& all = options_->queues;
  const std::string name(queue);
  if (std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.name == name; }))
    return;
  all.emplace_back(name);
  if (loop_) restart();
}

void kit::world::hire() {
  engine::worker_row who;
  who.id = engine::new_worker_id(*time, *chance);
  who.build = "test";
  for (const served_queue& queue : options_->queues) who.queues.push_back(queue.name);
  auto made = store->register_worker(who);
  detail::raise(made.status());
  worker_row_ = made->row;
  if (auto dead = store->rescue(worker_row_); dead.ok())
    for (const engine::worker_row& d : *dead) (void)store->release_dead(d.row);
  runtime::loop_options how;
  how.build = "test";
  how.queues = who.queues;
  how.evict_always = how_ == way::evicted;
  how.inline_commits = true;
  how.retry_us = 0;
  auto host = std::make_shared<runtime::attempt_host>(runtime::attempt_host::parts{
      .serves = shared_serves,
      .store = journal_->shared_store(),
      .time = time,
      .box = nullptr,
      .wake = [] {},
      .make_io = [this] { return std::shared_ptr<void>(std::shared_ptr<void>(), &*io_); }});
  loop_ = std::make_unique<runtime::run_loop>(*journal_, std::move(host), worker_row_,
                                              std::move(how), *this);
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
  last_moment_ = 0;  // what waited for it may go on
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
  entry.body = detail::async_body(
      [this, name = entry.name, body = std::move(entry.body)](
          void* io, detail::payload input, step_context& attempt, detail::async_done done) {
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

void kit::world::turn() {
  const std::size_t before = store->events();
  loop_->poke();
  store->worker_acts(true);
  (void)loop_->turn();
  if (store->met_trouble()) wait_out_trouble();
  store->worker_acts(false);
  if (store->events() != before) last_moment_ = 0;
}

/// The loop tries again at once, and gives back what it can't know to be its own: no time passes, so
/// that what a scenario does is as it is without troubles.
void kit::world::wait_out_trouble() {
  for (int left = 3; left > 0 && !store->crashed(); --left) {
    (void)loop_->turn();
    if (store->met_trouble()) left = 4;
  }
}

/// What a worker's guard sees to: starts that are too late, children of ended parents.
void kit::world::do_chores() {
  store->worker_acts(true);
  do {
    (void)engine::expire_requests(*store, 256);
    (void)engine::close_children(*store, 256);
  } while (store->met_trouble() && !store->crashed());
  store->worker_acts(false);
}

void kit::world::work() {
  if (!loop_) hire();
  for (bool settled = false;;) {
    const std::size_t before = store->events();
    turn();
    if (store->crashed()) {
      restart();
    } else if (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    } else {
      io_->restart();
      if (io_->poll_one() == 0 && store->events() == before) {
        if (settled) return;
        do_chores();
        settled = true;
        continue;
      }
    }
    settled = false;
  }
}

/// When something happens next by itself, and when for the last time: timers of runs that nobody has
/// to look after, starts that wait for their time, time-outs of attempts. Steady; 0: never.
kit::world::moments kit::world::look_ahead() {
  const std::int64_t now = time->steady_now_us();
  const engine::time_us wall = store->now();
  moments ahead{loop_->first_due(), loop_->last_due()};
  auto add = [&](engine::time_us due) {
    const std::int64_t at = now + std::max<std::int64_t>(due - wall, 0);
    if (due > wall && (ahead.next == 0 || at < ahead.next)) ahead.next = at;
    ahead.last = std::max(ahead.last, at);
  };
  engine::run_query open;
  open.at_most = 100'000;
  open.states = {engine::run_state::waiting_to_start, engine::run_state::running,
                 engine::run_state::compensating};
  auto rows = store->list(open);
  detail::raise(rows.status());
  for (const engine::run_row& row : *rows) {
    if (row.attention != engine::attention::none) continue;
    if (row.started == 0) {
      add(row.not_before);
      if (auto request = store->find_request(row.run); request.ok() && *request)
        add((*request)->not_after + 1);
      continue;
    }
    auto timers = store->timers(row.run);
    detail::raise(timers.status());
    for (const engine::timer_row& timer : *timers) add(timer.due);
  }
  return ahead;
}

bool kit::world::pass_time(std::int64_t until) {
  work();
  const std::int64_t next = look_ahead().next;
  const std::int64_t to = next == 0 ? until : std::min(next, until);
  time->advance(std::max<std::int64_t>(to - time->steady_now_us(), 0));
  return time->steady_now_us() < until;
}

bool kit::world::go_on(std::int64_t until) {
  work();
  const std::int64_t now = time->steady_now_us();
  const moments ahead = look_ahead();
  // Without an event since then, what is due again and again leads nowhere.
  if (last_moment_ == 0) last_moment_ = ahead.last;
  const bool hopeless = ahead.next == 0 || now > std::max(last_moment_, loop_->last_due());
  if (hopeless && until == INT64_MAX) return false;
  time->advance(std::max<std::int64_t>((hopeless ? until : std::min(ahead.next, until)) - now, 1));
  return !hopeless;
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
    const engine::step_plan defaults;
    detail::live_run live(std::move(options), entry->function, defaults);
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
