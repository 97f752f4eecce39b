// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "passing_store.hpp"

#include <functional>
#include <vector>

namespace fermata::engine::testing {

/// Somebody else is faster, or answers are lost.
class racing_store : public passing_store {
 public:
  racing_store(store& inner, std::function<void()> other)
      : passing_store(inner), other_(std::move(other)) {}

  int races = 0;         // commits that `other` precedes
  int late_copies = 0;   // copies that `other` precedes
  int lost_answers = 0;  // writes that land and answer UNAVAILABLE

  absl::StatusOr<batch_result> commit(batch&& what) override {
    if (races > 0 && !what.appends.empty()) {
      --races;
      other_();
    }
    return lose(inner_.commit(std::move(what)));
  }
  absl::StatusOr<bool> end_request(const run_id& run, const std::vector<encoded_event>& events,
                                   const run_changes& changes,
                                   const std::vector<message>& messages) override {
    return lose(inner_.end_request(run, events, changes, messages));
  }
  absl::Status begin_copy(const start_request& request, const std::vector<encoded_event>& events,
                          const run_changes& changes,
                          const std::vector<chain_id>& in_flight) override {
    if (late_copies > 0) {
      --late_copies;
      other_();
    }
    return lose(inner_.begin_copy(request, events, changes, in_flight));
  }

 private:
  template <class Answer>
  Answer lose(Answer answer) {
    if (lost_answers == 0) return answer;
    --lost_answers;
    return absl::UnavailableError("the connection was lost");
  }

  std::function<void()> other_;
};

}  // namespace fermata::engine::testing
