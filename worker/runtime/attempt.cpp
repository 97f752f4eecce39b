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
  const bool says_nothing = details.type == 0 && details.bytes == "null";
  // The owner of a task sees nothing but what is written.
  if (says_nothing && !task_) return;
  {
    const std::lock_guard lock(mutex_);
    if (written_us_ != 0 && now - written_us_ < engine::limits::heartbeat_write_ms * 1000) return;
    written_us_ = now;
  }
  if (host_->write_heartbeat(*this, says_nothing ? detail::payload{} : details)) return;
  stop_.request_stop();
  throw cancelled("the attempt was asked to stop", run_text_);
}

}  // namespace fermata::runtime
