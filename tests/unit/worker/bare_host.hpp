// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/ports/make_id.hpp"
#include "src/journal_impl.hpp"
#include "worker/runtime/attempt_host.hpp"
#include "worker/runtime/loop.hpp"
#include "worker/worker_impl.hpp"

#include <fermata/fermata.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <utility>
#include <vector>

/// What a loop needs that a test turns by hand: no threads, no black box, nobody is woken.
namespace fermata::bare {

inline std::int64_t registered(detail::journal_impl& with) {
  engine::worker_row who;
  who.id = engine::new_worker_id(with.time(), with.chance());
  const auto row = with.store().register_worker(who);
  REQUIRE(row.ok());
  return row->row;
}

inline std::shared_ptr<runtime::attempt_host> host(worker& serves, detail::journal_impl& with) {
  return std::make_shared<runtime::attempt_host>(
      runtime::attempt_host::parts{.serves = serves.inside().shared_serves(),
                                   .store = with.shared_store(),
                                   .time = with.shared_time(),
                                   .box = nullptr,
                                   .wake = [] {},
                                   .make_io = [] { return std::shared_ptr<void>(); }});
}

/// Keeps the steps that a loop hands over until they are to be done.
class outside : public runtime::loop_outside {
 public:
  void execute(std::vector<runtime::step_pool::task>&& tasks) override {
    for (auto& task : tasks) steps_.push_back(std::move(task));
  }
  void log(level, std::string_view) override {}
  void run_line(const engine::log_line&) override {}
  void leased(std::int64_t) noexcept override {}

 protected:
  void do_all() {
    for (auto& step : std::exchange(steps_, {})) step();
  }

 private:
  std::vector<runtime::step_pool::task> steps_;
};

}  // namespace fermata::bare
