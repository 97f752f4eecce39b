// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fermata::engine::sqlite {

extern const char* const migration_0003_lists;

}  // namespace fermata::engine::sqlite
