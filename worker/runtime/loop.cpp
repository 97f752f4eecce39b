// SPDX-License-Identifier: Apache-2.0
// The loop itself: mail in, runs advanced, appends out.
#include "worker/runtime/loop.hpp"

#include "engine/event/encode.hpp"
#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/operate/operate.hpp"
#include "engine/store/projection.hpp"

#include <algorithm>

namespace fermata::runtime {

run_loop::run_loop(detail::journal_impl& journal, std::shared_ptr<attempt_host> host,
                   std::int64_t worker_row, loop_options options, loop_outside& outside)
    : journal_(journal),
      store_(journal.store()),
      host_(std::move(host)),
      serves_(host_->serves()),
      worker_(worker_row),
      options_(std::move(options)),
      outside_(outside),
      lineage_(journal.store().lineage()),
      mail_(std::make_shared<mailbox<mail>>()),
      looked_for_(journal.store().wake_count()) {
  lanes_.push_back({.places = options_.concurrency});
  for (const std::string& queue : options_.queues) {
    const auto own = std::find_if(options_.places.begin(), options_.places.end(),
                                  [&](const own_places& p) { return p.queue == queue; });
    if (own == options_.places.end())
      lanes_[0].queues.push_back(queue);
    else
      lanes_.push_back({.queues = {queue}, .places = own->concurrency});
  }
}

run_loop::~run_loop() {
  mail_->close();
  for (auto& [id, run] : runs_)
    if (run->live && run->live->pinned()) host_->keep(std::move(run->live));
}

// ---- from any thread ----

void run_loop::post(mail&& what) {
  if (mail_->post(std::move(what))) host_->wake();
}

void run_loop::poke() noexcept {
  if (!poked_.exchange(true)) host_->wake();
}

void run_loop::poke_for(std::uint32_t wakes) noexcept {
  // Who sends and the journal's watcher tell of the same commit; a count may have gone round.
  if (static_cast<std::int32_t>(wakes - looked_for_.load()) > 0) poke();
}

bool run_loop::admit(engine::start_item& item) {
  const engine::start_request& r = item.request;
  if (!may_begin() || r.not_before > r.requested || serves_.workflow(r.workflow) == nullptr)
    return false;
  if (std::find(options_.queues.begin(), options_.queues.end(), r.queue) == options_.queues.end())
    return false;
  if (++reserved_ + static_cast<int>(owned_.load()) > options_.max_runs) {
    --reserved_;
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    asked_[r.run] = store_.boot_now();
  }
  const engine::event first = engine::make_start_event(r, store_.now(), 1, options_.build);
  const auto salt = journal_.chance().salt16();
  item.admit = engine::encode(r.run, {}, first, {salt.data(), salt.size()});
  item.build = options_.build;
  return true;
}

void run_loop::admitted(const engine::start_item& item, const engine::start_result& how) {
  std::int64_t asked = 0;
  {
    const std::lock_guard lock(mutex_);
    asked = asked_.extract(item.request.run).mapped();
  }
  journal_.has_here(item.request.chain);
  post(std::make_unique<admission>(item, how, asked));
}

void run_loop::admission_failed(const engine::start_item& item,
                                const absl::Status& answer) noexcept {
  --reserved_;
  std::int64_t asked = 0;
  {
    const std::lock_guard lock(mutex_);
    asked = asked_.extract(item.request.run).mapped();
  }
  if (!absl::IsUnavailable(answer)) return;
  lost_runs_ = true;
  outside_.leased(asked);
  poke();
}

run_loop::code_here run_loop::code() const {
  const std::lock_guard lock(mutex_);
  return {code_run_, code_workflow_, code_asked_at_.load(), code_slot_.load()};
}

bool run_loop::has_mail() const { return !mail_->empty(); }

// ---- on the loop's thread ----

std::int64_t run_loop::turn() {
  for (bool moved = true; moved;) {
    got_on();
    moved = read_mail();
    send_again();
    compare_with_journal();
    find_lost_runs();
    give_back();
    check_deadlines();
    moved = advance_dirty() || moved;
    moved = flush() || moved;
    close_children();
    evict_some();
  }
  unsure_ = claim_failed_ || !again_.empty() || !let_go_.empty();
  return next_due();
}

bool run_loop::advance_dirty() {
  const std::vector<engine::run_id> dirty = std::exchange(dirty_, {});
  for (const engine::run_id& id : dirty) {
    auto found = runs_.find(id);
    if (found == runs_.end()) continue;
    found->second->dirty = false;
    advance(*found->second);
  }
  dispatch();
  return !dirty.empty();
}

bool run_loop::read_mail() {
  mail_->take(letters_);
  // Not before: no outcome is of before its attempt began. What a claim has found due stays due, though
  // the clock is set back meanwhile.
  now_ = std::max(now_, store_.now());
  for (mail& letter : letters_) {
    if (auto* done = std::get_if<attempt_done>(&letter))
      finish(std::move(*done));
    else if (auto* answer = std::get_if<std::unique_ptr<commit_answer>>(&letter))
      take_written(std::move(**answer));
    else
      take_admission(std::move(*std::get<std::unique_ptr<admission>>(letter)));
    keep_writer_busy();
  }
  const bool some = !letters_.empty();
  letters_.clear();
  return some;
}

void run_loop::mark(active& run) {
  if (std::exchange(run.dirty, true)) return;
  dirty_.push_back(run.row.run);
}

void run_loop::check_deadlines() {
  const std::int64_t now = journal_.time().steady_now_us();
  if (now < check_at_) return;
  for (const std::shared_ptr<live_attempt>& a : std::vector(running_)) {
    if (a->answered) continue;
    const std::int64_t silence = a->start().plan.heartbeat_timeout_ms * 1000;
    if (a->deadline_us != 0 && now >= a->deadline_us)
      time_out(*a, "took longer than " + std::to_string(a->start().plan.timeout_ms) + " ms");
    else if (silence != 0 && now - a->last_beat_us() >= silence)
      time_out(*a, "was silent for " + std::to_string(silence / 1000) + " ms");
  }
  for (const engine::run_id& id : std::vector(finishing_.begin(), finishing_.end())) {
    auto found = runs_.find(id);
    if (found == runs_.end() || !found->second->live) {
      finishing_.erase(id);
      continue;
    }
    if (now < found->second->grace_until) continue;
    finishing_.erase(id);
    run_code(*found->second, [](detail::live_run& live) {
      live.machine().grace_over();
      live.settle();
    });
    mark(*found->second);
  }
  check_at_ = INT64_MAX;
  for (const std::shared_ptr<live_attempt>& a : running_) {
    if (a->answered) continue;
    check_by(a->deadline_us);
    if (a->start().plan.heartbeat_timeout_ms != 0)
      check_by(a->last_beat_us() + a->start().plan.heartbeat_timeout_ms * 1000);
  }
  for (const engine::run_id& id : finishing_)
    if (auto found = runs_.find(id); found != runs_.end()) check_by(found->second->grace_until);
}

/// Something is due then; it may be looked at in vain, when it has come before.
void run_loop::check_by(std::int64_t steady_us) {
  if (steady_us != 0 && steady_us < check_at_) check_at_ = steady_us;
}

std::int64_t run_loop::next_due() const {
  const std::int64_t first = first_due();
  // While no claim can be sent, an answer comes first, which is mail; or a batch is sent again.
  const bool compares = must_compare() && batches_under_way_ == 0;
  const bool looks = !claim_under_way_ && (worth_a_batch(0) || compares);
  const std::int64_t idle = engine::limits::idle_poll_ms * 1000;
  const std::int64_t look = looks ? next_look_ : journal_.time().steady_now_us() + idle;
  return first != 0 && first < look ? first : look;
}

std::int64_t run_loop::first_due() const {
  std::int64_t due = 0;
  auto sooner = [&due](std::int64_t at) {
    if (at != 0 && (due == 0 || at < due)) due = at;
  };
  for (const std::shared_ptr<live_attempt>& a : running_) {
    if (a->answered) continue;
    sooner(a->deadline_us);
    if (a->start().plan.heartbeat_timeout_ms != 0)
      sooner(a->last_beat_us() + a->start().plan.heartbeat_timeout_ms * 1000);
  }
  for (const engine::run_id& id : finishing_)
    if (auto found = runs_.find(id); found != runs_.end()) sooner(found->second->grace_until);
  if (!again_.empty()) sooner(again_at_);
  if (!let_go_.empty() && !claim_under_way_) sooner(std::max<std::int64_t>(give_back_at_, 1));
  return due;
}

std::int64_t run_loop::last_due() const {
  std::int64_t last = 0;
  for (const std::shared_ptr<live_attempt>& a : running_) {
    if (a->answered) continue;
    last = std::max(last, a->deadline_us);
    if (a->start().plan.heartbeat_timeout_ms != 0)
      last = std::max(last, a->last_beat_us() + a->start().plan.heartbeat_timeout_ms * 1000);
  }
  for (const engine::run_id& id : finishing_)
    if (auto found = runs_.find(id); found != runs_.end())
      last = std::max(last, found->second->grace_until);
  return last;
}

/// Batches that couldn't be written are sent again as they were: nothing is lost, and what landed
/// all the same is found by its bytes.
void run_loop::send_again() {
  if (again_.empty() || journal_.time().steady_now_us() < again_at_) return;
  again_at_ = journal_.time().steady_now_us() + options_.retry_us;
  std::vector<commit_answer> all = std::exchange(again_, {});
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto answer = journal_.writer().try_commit(all[i].batch);
    const bool written = answer && answer->ok();
    if (answer) {
      all[i].answer = std::move(*answer);
      take_answer(std::move(all[i]));
    } else {
      again_.push_back(std::move(all[i]));
    }
    if (written) continue;
    // Each try may take as long as the store's patience: the others wait for the next time.
    std::move(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
              std::back_inserter(again_));
    return;
  }
}

