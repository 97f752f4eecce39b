// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/replay/machine.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Plays journal, code and world against the replay machine, without a coroutine, and tells what
/// happened as text. A story can be told live, replayed, and with its run leaving memory at every
/// event.
namespace fermata::engine::story {

constexpr time_us begin = 1'700'000'000LL * 1'000'000;
inline payload text(std::string value, std::uint64_t type = 1) {
  return {.bytes = std::move(value), .content_type = "application/json", .type = type};
}

class teller;
class code;
using body = std::function<void(code&)>;

/// The workflow's code: bodies that ask and go on when something settles. A branch whose body
/// returns without waiting has ended.
class code {
 public:
  code(machine& m) : m_(m) {}

  // ---- asks ----
  slot step(std::string name, request more = {});
  slot sleep(std::int64_t ms, std::string place = {});
  slot receive(std::string name, std::optional<std::int64_t> patience_ms = {});
  slot child(std::string name, child_plan plan = {}, std::string input = "in");
  slot publish(std::string name, std::string value);
  slot send(std::string name, std::string value);
  slot on_failure(std::string name, std::string input, undo_plan plan = {});
  slot branch(body inside, bool shielded = false);
  bool patched(std::string_view change) { return m_.patched(branch_, change, "code:1"); }
  void cancel(slot op) { m_.cancel(op); }
  void drop(slot op);
  machine& port() { return m_; }
  slot here() const { return branch_; }

  // ---- waits ----
  /// The first of them; a failure or `cancelled` ends the branch with it.
  void wait(std::vector<slot> on, body then) { park(std::move(on), std::move(then), false); }
  void wait(slot on, body then) { wait(std::vector{on}, std::move(then)); }
  /// Goes on whatever comes of it.
  void settle(slot on, body then) { park({on}, std::move(then), true); }
  void wait_all(std::vector<slot> on, body then);
  void idle(std::vector<slot> on) {
    wait_all(std::move(on), [](code&) {});
  }
  std::string value(slot op) const { return m_.look(op).value.bytes; }
  settled how(slot op) const { return m_.look(op).how; }
  void result(std::string value) { result_ = std::move(value); }
  void fail(std::string why);

 private:
  friend class teller;
  struct waiter {
    slot branch;
    std::vector<slot> on;
    body then;
    bool any_end;
  };
  void start(const body& root) { run(0, root); }
  void run(slot branch, const body& what);
  void go_on();
  void park(std::vector<slot> on, body then, bool any_end);
  void resume(waiter w);
  void end(settled how, fermata::pb::failure why = {});
  slot ask(request what);

  machine& m_;
  slot branch_ = 0;
  bool parked_ = false;
  std::string result_ = "done";
  std::optional<fermata::pb::failure> failed_;
  std::vector<waiter> waiting_;
  std::vector<waiter> ready_;
  std::set<slot> dropped_;
};

/// The worker and the world.
class teller {
 public:
  explicit teller(body program, bool evict = false);

  // ---- the world ----
  void completes(std::string op, std::string value = "ok");
  void fails(std::string op, std::string why, bool retryable = true,
             std::optional<std::int64_t> retry_after_ms = {});
  void stopped(std::string op);
  void signal(std::string name, std::string value);
  void cancel(std::string why);
  void child_ends(std::string op, run_state how, std::string value = "");
  void passes(std::int64_t ms);
  void several(std::function<void()> together);  // one commit
  void grace_over();
  void crashes(std::string op, int signal, bool alone = false);
  /// Who executes the task of this operation says so; `what`: the value, or why. `signal`: of a crash.
  void task_ends(const std::string& op, task_end how, std::string what = {}, int signal = 0);
  /// As that, for an attempt that was taken back.
  void late_task_ends(const std::string& op, std::uint64_t epoch, task_end how, std::string what,
                      int attempt = 1);
  void task_late(const std::string& op, std::string why);
  void task_missing(const std::string& op);
  void act(std::string what);
  void refuse(std::string op);
  void takeover();  // the process is gone, another one goes on
  void code_changes(body to) { program_ = std::move(to); }
  void tell(message what);

  // ---- what came of it ----
  std::string story() const;   // everything, a line each
  std::string told() const;    // the journal
  std::string ops() const;     // how every operation is settled
  std::string starts() const;  // what would be started
  machine& m() { return *machine_; }
  const std::vector<event>& journal() const { return journal_; }
  /// Another machine over the first `events` of the journal, and what it finds.
  std::unique_ptr<teller> replay(std::size_t events, bool with_code = true) const;
  void say(std::string line) { lines_.push_back(std::move(line)); }
  bool ended() const { return machine_->stands().ended; }
  bool folded() const { return folded_; }
  std::vector<std::string> running() const;
  bool runs(const std::string& op) const;
  std::vector<std::string> children() const;  // that haven't ended
  std::vector<std::string> tasks() const;     // that are in a queue, or executed there
  const task_row& task(const std::string& op) const { return tasks_.at(op); }
  slot at(const std::string& op) const { return find(op); }

 private:
  explicit teller(const teller* of, std::size_t events, bool with_code);
  void renew(bool with_code = true);
  void deliver(const event& what);
  void note_settled();
  void pump();
  void pump_once();
  void take_starts();
  void note_tasks();
  void tell_task_end(const task_row& task, task_end how, std::string what, int signal);
  slot find(const std::string& op) const;
  event act_event(std::string what);

  body program_;
  bool evict_ = false;
  bool together_ = false;
  time_us now_ = begin;
  std::uint64_t seq_ = 0;
  std::unique_ptr<machine> machine_;
  std::unique_ptr<code> code_;
  std::vector<event> journal_;
  std::vector<std::string> lines_;
  std::map<std::string, attempt_start> running_;
  std::map<std::string, task_row> tasks_;
  bool folded_ = false;  // goes on without the code
};

/// Tells `what` live, replayed from every prefix, and with the run leaving memory at every event.
/// `lossy`: an attempt that is lost with the process makes another story; then only the rules are
/// checked.
void every_way(const body& program, const std::function<void(teller&)>& world,
               std::string_view expected, bool lossy = false);
/// Without the lines' indentation.
std::string plain(std::string_view text);
std::string render(const event& what);

}  // namespace fermata::engine::story
