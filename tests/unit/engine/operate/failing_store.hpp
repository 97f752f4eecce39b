// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "passing_store.hpp"

#include <utility>

namespace fermata::engine::testing {

/// Its n-th call, counted from 1, isn't made, and answers an error.
class failing_store : public passing_store {
 public:
  failing_store(store& inner, int nth, absl::Status how)
      : passing_store(inner), nth_(nth), how_(std::move(how)) {}

  /// Whether there were so many calls.
  bool failed() const noexcept { return calls_ >= nth_; }

  absl::StatusOr<batch_result> commit(batch&& what) override {
    return may_fail([&] { return inner_.commit(std::move(what)); });
  }
  absl::StatusOr<std::vector<run_row>> children_to_close(std::size_t at_most) override {
    return may_fail([&] { return inner_.children_to_close(at_most); });
  }
  absl::Status closed(const std::vector<run_id>& children) override {
    return may_fail([&] { return inner_.closed(children); });
  }
  absl::StatusOr<std::vector<start_request>> overdue_requests(time_us now,
                                                              std::size_t at_most) override {
    return may_fail([&] { return inner_.overdue_requests(now, at_most); });
  }
  absl::StatusOr<bool> end_request(const run_id& run, const std::vector<encoded_event>& events,
                                   const run_changes& changes,
                                   const std::vector<message>& messages) override {
    return may_fail([&] { return inner_.end_request(run, events, changes, messages); });
  }
  absl::Status begin_copy(const start_request& request, const std::vector<encoded_event>& events,
                          const run_changes& changes,
                          const std::vector<chain_id>& in_flight) override {
    return may_fail([&] { return inner_.begin_copy(request, events, changes, in_flight); });
  }
  absl::StatusOr<std::vector<encoded_event>> read_events(const run_id& run, position_t from,
                                                         std::size_t at_most) const override {
    return may_fail([&] { return inner_.read_events(run, from, at_most); });
  }
  absl::StatusOr<fermata::engine::head> read_head(const run_id& run) const override {
    return may_fail([&] { return inner_.read_head(run); });
  }
  absl::StatusOr<run_row> find_run(const run_id& run) const override {
    return may_fail([&] { return inner_.find_run(run); });
  }
  absl::StatusOr<run_row> find_chain(const chain_id& chain) const override {
    return may_fail([&] { return inner_.find_chain(chain); });
  }
  absl::StatusOr<std::vector<run_row>> find_key(std::string_view space, std::string_view workflow,
                                                std::string_view key) const override {
    return may_fail([&] { return inner_.find_key(space, workflow, key); });
  }
  absl::StatusOr<std::vector<run_row>> list(const run_query& query) const override {
    return may_fail([&] { return inner_.list(query); });
  }
  absl::StatusOr<std::vector<message>> inbox(const chain_id& chain) const override {
    return may_fail([&] { return inner_.inbox(chain); });
  }
  absl::StatusOr<std::vector<timer_row>> timers(const run_id& run) const override {
    return may_fail([&] { return inner_.timers(run); });
  }
  absl::StatusOr<std::optional<start_request>> find_request(const run_id& run) const override {
    return may_fail([&] { return inner_.find_request(run); });
  }
  absl::StatusOr<payload> published(const run_id& run, std::string_view name) const override {
    return may_fail([&] { return inner_.published(run, name); });
  }
  absl::StatusOr<std::vector<worker_row>> workers() const override {
    return may_fail([&] { return inner_.workers(); });
  }
  absl::StatusOr<store_counts> counts(std::string_view space) const override {
    return may_fail([&] { return inner_.counts(space); });
  }
  absl::StatusOr<std::vector<stored_event>> changes(const std::string& after,
                                                    std::size_t at_most) const override {
    return may_fail([&] { return inner_.changes(after, at_most); });
  }
  absl::StatusOr<std::vector<std::string>> check_pages() const override {
    return may_fail([&] { return inner_.check_pages(); });
  }

 private:
  template <class Call>
  auto may_fail(Call&& call) const -> decltype(call()) {
    if (++calls_ == nth_) return how_;
    return call();
  }

  const int nth_;
  const absl::Status how_;
  mutable int calls_ = 0;
};

}  // namespace fermata::engine::testing
