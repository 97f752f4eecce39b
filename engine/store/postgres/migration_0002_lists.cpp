// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0002.hpp"

namespace fermata::engine::postgres {

// So that what is asked by key costs what it finds, however many runs have ended. Older versions keep it,
// too: they may write on. A list of all goes by the runs' own key: an index by namespace would cost each
// run two entries more, since its end changes indexed columns.
const char* const migration_0002_lists = R"sql(
CREATE INDEX runs_by_key ON fermata.runs(space, key, run) WHERE key IS NOT NULL;
)sql";

}  // namespace fermata::engine::postgres
