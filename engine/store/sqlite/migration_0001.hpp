// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace fermata::engine::sqlite {

extern const char* const migration_0001_events;
extern const char* const migration_0001_runs;
extern const char* const migration_0001_workers;
extern const char* const migration_0001_views;

}  // namespace fermata::engine::sqlite
