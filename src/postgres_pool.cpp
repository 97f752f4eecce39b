// SPDX-License-Identifier: Apache-2.0
#include "src/postgres_pool.hpp"

#include "engine/ports/real.hpp"

#include <fermata/error.hpp>

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace fermata::detail {

namespace {

constexpr int pause_max_ms = 500;

/// Always real time: a server doesn't live in virtual time.
std::int64_t now_us() { return engine::real_clock().steady_now_us(); }

}  // namespace

patience::patience(duration how_long) : until_us_(now_us() + how_long.count() * 1000) {}

bool patience::over() const { return now_us() >= until_us_; }

duration patience::left() const {
  return duration(std::max<std::int64_t>(0, (until_us_ - now_us()) / 1000));
}

void patience::pause() {
  ::poll(nullptr, 0, static_cast<int>(std::min<std::int64_t>(pause_ms_, left().count() + 1)));
  pause_ms_ = std::min(pause_ms_ * 2, pause_max_ms);
}

postgres_pool::postgres_pool(std::string address, int connections)
    : address_(std::move(address)), connections_(connections) {
  const std::optional<std::string> name = describe_postgres(address_);
  if (address_.empty() || !name)
    throw error(codes::worker_misuse,
                "postgres_database needs an address as libpq takes it: "
                "postgres://USER@HOST/DATABASE, or host=… dbname=… user=…");
  if (connections_ < 1)
    throw error(codes::worker_misuse, "postgres_database needs one connection at least");
  name_ = *name;
}

postgres_pool::lease postgres_pool::take(const patience& waiting) {
  std::unique_ptr<postgres_connection> one = wait_for_one(waiting);
  if (one) return {*this, std::move(one)};
  try {
    return {*this, std::make_unique<postgres_connection>(address_)};
  } catch (...) {
    give_back(nullptr);
    throw;
  }
}

/// Null: a new one may be made.
std::unique_ptr<postgres_connection> postgres_pool::wait_for_one(const patience& waiting) {
  std::unique_lock lock(mutex_);
  if (!one_is_free_.wait_for(lock, waiting.left(), [this] { return used_ < connections_; }))
    throw error(codes::overloaded,
                fmt::format("all {} connections to {} are in use: give postgres_database more of "
                            "them, or the worker a lower concurrency",
                            connections_, name_));
  ++used_;
  if (idle_.empty()) return nullptr;
  std::unique_ptr<postgres_connection> found = std::move(idle_.back());
  idle_.pop_back();
  return found;
}

void postgres_pool::give_back(std::unique_ptr<postgres_connection> used) noexcept {
  {
    const std::lock_guard lock(mutex_);
    --used_;
    if (used) idle_.push_back(std::move(used));
  }
  one_is_free_.notify_one();
}

void postgres_pool::close_idle() {
  std::vector<std::unique_ptr<postgres_connection>> closed;
  const std::lock_guard lock(mutex_);
  closed.swap(idle_);
}

}  // namespace fermata::detail