void run_loop::close_children() {
  if (!std::exchange(children_to_close_, false)) return;
  auto more = engine::close_children(store_, 256);
  if (!more.ok())
    outside_.log(level::warning, std::string(more.status().message()));
  else
    children_to_close_ = *more;
  journal_.runs_may_have_ended();
  poked_ = true;
}

void run_loop::evict_some() {
  while (runs_.size() > options_.frames_max && !parked_.empty()) forget(parked_.front()->row.run);
}

void run_loop::forget(const engine::run_id& id) {
  auto found = runs_.find(id);
  if (found == runs_.end()) return;
  active& run = *found->second;
  if (run.owned) --owned_;
  if (!run.owned) parked_.erase(run.parked_at);
  for (auto& [operation, a] : run.attempts) {
    a->answered = true;
    a->stop();
    std::erase(backlog_, a);
  }
  // A transaction that didn't land, or wasn't begun.
  if (run.sent && run.sent->committing) run.to_commit.push_back(run.sent->committing->what);
  for (const std::shared_ptr<live_attempt>& a : run.to_commit) {
    a->leave_frame();
    no_longer_running(*a);
    if (a->start().alone) alone_ = false;
  }
  finishing_.erase(id);
  journal_.leaves_here(run.row.chain);
  runs_.erase(found);
}

