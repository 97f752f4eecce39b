// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/runtime/black_box.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <pthread.h>

#include <thread>
#include <vector>

namespace fermata::runtime {

/// An io_context that runs on threads of its own, for steps that are awaitables.
class io_threads {
 public:
  explicit io_threads(int threads) : guard_(boost::asio::make_work_guard(io_)) {
    for (int i = 0; i < threads; ++i)
      threads_.emplace_back([this] {
        ::pthread_setname_np(::pthread_self(), "fermata-io");
        black_box::prepare_thread();
        io_.run();
      });
  }
  ~io_threads() {
    guard_.reset();
    io_.stop();
    for (std::thread& t : threads_) t.join();
  }
  io_threads(const io_threads&) = delete;

  void* context() noexcept { return &io_; }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::vector<std::thread> threads_;
};

}  // namespace fermata::runtime
