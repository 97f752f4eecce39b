// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/future.hpp>
#include <fermata/signal.hpp>
#include <fermata/workflow.hpp>

#include <string>
#include <type_traits>

namespace fermata {

/// A child run that this run started: its id, its result, and a way to talk to it.
/// Lifetime: as a future: valid inside the run that made it.
template <class R>
class child {
 public:
  std::string id() const { return result_.port().id_of(result_.op()); }

  /// Throws (from co_await): the child's `failure`, `cancelled`.
  future<R> result() const noexcept { return result_; }

  /// Journal: one `signal_sent`.
  template <class T>
  void signal(const fermata::signal<T>& what, const std::type_identity_t<T>& value,
              location at = location::current()) const {
    result_.port().send(id(), what.name(), detail::encode(value), at);
  }
  void signal(const fermata::signal<void>& what, location at = location::current()) const {
    result_.port().send(id(), what.name(), detail::no_value(), at);
  }

  /// Asks the child to stop.
  /// Journal: one `cancel_requested`.
  void cancel(location at = location::current()) const { result_.port().cancel(result_.op(), at); }

  // Below: for the library.
  explicit child(future<R> result) noexcept : result_(result) {}

 private:
  future<R> result_;
};

}  // namespace fermata
