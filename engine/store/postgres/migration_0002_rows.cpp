// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/migration_0002.hpp"

namespace fermata::engine::postgres {

// How events come in: as many as there are, in one value. `after` and `owned` are what a plain append
// compares before it lands.
const char* const migration_0002_rows = R"sql(
CREATE TYPE fermata.event_row AS (
  run uuid, position int8, at int8, epoch int8, crc int8, key_id int8, name int4, place int4,
  content_type int4, input_content_type int4, kind int2, flags int2, codec int2, operation text,
  value bytea, input bytea, salt bytea, digest bytea, details bytea, chain bytea, after bytea, owned int8
);
)sql";

}  // namespace fermata::engine::postgres
