// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/server.hpp"

#include <span>
#include <string>

namespace fermata::engine::postgres {

/// What this version writes. A journal says which versions may read and write it (PROTOCOL §8).
inline constexpr int schema_version = 2;

struct migration {
  int version;
  int written_by_min;   // versions below it may not write any more
  int readable_by_min;  // nor these read
  std::span<const char* const> scripts;
};

/// All of them, in order. One that was released is never changed.
std::span<const migration> migrations();

/// The SQL that brings a journal of version `from` up to ours, for who runs it by hand.
std::string migration_sql(const address& where, int from);
/// What a role needs that works on the journal, and may not change its layout: `role` gets it.
std::string role_sql(const address& where, std::string_view role);

/// What a role needs that starts runs and sends signals by the functions, and no more.
std::string caller_sql(const address& where, std::string_view role);

/// What the journal says of itself; all 0 when there is none.
struct schema_state {
  int version = 0;
  int written_by_min = 0;
  int readable_by_min = 0;
  std::string written_by;
};
schema_state read_schema(connection& db);

/// Creates or migrates as the options say; two that come at once do it once. Throws store_failure:
/// FER-2002 no journal, 2003 a newer version's, 2005 an older schema, 2107 a right is missing.
void prepare_schema(server& at, const open_options& options);

/// Tables, indexes, functions and views that ours has and this journal lacks; empty: all there.
std::string missing_parts(connection& db, const address& where);

}  // namespace fermata::engine::postgres
