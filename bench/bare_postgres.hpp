// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/bare_rows.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace fermata::bench {

/// In that schema, which is made anew and dropped at the end. `payload_bytes`: of each request.
std::unique_ptr<bare_rows> bare_postgres(const std::string& address, const std::string& schema,
                                         int runs, std::size_t payload_bytes);

}  // namespace fermata::bench
