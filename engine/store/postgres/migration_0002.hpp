// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fermata::engine::postgres {

extern const char* const migration_0002_lists;
extern const char* const migration_0002_rows;

}  // namespace fermata::engine::postgres
