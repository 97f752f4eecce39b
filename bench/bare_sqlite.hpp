// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/bare_rows.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace fermata::bench {

/// In a new file. `payload_bytes`: of each request.
std::unique_ptr<bare_rows> bare_sqlite(const std::string& path, int runs,
                                       std::size_t payload_bytes);

}  // namespace fermata::bench
