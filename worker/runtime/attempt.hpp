// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/replay/command.hpp"
#include "src/live_run.hpp"
#include "worker/runtime/black_box.hpp"

#include <fermata/detail/worker_port.hpp>
#include <fermata/step_context.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

namespace fermata::runtime {

class attempt_host;

/// One try at a step, from the moment the machine asks for it until its thread has come back.
class live_attempt final : public detail::attempt_port {
 public:
  live_attempt(engine::attempt_start&& start, const engine::run_id& run, engine::epoch_t epoch,
               std::shared_ptr<attempt_host> host)
      : host_(std::move(host)),
        start_(std::move(start)),
        run_(run),
        epoch_(epoch),
        context_(*this) {}
  /// Of a remote step: what a claim has brought.
  live_attempt(engine::attempt_start&& start, const engine::task_row& task,
               std::shared_ptr<attempt_host> host)
      : host_(std::move(host)),
        start_(std::move(start)),
        run_(task.run),
        epoch_(task.epoch),
        task_(task),
        context_(*this) {}
  ~live_attempt() { leave_frame(); }

  // attempt_port: any thread
  int attempt() const override { return start_.number; }
  std::string_view key() const override { return start_.key; }
  std::string_view undoes() const override { return start_.undoes; }
  std::uint64_t epoch() const override { return epoch_; }
  std::string_view run_id() const override {
    std::call_once(text_made_, [this] { run_text_ = run_.text(); });
    return run_text_;
  }
  std::stop_token stop_token() const override { return stop_.get_token(); }
  void heartbeat(detail::payload&& details) override;
  const detail::payload* last_heartbeat() const override {
    return saved_beat ? &*saved_beat : nullptr;
  }

  void goes_on() noexcept override {
    if (box_ != nullptr) box_->resume(box_slot_.load());
  }
  void waits() noexcept override {
    if (box_ != nullptr) box_->pause(box_slot_.load());
  }

  /// From here on the black box (may be null) says that the calling thread is at it.
  void enter_box(black_box* box) noexcept {
    if (box == nullptr) return;
    box_ = box;
    box_slot_ = box->enter(run_, start_.operation, start_.name, start_.number, start_.alone);
  }
  /// From any thread.
  void leave_box() noexcept {
    if (box_ != nullptr) box_->leave(box_slot_.exchange(-1));
  }

  /// A body of `ctx.run` refers to its frame: before it runs, and when it is over or never will.
  bool enter_frame() { return local.gate && local.gate->enter(); }
  void leave_frame() noexcept {
    if (local.gate) local.gate->leave();
  }

  const engine::attempt_start& start() const noexcept { return start_; }
  /// Null: an attempt of a run of this worker. Without the input.
  const engine::task_row* task() const noexcept { return task_ ? &*task_ : nullptr; }
  /// For the body; `start` is without it afterwards.
  engine::payload take_input() { return std::move(start_.input); }
  const engine::run_id& run() const noexcept { return run_; }
  step_context& context() noexcept { return context_; }
  attempt_host& host() const noexcept { return *host_; }
  void stop() { stop_.request_stop(); }
  bool stop_requested() const { return stop_.stop_requested(); }
  void begin_silence(std::int64_t now) noexcept { last_beat_us_.store(now); }
  std::int64_t last_beat_us() const noexcept {
    return last_beat_us_.load(std::memory_order_relaxed);
  }

  // Touched only by the run loop.
  bool running = false;   // handed to the pool
  bool answered = false;  // its end has been reported: what comes later is ignored
  bool draining = false;  // stopped because the worker stops: it hasn't failed
  engine::time_us started = 0;
  std::int64_t deadline_us = 0;  // steady
  // Of a task, by CLOCK_BOOTTIME: from when its time-outs count at the latest, and from when on its
  // run's owner may have given it up.
  std::int64_t counts_from_us = INT64_MAX;
  std::int64_t late_from_us = INT64_MAX;
  detail::live_run::local_op local;
  engine::slot slot = 0;
  std::size_t among_running = 0;  // its place there
  std::size_t lane = 0;           // whose places it takes

  // Set before it starts.
  std::optional<detail::payload> saved_beat;

 private:
  const std::shared_ptr<attempt_host> host_;
  engine::attempt_start start_;
  const engine::run_id run_;
  const std::uint64_t epoch_;
  const std::optional<engine::task_row> task_;
  step_context context_;
  std::stop_source stop_;
  black_box* box_ = nullptr;  // set on the thread that begins it
  std::atomic<int> box_slot_ = -1;
  std::atomic<std::int64_t> last_beat_us_ = 0;
  std::atomic<bool> written_ = false;  // it was
  mutable std::once_flag text_made_;
  mutable std::string run_text_;
  std::mutex mutex_;
  std::int64_t tried_us_ = 0;  // to write a heartbeat; guarded by mutex_
};

/// How an attempt's body ended; posted to the run loop.
struct attempt_done {
  std::shared_ptr<live_attempt> what;
  engine::payload value;
  std::exception_ptr problem;
  // Not begun: the lease was over, its owner may have given it up, or its frame is gone.
  bool refused = false;
};

}  // namespace fermata::runtime
