// SPDX-License-Identifier: Apache-2.0
#include "src/journal_impl.hpp"

#include "engine/ports/real.hpp"
#include "src/convert.hpp"

#include <utility>

namespace fermata {

journal open(std::string_view address, open_options options) {
  detail::check_utf8("the namespace", options.ns);
  auto time = std::make_shared<engine::real_clock>();
  auto chance = std::make_shared<engine::real_random>();
  auto store = engine::open_store(
      address,
      {.create = options.create, .warn = std::move(options.warn), .time = time, .chance = chance});
  detail::raise(store.status());
  return journal(std::make_shared<detail::journal_impl>(std::move(*store), std::string(options.ns),
                                                        time, chance));
}

namespace detail {

journal_impl& inside(const journal& where) { return static_cast<journal_impl&>(where.engine()); }

journal_impl::journal_impl(std::shared_ptr<engine::store> where, std::string ns,
                           std::shared_ptr<engine::clock> time,
                           std::shared_ptr<engine::random> chance)
    : store_(std::move(where)),
      ns_(std::move(ns)),
      time_(std::move(time)),
      chance_(std::move(chance)),
      writer_(store_) {}

journal_impl::~journal_impl() {
  closing_ = true;
  store_->interrupt();
  if (watcher_.joinable()) watcher_.join();
}

void journal_impl::attach_worker(local_worker* worker) {
  std::unique_lock lock(mutex_);
  worker_ = worker;
  if (worker != nullptr) return want_watcher();
  visits_over_.wait(lock, [this] { return visits_ == 0; });
  here_.clear();
  look_all();
}

}  // namespace detail
}  // namespace fermata
