// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The first schema, in parts. `fermata.` stands for the schema's name wherever it is.
namespace fermata::engine::postgres {

extern const char* const migration_0001_events;
extern const char* const migration_0001_runs;
extern const char* const migration_0001_workers;
extern const char* const migration_0001_views;
extern const char* const migration_0001_calls;

}  // namespace fermata::engine::postgres