/// It can't go on here now: whoever claims it next starts from what the journal has. It isn't the
/// store's business that it is gone from memory, so the store is told, until it listens.
void run_loop::let_go(const engine::run_id& run) {
  unsure_ = true;
  if (let_go_.empty()) give_back_at_ = journal_.time().steady_now_us() + options_.retry_us;
  let_go_.push_back(run);
  forget(run);
}

void run_loop::give_back() {
  const std::int64_t steady = journal_.time().steady_now_us();
  // A claim under way may have taken one of them again: its answer takes that from the list.
  if (let_go_.empty() || steady < give_back_at_ || claim_under_way_) return;
  engine::failpoint("release.before");
  const absl::Status done = store_.release(worker_, let_go_);
  engine::failpoint("release.after");
  if (!done.ok()) {
    give_back_at_ = steady + options_.retry_us;
    return outside_.log(level::warning, std::string(done.message()));
  }
  let_go_.clear();
  poked_ = true;
}

bool run_loop::idle() const {
  return let_go_.empty() && running_.empty() && batches_under_way_ == 0 && again_.empty() &&
         dirty_.empty() && to_append_.empty() && to_finish_.empty();
}

void run_loop::stop_attempts() {
  for (const std::shared_ptr<live_attempt>& a : running_) {
    a->draining = true;
    a->stop();
  }
  for (const std::shared_ptr<live_attempt>& a : backlog_) a->answered = true;
  backlog_.clear();
  // Tasks that haven't begun are given back with the worker's others.
  for (const std::shared_ptr<live_attempt>& a : tasks_to_begin_) a->answered = true;
  tasks_to_begin_.clear();
}

}  // namespace fermata::runtime
