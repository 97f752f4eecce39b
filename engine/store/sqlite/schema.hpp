// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace fermata::engine::sqlite {

class connection;

/// 'FERM' in the database's header: `file orders.db` and `fermata doctor` know whose it is.
inline constexpr std::int32_t application_id = 0x4645524d;

/// What this version writes. A journal says which versions may read and write it (PROTOCOL §8).
inline constexpr int schema_version = 3;

struct migration {
  int version;
  int written_by_min;   // versions below it may not write any more
  int readable_by_min;  // nor these read
  std::span<const char* const> scripts;
};

/// All of them, in order. One that was released is never changed.
std::span<const migration> migrations();

/// What the journal says of itself; all 0 in an empty database.
struct schema_state {
  int version = 0;
  int written_by_min = 0;
  int readable_by_min = 0;
  std::string written_by;
};
schema_state read_schema(connection& db);

/// Brings the schema from `from` up to ours, within the caller's write transaction.
void migrate(connection& db, int from, time_us now);

/// Tables, triggers and views that ours has and this journal lacks; empty: all there.
std::string missing_parts(connection& db);

}  // namespace fermata::engine::sqlite
