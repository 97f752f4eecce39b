// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace fermata::engine {

/// Called with the position and a sentence.
using report = std::function<void(position_t, std::string)>;

/// What a run's operations promise: outcomes once, attempts that rise, timers that were set and
/// aren't early, compensation newest first, nothing new after a cancel. Pure; fed in order.
class operation_check {
 public:
  /// `copied`: the run began with a part of another's journal, without all its notes.
  void begin(bool copied) { copied_ = copied; }
  void take(const event& what, const report& found);
  /// The journal has this message.
  bool has_message(const message_id& id) const {
    return messages_.contains(std::string(id.view()));
  }

 private:
  struct compensation {
    std::string name;
    int max_attempts = 0;
  };
  struct cancel_mark {
    position_t position = 0;
    epoch_t epoch = 0;
    time_us at = 0;
  };

  void take_command(const event& what, const report& found);
  void take_outcome(const event& what, const report& found);
  void take_attempt(const event& what, const report& found);
  void take_message(const event& what, const report& found);
  void check_timer(const event& what, const report& found);
  void check_attempts(const event& what, const report& found);
  void check_scheduled(const event& what, const report& found) const;
  void check_undoing(const event& what, const report& found);
  int attempts_of(const std::string& operation) const;

  bool copied_ = false;
  std::unordered_set<std::string> answered_;
  std::map<std::string, int> attempts_;     // the last that ended, of what isn't answered
  std::unordered_set<std::string> remote_;  // that had an attempt on a queue of its own
  std::map<std::string, time_us> due_;      // timers set and not fired
  std::set<std::string> markers_;
  std::unordered_set<std::string> messages_;
  std::vector<compensation> compensations_;  // registered and not done
  int undoing_ = 0;                          // n of c.n
  bool undone_ = true;                       // c.n has an outcome
  position_t failing_ = 0;
  cancel_mark cancel_;
  epoch_t epoch_ = 0;
  time_us last_ = 0;       // of the event before
  time_us inherited_ = 0;  // of the last one of earlier epochs
};

}  // namespace fermata::engine
