// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/simulation/world.hpp"
#include "worker/testing/store_decorator.hpp"

#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace fermata::simulation {

/// The way of one process to the journal: calls take time, before they are carried out and after, so that
/// others come in between; they fail, or are carried out and look failed. A dead process's don't arrive.
class faulty_store final : public testing::store_decorator {
 public:
  faulty_store(world& in, std::shared_ptr<place> at, std::size_t lanes)
      : store_decorator(in.journal), in_(in), at_(std::move(at)), lanes_(lanes) {}

  using text = std::string_view;
  using events = std::vector<engine::encoded_event>;

  std::size_t lanes() const override { return lanes_; }
  or_status<engine::batch_result> commit(engine::batch&& what) override;
  or_status<std::vector<engine::worker_row>> rescue(std::int64_t me) override;
  or_status<std::vector<engine::run_id>> release_dead(std::int64_t worker) override {
    return through<true>("release_dead", [&] { return inner_->release_dead(worker); });
  }
  or_status<engine::worker_row> register_worker(const engine::worker_row& who) override {
    return through<true>("register_worker", [&] { return inner_->register_worker(who); });
  }
  absl::Status renew(std::int64_t worker, std::int64_t until) override {
    return through<true>("renew", [&] { return inner_->renew(worker, until); });
  }
  absl::Status release(std::int64_t worker, const std::vector<id>& runs) override {
    return through<true>("release", [&] { return inner_->release(worker, runs); });
  }
  absl::Status leave(std::int64_t worker) override {
    return through<true>("leave", [&] { return inner_->leave(worker); });
  }
  absl::Status put_heartbeat(const engine::heartbeat_row& beat) override {
    return through<true>("put_heartbeat", [&] { return inner_->put_heartbeat(beat); });
  }
  or_status<std::vector<engine::run_row>> children_to_close(std::size_t n) override {
    return through<false>("children_to_close", [&] { return inner_->children_to_close(n); });
  }
  absl::Status closed(const std::vector<id>& children) override {
    return through<true>("closed", [&] { return inner_->closed(children); });
  }
  or_status<std::vector<engine::start_request>> overdue_requests(engine::time_us now,
                                                                 std::size_t n) override {
    return through<false>("overdue_requests", [&] { return inner_->overdue_requests(now, n); });
  }
  or_status<bool> end_request(const id& run, const events& what, const engine::run_changes& changes,
                              const std::vector<engine::message>& messages) override {
    return through<true>("end_request",
                         [&] { return inner_->end_request(run, what, changes, messages); });
  }
  or_status<events> read_events(const id& run, engine::position_t from,
                                std::size_t n) const override {
    return through<false>("read_events", [&] { return inner_->read_events(run, from, n); });
  }
  or_status<engine::run_row> find_run(const id& run) const override {
    return through<false>("find_run", [&] { return inner_->find_run(run); });
  }
  or_status<std::vector<engine::message>> inbox(const engine::chain_id& chain) const override {
    return through<false>("inbox", [&] { return inner_->inbox(chain); });
  }
  or_status<std::vector<engine::task_row>> tasks(const id& run) const override {
    return through<false>("tasks", [&] { return inner_->tasks(run); });
  }
  or_status<std::vector<engine::task_row>> held_tasks(std::int64_t worker) const override {
    return through<false>("held_tasks", [&] { return inner_->held_tasks(worker); });
  }
  or_status<std::optional<engine::heartbeat_row>> heartbeat(const id& run,
                                                            text operation) const override {
    return through<false>("heartbeat", [&] { return inner_->heartbeat(run, operation); });
  }
  or_status<std::vector<engine::worker_row>> workers() const override {
    return through<false>("workers", [&] { return inner_->workers(); });
  }
  /// The memory store has no answers that get lost; in front of it some do.
  or_status<std::vector<engine::run_place>> whereabouts(std::int64_t worker,
                                                        const std::vector<id>& runs) const override;

  /// Commits of this process that are under way.
  int commits() const noexcept { return commits_; }

 private:
  enum class fault : std::uint8_t { none, refused, full, unseen, gone };

  fault before(const char* call, bool writes) const;
  void after(const char* call, bool done) const;
  absl::Status status_of(fault is, const char* call) const;

  template <bool writes, class Call>
  std::invoke_result_t<Call> through(const char* name, Call&& call) const {
    const fault is = before(name, writes);
    if (is != fault::none && is != fault::unseen) return status_of(is, name);
    std::invoke_result_t<Call> answer = call();
    after(name, answer.ok());
    if (at_->dead) return status_of(fault::gone, name);
    if (is == fault::unseen) return status_of(is, name);
    return answer;
  }

  world& in_;
  const std::shared_ptr<place> at_;
  const std::size_t lanes_;
  int commits_ = 0;
  mutable std::uint32_t wakes_seen_ = 0;
};

}  // namespace fermata::simulation
