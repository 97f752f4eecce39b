// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/migration_0003.hpp"

namespace fermata::engine::sqlite {

// So that a page of a list costs a page, however many runs have ended. Older versions keep them, too:
// they may write on.
const char* const migration_0003_lists = R"sql(
CREATE INDEX runs_by_space ON runs(space, run);
CREATE INDEX runs_by_key ON runs(space, key, run) WHERE key IS NOT NULL;
)sql";

}  // namespace fermata::engine::sqlite
