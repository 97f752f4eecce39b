// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "src/journal_impl.hpp"
#include "worker/runtime/bell.hpp"
#include "worker/runtime/registry.hpp"

#include <fermata/worker.hpp>

#include <atomic>
#include <memory>
#include <optional>

namespace fermata {

/// A worker behind its public face: what it serves, how, and on which journal. A session is one
/// registration in the store; a worker that was marked dead goes on with a new one.
class worker::impl {
 public:
  explicit impl(worker_options options) : options_(std::move(options)) {}

  /// Takes the place of a journal that was given before.
  void open(journal where) { journal_ = std::move(where); }
  worker_options& options() noexcept { return options_; }
  runtime::registry& serves() noexcept { return *serves_; }
  std::shared_ptr<const runtime::registry> shared_serves() const { return serves_; }
  const std::optional<journal>& where() const noexcept { return journal_; }

  void run();
  void stop() noexcept;  ///< drains; safe in a signal handler
  /// 0: works or has stopped, 1: drains, 2: gives everything back.
  int stopping() const noexcept { return stopping_.load(); }
  void stop_now() noexcept;  ///< gives everything back at once; safe in a signal handler

 private:
  void check() const;

  // Set once.
  worker_options options_;
  const std::shared_ptr<runtime::registry> serves_ = std::make_shared<runtime::registry>();
  std::optional<journal> journal_;

  const std::shared_ptr<runtime::bell> bell_ = std::make_shared<runtime::bell>();
  runtime::stop_request stopping_ = 0;
};

}  // namespace fermata
