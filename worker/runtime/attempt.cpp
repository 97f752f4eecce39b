// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/attempt.hpp"

#include "engine/limits.hpp"
#include "worker/runtime/attempt_host.hpp"

#include <absl/status/status.h>

#include <fermata/error.hpp>

namespace fermata::runtime {

void live_attempt::heartbeat(detail::payload&& details) {
  const std::int64_t now = host_->time().steady_now_us();
  const auto heard = [&] { last_beat_us_.store(now, std::memory_order_relaxed); };
  // The owner of a task sees nothing but what is written.
  if (!task_) heard();
  if (stop_.stop_requested()) throw cancelled("the attempt was asked to stop", run_text_);
  const bool says_nothing = details.type == 0 && details.bytes == "null";
  if (says_nothing && !task_) return;
  {
    const std::lock_guard lock(mutex_);
    if (tried_us_ != 0 && now - tried_us_ < engine::limits::heartbeat_write_ms * 1000) {
      if (written_) heard();
      return;
    }
    tried_us_ = now;
  }
  const absl::Status written =
      host_->write_heartbeat(*this, says_nothing ? detail::payload{} : details);
  written_ = written.ok();
  if (written_) heard();
  if (!absl::IsNotFound(written)) return;
  stop_.request_stop();
  throw cancelled("the attempt was asked to stop", run_text_);
}

}  // namespace fermata::runtime
