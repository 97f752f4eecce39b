// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

namespace fermata {

/// Durations and instants as the API speaks them. Any chrono literal of milliseconds or coarser
/// converts (`20s`, `72h`). Journals keep microseconds; deadlines are rounded up.
using duration = std::chrono::milliseconds;
using time_point = std::chrono::sys_time<duration>;

}  // namespace fermata
