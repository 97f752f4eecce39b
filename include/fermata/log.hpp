// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fermata {

/// How urgent a line of a run's log is.
enum class level { debug, info, warning, error };

}  // namespace fermata
