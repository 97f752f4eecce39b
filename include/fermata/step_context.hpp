// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codec.hpp>
#include <fermata/detail/signature.hpp>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string_view>

namespace fermata {

namespace detail {
/// One attempt, as its executor knows it. Text and bytes live as long as the attempt.
class attempt_port {
 public:
  virtual int attempt() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view undoes() const = 0;
  virtual std::uint64_t epoch() const = 0;
  virtual std::string_view run_id() const = 0;
  virtual std::stop_token stop_token() const = 0;
  virtual void heartbeat(payload&& details) = 0;
  virtual const payload* last_heartbeat() const = 0;  // null: none
  /// An awaitable goes on, on the calling thread, and waits again.
  virtual void goes_on() noexcept = 0;
  virtual void waits() noexcept = 0;

 protected:
  ~attempt_port() = default;
};
}  // namespace detail

/// What a step knows about its own attempt. A step that wants it takes it as its last parameter.
/// Lifetime: that of the attempt.
/// Threads: every member may be called from any thread while the step runs.
class step_context {
 public:
  int attempt() const { return port_->attempt(); }  ///< 1, 2, 3 …

  /// `<origin>/<operation>/<step name>`: the same in every attempt of this call, also after a crash
  /// or `retry`, and in no other. Hand it to the outside (a bank, an object store), so that a
  /// repeated attempt has one effect.
  std::string_view idempotency_key() const { return port_->key(); }

  /// In a compensation made by `.undo`: the idempotency key of the call it undoes. Empty elsewhere.
  std::string_view undoes() const { return port_->undoes(); }

  /// Rises with every change of the run's owner, on a queue of its own with every attempt: a fencing
  /// token for a store that compares it. Both kinds can't be compared with each other.
  std::uint64_t epoch() const { return port_->epoch(); }

  std::string_view run_id() const { return port_->run_id(); }

  /// Says that the step is alive and how far it got. Saved (at most once a second); the next
  /// attempt finds it, also when this one's process dies.
  /// Throws: `cancelled` when the run was cancelled or taken over, so that the step can stop.
  template <recordable T>
  void heartbeat(const T& details) {
    port_->heartbeat(detail::encode(details));
  }
  void heartbeat() { port_->heartbeat(detail::no_value()); }

  /// What the last attempt that reported had said.
  /// Throws: `decode_error` when that was of another shape.
  template <recordable T>
  std::optional<T> last_heartbeat() const {
    const detail::payload* saved = port_->last_heartbeat();
    if (saved == nullptr) return std::nullopt;
    return detail::decode<T>(*saved);
  }

  /// Set when the attempt should stop: cancelled, timed out, or its worker is drained.
  std::stop_token stop_token() const { return port_->stop_token(); }

  step_context(const step_context&) = delete;
  step_context& operator=(const step_context&) = delete;
  // Below: for the library.
  explicit step_context(detail::attempt_port& port) noexcept : port_(&port) {}
  detail::attempt_port& port() const noexcept { return *port_; }

 private:
  detail::attempt_port* port_;
};

}  // namespace fermata
