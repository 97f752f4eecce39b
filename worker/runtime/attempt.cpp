// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/attempt.hpp"

#include "engine/limits.hpp"
#include "worker/runtime/attempt_host.hpp"

#include <fermata/error.hpp>

namespace fermata::runtime {

void live_attempt::heartbeat(detail::payload&& details) {
  const std::int64_t now = host_->time().steady_now_us();
  last_beat_us_.store(now, std::memory_order_relaxed);
  if (stop_.stop_requested()) throw cancelled("the attempt was asked to stop", run_text_);
  if (details.type == 0 && details.bytes == "null") return;
  {
    const std::lock_guard lock(mutex_);
    if (written_us_ != 0 && now - written_us_ < engine::limits::heartbeat_write_ms * 1000) return;
    written_us_ = now;
  }
  host_->write_heartbeat(*this, details);
}

}  // namespace fermata::runtime
