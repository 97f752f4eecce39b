// SPDX-License-Identifier: Apache-2.0
// The guard's thread: vouches for the loop, and looks after workers that can't.
#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/operate/operate.hpp"
#include "engine/planted.hpp"
#include "engine/store/status.hpp"
#include "engine/store/tasks.hpp"
#include "worker/runtime/frame_names.hpp"
#include "worker/runtime/session.hpp"

#include <fmt/format.h>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <utility>
#include <vector>

namespace fermata::runtime {

namespace {
// Who dies on this host is noticed by the next tick, which costs some microseconds and no statement.
constexpr std::int64_t tick_us = 100'000;
// A lease is taken back by a commit: not as soon as a run has ended, since the next may begin.
constexpr std::int64_t lease_look_us = 500'000;
constexpr int runaway_exit = 70;
constexpr std::int64_t complain_again_us = 60'000'000;

/// "21:40:05"
std::string clock_text(std::int64_t wall_us) {
  const std::int64_t second = wall_us / 1'000'000 % 86'400;
  return fmt::format("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
}
}  // namespace

/// The guard meets the same trouble at each tick; it is said once a minute. Of a database that is away, since
/// when: whatever failed then has waited for it.
void session::complain(const absl::Status& why) {
  const std::string text =
      fmt::format("{} [{}]", std::string(why.message()), engine::fer_code_of(why));
  const std::int64_t now = journal_.time().steady_now_us();
  if (text == trouble_ && now - trouble_said_ < complain_again_us) return;
  trouble_ = text;
  trouble_said_ = now;
  if (const std::int64_t since = store_.away_since(); since != 0)
    return log(level::warning,
               fmt::format("waiting for the database since {} UTC: {}",
                           clock_text(journal_.time().wall_now() - (now - since)), text));
  log(level::warning, text);
}

/// A tick, less when code that runs just now will be slow before.
std::int64_t session::until_next_look() const {
  const std::int64_t since = loop_->code_since();
  if (since == 0 || since == complained_) return tick_us;
  const std::int64_t slow_at = since + engine::limits::slow_code_ms * 1000;
  return std::clamp<std::int64_t>(slow_at - journal_.time().steady_now_us(), 0, tick_us);
}

void session::guard() {
  ::pthread_setname_np(::pthread_self(), "fermata-guard");
  look_for_the_dead();
  std::int64_t lease_next = 0;
  std::unique_lock lock(guard_mutex_);
  while (!guard_over_) {
    guard_stop_.wait_for(lock, std::chrono::microseconds(until_next_look()),
                         [this] { return guard_over_; });
    if (guard_over_) break;
    lock.unlock();
    watch_code();
    if (journal_.time().steady_now_us() >= lease_next) {
      keep_lease();
      lease_next = journal_.time().steady_now_us() + lease_look_us;
    }
    const std::int64_t now = journal_.time().steady_now_us();
    if (now >= look_next_ || store_.somebody_died(me_.row)) look_for_the_dead();
    lock.lock();
  }
}

void session::keep_lease() {
  if (vouches() && !engine::planted("lease_never_renewed")) renew();
}

/// Whether the loop has got on since the last look, or has reason to rest: it sleeps and nothing is
/// there for it, or it is in the code of a run, which is watched by itself. A loop in a commit that
/// takes long holds the store, so that a renewal would wait, too, as one that waits for a database that is
/// away; one whose commits are refused, as on
/// a full disk, tries them again and again and so gets on.
bool session::vouches() {
  const std::int64_t now = journal_.time().steady_now_us();
  const std::uint64_t advanced = loop_->advanced();
  const bool rests = loop_->code_since() != 0 || (asleep_.load() && !loop_->has_mail());
  if (std::exchange(advanced_, advanced) != advanced || rests) {
    vouched_ = now;
    return true;
  }
  if (vouched_ != 0 && now - vouched_ > engine::limits::renew_ms * 1000) {
    if (store_.away_since() != 0) {
      complain(engine::coded(absl::StatusCode::kUnavailable, "FER-2105",
                             "work goes on by itself when it is there, and this worker's lease "
                             "isn't renewed before"));
    } else {
      log(level::error,
          "the run loop doesn't get on: this worker's lease isn't renewed, and its runs "
          "go to other workers when it ends");
    }
    vouched_ = 0;  // said
  }
  return false;
}

/// While it owns runs or tasks, every third of a lease; silent otherwise. A claim sets the lease by itself, so
/// one may be left when all runs have ended: it is taken back, or it would run out.
void session::renew() {
  lease& mine = host_->held;
  // First: what a claim counted by then has brought is known to the loop.
  const std::uint64_t claims = mine.claims();
  const bool owns = loop_->may_own();
  const std::int64_t held = mine.until();
  // A server that was promoted may not know this worker, which would then claim in vain.
  const std::uint32_t lineage = store_.lineage();
  const bool promoted = lineage != lineage_;
  if (!owns && held == lease::none && !promoted) return;
  const std::int64_t boot = store_.boot_now();
  if (!promoted && owns && renewed_ != 0 && boot - renewed_ < engine::limits::renew_ms * 1000)
    return;
  if (engine::failpoint("renew.before")) return;  // as if it was late
  const absl::Status done =
      store_.renew(me_.row, owns ? boot + engine::limits::lease_ms * 1000 : 0);
  engine::failpoint("renew.after");
  if (absl::IsNotFound(done)) {
    log(level::error,
        store_.lineage() != lineage_  // also since we asked
            ? "the promoted server doesn't know this worker, or its runs were taken; it goes on "
              "under a new id [FER-3002]"
            : "this worker was silent for a lease and its runs were taken; it goes on under "
              "a new id [FER-3002]");
    mine.lost();
    dead_ = true;
    return host_->wake();
  }
  if (!done.ok()) return complain(done);
  if (promoted) {
    if (const absl::Status told = put_serving(); !told.ok()) return complain(told);
    lineage_ = lineage;
  }
  renewed_ = owns ? boot : 0;
  if (owns) {
    mine.renewed(boot);
    // Steps wait for a lease that was over, as after a disk that was full for long.
    if (held <= boot || held == lease::none) host_->wake();
    return;
  }
  mine.taken_back(claims, store_.boot_now());
}

namespace {

/// What its black box says, by run: whose thread died, else what went on then.
std::map<engine::run_id, std::vector<engine::blame>> blames_of(
    std::vector<black_box::entry>&& entries) {
  auto is_guilty = [](const black_box::entry& e) { return e.signal != 0 || e.runaway; };
  const bool attributed = std::any_of(entries.begin(), entries.end(), is_guilty);
  std::map<engine::run_id, std::vector<engine::blame>> found;
  for (black_box::entry& e : entries) {
    if (attributed && !is_guilty(e) && !engine::planted("bystanders_are_blamed")) continue;
    if (!attributed && e.operation.empty()) continue;  // code that ran for a moment
    found[e.run].push_back({.operation = std::move(e.operation),
                            .step = std::move(e.step),
                            .attempt = e.attempt,
                            .signal = e.runaway ? SIGXCPU : e.signal,
                            .backtrace = named_frames(e.backtrace),
                            .alone = e.alone});
  }
  return found;
}

/// Whether trying again may help: the store can't be written just now.
bool passes(const absl::Status& why) {
  return absl::IsUnavailable(why) || absl::IsResourceExhausted(why);
}

}  // namespace

/// Marked dead, blamed, released, in this order: whoever claims one of its runs sees what happened.
/// A rescuer that dies in between is followed by another, which does the rest.
void session::look_for_the_dead() {
  const std::int64_t steady = journal_.time().steady_now_us();
  // A lease that somebody takes right after this look isn't over before.
  look_next_ = steady + engine::limits::lease_ms * 1000;
  const auto care = store_.needs_care(me_.row);
  if (!care.ok()) return complain(care.status());
  if (care->dead) {
    engine::failpoint("rescue.found");
    auto dead = store_.rescue(me_.row);
    if (!dead.ok()) return complain(dead.status());
    for (const engine::worker_row& d : *dead)
      if (!settle_death(d)) look_next_ = steady;
    if (!dead->empty()) loop_->poke();
  }
  look_after_others(steady, *care);
}

/// False: it can't be written now.
bool session::settle_death(const engine::worker_row& dead) {
  engine::failpoint("rescue.marked");
  const std::string path = box_path(dead.slot);
  std::string whose;
  std::vector<black_box::entry> entries = black_box::read(path, &whose);
  const bool box_is_its = whose == dead.id.text();
  if (!box_is_its) entries.clear();
  auto blames = blames_of(std::move(entries));
  const absl::Status told = settle_tasks(dead, box_is_its, blames);
  if (!told.ok()) complain(told);
  if (passes(told)) return false;
  for (const auto& [run, found] : blames) {
    const absl::Status done = engine::journal_blame(store_, run, dead, found);
    if (!done.ok()) complain(done);
    if (passes(done)) return false;
  }
  if (engine::failpoint("rescue.blamed")) return false;
  // Before its slot is free for another worker's.
  if (box_is_its) black_box::remove(path);
  auto runs = store_.release_dead(dead.row);
  engine::failpoint("rescue.released");
  if (absl::IsNotFound(runs.status())) return true;  // another was faster
  while (runs.ok()) {
    loop_->poke();
    if (stopping()) return false;  // another goes on with it
    keep_lease();                  // however long it takes
    runs = store_.release_dead(dead.row);
  }
  if (!absl::IsNotFound(runs.status())) {
    complain(runs.status());
    return false;
  }
  log(level::warning,
      fmt::format("worker {} (pid {}) is gone; its runs go on", dead.id.text(), dead.pid));
  return true;
}

/// What became of the tasks that it held is told to the owners of their runs: the attempt crashed, is
/// suspected, or is given back when the black box says that it wasn't to blame. Without a black box
/// the store says `lost`. What is told here is taken out of `blames`.
absl::Status session::settle_tasks(const engine::worker_row& dead, bool has_box,
                                   std::map<engine::run_id, std::vector<engine::blame>>& blames) {
  if (!has_box) return absl::OkStatus();
  const auto held = store_.held_tasks(dead.row);
  if (!held.ok()) return held.status();
  engine::batch telling;
  for (const engine::task_row& task : *held) {
    std::vector<engine::blame>& of_run = blames[task.run];
    const auto found = std::find_if(of_run.begin(), of_run.end(), [&](const engine::blame& b) {
      return b.operation == task.operation && b.attempt == task.attempt;
    });
    const bool blamed = found != of_run.end();
    engine::message told = engine::outcome_of(
        task, blamed ? engine::task_end::lost : engine::task_end::given_back, dead.id.text());
    if (blamed) {
      pb::task_ended& said = *told.details.mutable_task_end();
      said.set_signal(found->signal);
      said.set_backtrace(found->backtrace);
      said.set_alone(found->alone);
      of_run.erase(found);
    }
    if (of_run.empty()) blames.erase(task.run);
    telling.finish.push_back({engine::name_of(task), std::move(told)});
  }
  if (telling.finish.empty()) return absl::OkStatus();
  return store_.commit(std::move(telling)).status();
}

/// When the next lease may end; and what a worker that went away may have left half done.
void session::look_after_others(std::int64_t steady, const engine::care& care) {
  if (care.next_lease != 0) {
    const std::int64_t left = std::max<std::int64_t>(0, care.next_lease - store_.boot_now());
    look_next_ = std::min(look_next_, steady + left + 100'000);
  }
  if (care.overdue) (void)engine::expire_requests(store_, 256);
  // Left by a worker that went away after it had ended their parent.
  if (care.closing)
    if (auto more = engine::close_children(store_, 256); more.ok() && *more) look_next_ = steady;
  journal_.runs_may_have_ended();
}

/// Workflow code runs for microseconds between awaits. What doesn't come back would hold every run
/// of this worker.
void session::watch_code() {
  static const std::int64_t runaway_ms =
      engine::bound("runaway_code_ms", engine::limits::runaway_code_ms);
  const std::int64_t since = loop_->code_since();
  if (since == 0) return;
  const std::int64_t ran = journal_.time().steady_now_us() - since;
  if (ran < engine::limits::slow_code_ms * 1000) return;
  const run_loop::code_here code = loop_->code();
  if (loop_->code_since() != since) return;  // it came back meanwhile
  const std::string from =
      code.asked_at == nullptr ? "from its beginning" : "after " + *code.asked_at;
  if (complained_ != since)
    log(level::warning,
        fmt::format("the code of run {} {} has run for {} ms without awaiting; slow "
                    "work belongs into a step",
                    code.run.text(), from, ran / 1000));
  complained_ = since;
  if (ran < runaway_ms * 1000) return;
  log(level::error,
      fmt::format("the code of run {} {} didn't come back for {} s; this worker hands "
                  "its other runs back and ends",
                  code.run.text(), from, ran / 1'000'000));
  end_for(code);
}

/// Blamed before it is handed back with the others. What fails here is done by a rescuer, who finds
/// the mark in the black box.
void session::end_for(const run_loop::code_here& code) {
  if (box_) box_->mark_runaway(code.slot);
  const engine::blame what{.step = code.workflow.str(), .signal = SIGXCPU};
  const bool told = engine::journal_blame(store_, code.run, me_, {what}).ok();
  if (told) {
    // Before its slot is free for another worker's.
    if (box_) black_box::remove(box_path(me_.slot));
    store_.leave(me_.row).IgnoreError();
  }
  ::_exit(runaway_exit);
}

}  // namespace fermata::runtime
