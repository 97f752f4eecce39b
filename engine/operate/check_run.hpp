// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/operate/check_operations.hpp"
#include "engine/store/records.hpp"

#include <map>
#include <string>

namespace fermata::engine {

/// What a journal says that its run's row must say, too.
struct folded_run {
  chain_id chain;
  run_id parent;
  std::string parent_operation;
  run_id previous;
  run_state state = run_state::waiting_to_start;
  time_us ended = 0;
  std::string error;
  std::map<std::string, std::string> tags;
  std::map<std::string, position_t> published;
  std::map<std::string, timer_row> timers;

  struct child {
    chain_id chain;
    position_t started = 0;
    bool ended = false;
  };
  std::map<std::string, child> children;  // by operation
};

/// Recomputes one run's journal, event by event: checksums, chain, order, then what it says. Pure.
/// Behind a damaged event only checksums, chain and order go on: what can't be folded isn't judged.
class run_check {
 public:
  explicit run_check(const run_id& run) : run_(run) {}

  void take(const encoded_event& stored, const report& found);

  const run_id& run() const { return run_; }
  const folded_run& folded() const { return folded_; }
  position_t last() const { return last_; }
  const chain_hash& hash() const { return hash_; }
  epoch_t epoch() const { return epoch_; }  // the youngest
  bool has_message(const message_id& id) const { return operations_.has_message(id); }
  bool damaged() const { return damaged_; }
  bool over() const { return over_; }  // the end was seen

 private:
  bool take_place(const encoded_event& stored, const report& found);
  bool check_order(const event& what, const report& found);
  void fold(const event& what);
  void fold_start(const event& what);

  run_id run_;
  position_t last_ = 0;
  chain_hash hash_{};
  bool linked_ = true;  // hash_ is known to be that of the event before
  bool damaged_ = false;
  bool over_ = false;
  epoch_t epoch_ = 0;
  time_us at_ = 0;
  operation_check operations_;
  folded_run folded_;
};

}  // namespace fermata::engine
