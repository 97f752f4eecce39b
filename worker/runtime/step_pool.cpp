// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/step_pool.hpp"

#include "engine/ports/real.hpp"
#include "worker/runtime/black_box.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace fermata::runtime {

namespace {

/// The kernel keeps 15 characters.
void name_thread(std::size_t number) {
  const std::string name = (number < 100 ? "fermata-step-" : "step-") + std::to_string(number);
  pthread_setname_np(pthread_self(), name.c_str());
}

}  // namespace

/// At most one wake-up is on its way at any time: while a woken thread comes up, those awake work
/// off short tasks without a system call; if the tasks are long, each thread that comes up wakes the
/// next. While tasks are short, a woken thread looks on first, and takes part only if those awake
/// don't get on: short tasks cost less than a hand-over to another thread.
class step_pool::impl : public std::enable_shared_from_this<impl> {
 public:
  explicit impl(std::size_t threads) : threads_(threads > 0 ? threads : 1) {}

  void submit(std::vector<task>&& tasks) {
    std::unique_lock lock(mutex_);
    queue_.insert(queue_.end(), std::make_move_iterator(tasks.begin()),
                  std::make_move_iterator(tasks.end()));
    rouse(lock);
  }

  void abandon_running() {
    std::unique_lock lock(mutex_);
    std::erase_if(seats_, [](const std::shared_ptr<seat>& one) {
      if (!one->running) return false;
      one->abandoned = true;
      one->thread.detach();
      return true;
    });
    rouse(lock);
  }

  void shut() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    const std::deque<task> dropped = std::exchange(queue_, {});
    // A thread on its way up may still start another one: look again until there is none.
    while (!seats_.empty()) {
      const std::shared_ptr<seat> last = std::move(seats_.back());
      seats_.pop_back();
      lock.unlock();
      more_.notify_all();
      last->thread.join();
      lock.lock();
    }
  }

  std::size_t threads() const noexcept { return threads_; }

 private:
  static constexpr std::int64_t short_us = 30;  // a hand-over costs about as much
  static constexpr std::int64_t look_on_us = 100;
  static constexpr std::uint64_t got_on = 4;  // tasks begun meanwhile

  struct seat {
    std::thread thread;
    bool running = false;    // a task
    bool abandoned = false;  // ends when its task does
  };

  /// Sees to it that somebody comes for what is queued; leaves the lock open.
  void rouse(std::unique_lock<std::mutex>& lock) {
    const bool needed = !queue_.empty() && !waking_ && !stopping_;
    if (needed && idle_ > 0) {
      waking_ = true;
      lock.unlock();
      more_.notify_one();
      return;
    }
    if (needed && seats_.size() < threads_) start_one();
    lock.unlock();
  }

  /// Under the lock, so that the new seat is among the others before its thread looks.
  void start_one() {
    auto mine = std::make_shared<seat>();
    seats_.push_back(mine);
    waking_ = true;
    try {
      mine->thread = std::thread([all = shared_from_this(), mine, number = ++started_] {
        name_thread(number);
        black_box::prepare_thread();
        all->work(*mine);
      });
    } catch (const std::system_error&) {
      seats_.pop_back();
      waking_ = false;
      if (seats_.empty()) throw;  // else those there are work it off
    }
  }

  void work(seat& mine) {
    std::unique_lock lock(mutex_);
    look_on(lock);
    while (true) {
      while (queue_.empty() && !stopping_) {
        wait(lock);
        look_on(lock);
      }
      if (stopping_) return;
      task next = std::move(queue_.front());
      queue_.pop_front();
      mine.running = true;
      ++begun_;
      ++busy_;
      rouse(lock);
      const std::int64_t from = time_.steady_now_us();
      execute(next);
      const std::int64_t took = time_.steady_now_us() - from;
      lock.lock();
      --busy_;
      usual_us_ += (std::min(took, 4 * short_us) - usual_us_) / 4;
      mine.running = false;
      if (mine.abandoned) return;
    }
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    ++idle_;
    more_.wait(lock);
    --idle_;
  }

  /// A wake-up counts as on its way until this is over.
  void look_on(std::unique_lock<std::mutex>& lock) {
    while (busy_ > 0 && usual_us_ <= short_us && !queue_.empty() && !stopping_) {
      const std::uint64_t before = begun_;
      look_again_.wait_for(lock, std::chrono::microseconds(look_on_us));
      if (begun_ - before < got_on) break;
    }
    waking_ = false;
  }

  static void execute(task& what) noexcept {
    what();
    what = nullptr;
  }

  // Set once.
  const std::size_t threads_;
  engine::real_clock time_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable more_;
  std::condition_variable look_again_;  // nobody notifies it but the end
  std::deque<task> queue_;
  std::vector<std::shared_ptr<seat>> seats_;
  std::size_t started_ = 0;
  std::size_t idle_ = 0;
  std::size_t busy_ = 0;                  // threads with a task
  std::uint64_t begun_ = 0;               // tasks
  std::int64_t usual_us_ = 4 * short_us;  // what a task has taken lately, up to this
  bool waking_ = false;                   // somebody was woken or started and hasn't come up yet
  bool stopping_ = false;
};

step_pool::step_pool(std::size_t threads) : impl_(std::make_shared<impl>(threads)) {}
step_pool::~step_pool() { impl_->shut(); }
void step_pool::submit(std::vector<task>&& tasks) { impl_->submit(std::move(tasks)); }
std::size_t step_pool::threads() const noexcept { return impl_->threads(); }
void step_pool::abandon_running() { impl_->abandon_running(); }

}  // namespace fermata::runtime
