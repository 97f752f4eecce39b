// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/payload.hpp>
#include <fermata/log.hpp>
#include <fermata/step.hpp>
#include <fermata/time.hpp>
#include <fermata/workflow.hpp>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

namespace fermata {
class context;
class step_context;
class failure;
using location = std::source_location;
}  // namespace fermata

/// The seam between the templates a user writes against and the run that executes them: bytes,
/// numbers and text only. `src/` implements it over the replay machine.
namespace fermata::detail {

class promise_base;

/// Numbers the operations of one live frame; never recorded (a journal has paths: `3.2`).
/// 0 is the root branch.
using slot = std::uint32_t;

enum class op_kind : std::uint8_t {
  step,
  local,
  transaction,
  child,
  timer,
  signal,  // recorded, awaited
  publish,
  tag,
  send,   // recorded, not awaited
  branch  // not recorded: replay makes it anew
};

/// What user code gave as a lambda for `run` or `transaction`; runs once per attempt, a
/// transaction's again when its database rolled back by itself. It may refer to locals of the frame:
/// while it runs, the frame is pinned, not evicted.
class local_body {
 public:
  virtual ~local_body() = default;
  /// `handle`: the database's, for a transaction; null otherwise.
  virtual payload run(step_context& attempt, void* handle) = 0;
};

/// The compensation that `.undo` names: it gets the input of the call.
struct undo_request {
  std::string_view name;
  step_options options = {};
};

/// One operation, as the code asks for it.
/// Lifetime: every string_view in it (also in the options) is copied by who takes the request.
struct request {
  op_kind kind;
  std::string_view name;
  payload input = no_value();
  const type_facts* result = nullptr;  // of what the operation returns; static
  step_options options = {};           // the call's, merged over the step's
  child_options child = {};
  std::optional<duration> patience = {};  // of a receive; the length of a sleep
  std::optional<time_point> until = {};   // of sleep_until
  std::string_view database = {};         // of a transaction
  std::unique_ptr<local_body> body = {};
  std::optional<undo_request> undo = {};
  location where;
};

enum class settled_as : std::uint8_t { pending, value, failed, cancelled, elapsed };

/// How an operation stands.
/// Lifetime: valid until the next event is delivered.
struct result_view {
  settled_as how = settled_as::pending;
  std::string_view bytes = {};
  const fermata::failure* why = nullptr;  // when failed
  promise_base* frame = nullptr;          // when the operation is a branch
};

enum class branch_kind : std::uint8_t { plain, shielded };

/// A live run. Whatever journals a command takes the caller's place in the source.
/// Threads: only the run loop's that resumes this run.
class run_port {
 public:
  /// The coroutine that runs now. Set around every resume, so that an operation knows its branch
  /// whichever `context` it was asked through.
  promise_base* current = nullptr;

  // ---- operations ----

  virtual slot issue(request&& what) = 0;
  virtual slot spawn(promise_base& root, branch_kind kind, std::shared_ptr<void> keeps) = 0;
  /// Also marks the operation as observed, as `observe` does.
  virtual result_view look(slot op) const = 0;
  virtual bool settled(slot op) const = 0;
  /// Would an await of `op` throw `cancelled`? (The current branch is cancelled, `op` isn't a
  /// shield, and no result of an operation that was in flight stands ready.)
  virtual bool refuses(slot op) const = 0;
  /// Asks `op` to stop. Journals `cancel_requested` unless it has ended or is only a branch.
  /// `where` with line 0: the place where `op` was issued.
  virtual void cancel(slot op, location where) = 0;
  /// A branch's frames are destroyed at once, a call is cancelled.
  virtual void drop(slot op) noexcept = 0;
  /// `what` lives as long as the branch.
  virtual void keep(slot branch, std::shared_ptr<void> what) = 0;
  /// Its failure is somebody's business now.
  virtual void observe(slot op) = 0;
  virtual std::string id_of(slot op) const = 0;  // of a child run

  // ---- coroutines ----

  virtual void wait(std::span<const slot> ops, promise_base& who) = 0;
  virtual void wake(promise_base& who) = 0;
  virtual void ended(promise_base& who) noexcept = 0;
  virtual void gone(promise_base& who) noexcept = 0;  // its frame is being destroyed
  /// Blocked, ended or evicting: nothing goes on, every await suspends for good.
  virtual bool over() const noexcept = 0;
  /// A recorded result (or the run's input: op 0) doesn't fit the code's type. The run is `over`
  /// from here and becomes blocked; `decode_error` is thrown next, whoever catches it.
  virtual void undecodable(slot op, std::string_view why) noexcept = 0;

  // ---- the rest of context ----

  /// Journals `compensation_registered` with the next append. Kind is step or child.
  virtual void compensate(request&& undo) = 0;
  virtual bool patched(std::string_view change, location where) = 0;
  virtual void send(std::string_view run, std::string_view signal, payload value,
                    location where) = 0;
  virtual void status(std::string_view text) = 0;
  virtual void log(level how, std::string_view text, location where) = 0;
  virtual time_point now() const = 0;
  virtual std::uint64_t random() = 0;  // the next of the current branch
  virtual std::string_view run_id() const = 0;

 protected:
  ~run_port() = default;
};

run_port& port_of(context& ctx) noexcept;

/// The call's options, and where it says nothing, the step's.
inline step_options merge(step_options call, const step_options& step) {
  auto from = [](auto& mine, const auto& other) {
    if (!mine) mine = other;
  };
  from(call.timeout, step.timeout);
  from(call.give_up_after, step.give_up_after);
  from(call.heartbeat_timeout, step.heartbeat_timeout);
  from(call.retry.max_attempts, step.retry.max_attempts);
  from(call.retry.first_delay, step.retry.first_delay);
  from(call.retry.backoff, step.retry.backoff);
  from(call.retry.max_delay, step.retry.max_delay);
  from(call.priority, step.priority);
  from(call.isolation, step.isolation);
  from(call.on_crash, step.on_crash);
  if (call.queue.empty()) call.queue = step.queue;
  return call;
}

}  // namespace fermata::detail
