// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fermata::engine::sqlite {

extern const char* const migration_0002_tasks;

}  // namespace fermata::engine::sqlite
