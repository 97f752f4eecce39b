// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace fermata::engine::host {

/// When a process began, in clock ticks since boot; 0 when there is none. With the pid it names a
/// process for ever: pids are used again.
std::uint64_t start_time_of(std::int64_t pid);

/// "process 4711 (orders), which is stopped", "process 4711, which has ended".
std::string describe_process(std::int64_t pid, std::uint64_t started);

/// Which other processes have the journal's log open, as far as /proc tells: one of them reads.
std::string describe_users(const std::string& journal);

/// The kernel's id of this boot: what CLOCK_BOOTTIME counts from.
std::string boot_id();

}  // namespace fermata::engine::host
