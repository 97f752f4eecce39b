// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/replay/machine.hpp"
#include "src/body_gate.hpp"

#include <fermata/context.hpp>
#include <fermata/detail/worker_port.hpp>

#include <absl/container/flat_hash_map.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace fermata::detail {

/// A run in memory: the coroutine frames over a replay machine. It resumes frames and forwards what
/// they ask; what a request means is the machine's.
/// Threads: one at a time; a body's `gate` from any.
class live_run final : public run_port {
 public:
  struct line {
    level how;
    std::string text;
    std::string place;
    engine::position_t position;  // of the event that the code was running for
    int ordinal;                  // the same at every replay
  };

  /// What the code gave for `run` and `transaction`.
  struct local_op {
    std::shared_ptr<local_body> body;
    std::string database;
    const type_facts* result = nullptr;
    std::shared_ptr<body_gate> gate;  // of one attempt
  };

  /// Lifetime: `function` and `defaults` outlive it.
  live_run(engine::machine_options options, const workflow_function& function,
           const engine::step_plan& defaults);
  live_run(engine::machine_options, const workflow_function&, engine::step_plan&&) = delete;
  ~live_run();

  engine::machine& machine() noexcept { return machine_; }
  const engine::machine& machine() const noexcept { return machine_; }

  /// Delivers one committed event, then runs the code until every branch waits.
  void deliver(engine::event what);
  void go_live();
  /// What the machine did by itself (a stop, the grace time) may have woken branches.
  void settle();

  /// The body of a local operation, for one attempt: enter its gate, run it, leave. Without body and
  /// gate when its frame is gone.
  local_op begin_body(slot op);
  std::string_view database_of(slot op) const { return local_->bodies.at(op).database; }
  /// Where the code asked for something last, "orders.cpp:41"; null: it hasn't yet. The text stays for
  /// the life of the process.
  const std::string* asked_at() const noexcept { return asked_at_; }
  /// Each change of it is told here, for another thread that reads it while the code runs.
  void tell_asked_at(std::atomic<const std::string*>& where) noexcept { tell_ = &where; }
  /// Bodies that refer to this run's frames run or are about to: it can't be evicted.
  bool pinned();

  std::optional<std::string> take_status();
  std::vector<line> take_lines() { return std::exchange(lines_, {}); }

  // run_port
  slot issue(request&& what) override;
  slot spawn(promise_base& root, branch_kind kind, std::shared_ptr<void> keeps) override;
  result_view look(slot op) const override;
  bool settled(slot op) const override;
  bool refuses(slot op) const override;
  void cancel(slot op, location where) override;
  void drop(slot op) noexcept override;
  void keep(slot branch, std::shared_ptr<void> what) override;
  void observe(slot op) override { machine_.observe(op); }
  std::string id_of(slot op) const override { return machine_.look(op).child.text(); }
  void wait(std::span<const slot> ops, promise_base& who) override;
  void wake(promise_base& who) override { ready_.push_back(&who); }
  void ended(promise_base& who) noexcept override;
  void gone(promise_base& who) noexcept override;
  bool over() const noexcept override { return evicting_ || machine_.over(); }
  void undecodable(slot op, std::string_view why) noexcept override;
  void compensate(request&& undo) override;
  bool patched(std::string_view change, location where) override;
  void send(std::string_view run, std::string_view signal, payload value, location where) override;
  void status(std::string_view text) override;
  void log(level how, std::string_view text, location where) override;
  time_point now() const override;
  std::uint64_t random() override { return machine_.random(branch()); }
  std::string_view run_id() const override { return {id_.data(), id_.size()}; }

 private:
  /// Who waits for several has one for each, side by side.
  struct waiting {
    promise_base* who;
    slot on;
  };
  struct branch_frames {
    slot branch;
    promise_base* root = nullptr;
    std::vector<std::shared_ptr<void>> keeps;
  };

  struct local_work {
    std::unordered_map<slot, local_op> bodies;
    std::vector<std::pair<slot, std::shared_ptr<body_gate>>> gates;  // of bodies begun
  };

  slot branch() const noexcept { return current ? current->branch : 0; }
  const branch_frames* frames_of(slot branch) const;
  branch_frames& made_frames_of(slot branch);
  void start_root();
  void root_ended();
  void run_code();
  void wake_settled();
  void check(const request& what);
  engine::request translate(request& what) const;

  // Set once.
  const workflow_function& function_;
  const engine::step_plan& defaults_;
  const std::array<char, 30> id_;                  // in place: bodies may ask for it, too
  payload (*result_of_)(promise_base&) = nullptr;  // of the root

  // Touched only by the run's thread.
  engine::machine machine_;
  context context_;
  std::vector<branch_frames> frames_;  // by branch
  std::vector<waiting> waiting_;
  engine::queue<promise_base*> ready_;
  engine::rare<local_work> local_;
  engine::rare<std::set<std::string, std::less<>>> tags_;  // names: of the start, and asked for
  mutable engine::rare<absl::flat_hash_map<slot, std::unique_ptr<failure>>> failures_;
  engine::rare<std::string> status_;
  std::vector<line> lines_;
  const std::string* asked_at_ = nullptr;
  std::atomic<const std::string*>* tell_ = nullptr;
  engine::position_t position_ = 0;
  int ordinal_ = 0;
  bool evicting_ = false;
};

}  // namespace fermata::detail
