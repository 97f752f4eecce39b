#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench_postgres.sh [OPTION...]: measures Fermata on Postgres, each workload right after what pgbench
# reaches with inserts of one row (1 and 16 clients), and what `fermata-bench` itself probes. Options go to
# fermata-bench: `--repeat 3`, `--seconds 2`, `--old-snapshot`. WORKLOADS="W1 W2" measures only these.
# Uses the server at $FERMATA_TEST_POSTGRES, else a private one; needs the preset "release" to be built.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
bench=$here/build/release/bin/fermata-bench
if [[ ! -x $bench ]]; then
  echo "bench_postgres: build it first: cmake --preset release && cmake --build --preset release --target fermata_bench" >&2
  exit 1
fi
if [[ -z ${FERMATA_TEST_POSTGRES:-} ]]; then exec "$here/scripts/with_postgres.sh" "$0" "$@"; fi

pgbench=$(command -v pgbench || true)
for folder in /usr/lib/postgresql/*/bin; do
  if [[ -z $pgbench && -x $folder/pgbench ]]; then pgbench=$folder/pgbench; fi
done
if [[ -z $pgbench ]]; then
  echo "bench_postgres: pgbench isn't installed (Debian: postgresql-contrib or postgresql-15)" >&2
  exit 1
fi

schema=bench_$$_pgbench
statements=$(mktemp)
sql() { psql -q -X -v ON_ERROR_STOP=1 -c "SET client_min_messages = warning; $1" "$FERMATA_TEST_POSTGRES"; }
clean() {
  rm -f "$statements"
  sql "DROP SCHEMA IF EXISTS $schema CASCADE"
}
trap clean EXIT
sql "CREATE SCHEMA $schema;
  CREATE TABLE $schema.rows(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea)"
echo "INSERT INTO $schema.rows(bytes) VALUES (convert_to(repeat('x', 120), 'UTF8'))" >"$statements"

# Prints commits per second and the mean latency.
probe() {
  "$pgbench" -n -M prepared -f "$statements" -c "$1" -j $(($1 > 1 ? 2 : 1)) -T 3 "$FERMATA_TEST_POSTGRES" 2>&1 |
    awk -v clients="$1" '
      { said = said $0 "\n" }
      /^latency average/ { latency = $4 }
      /^tps/ { tps = $3 }
      END {
        if (tps == "") { printf "%s", said > "/dev/stderr"; exit 1 }
        printf "pgbench, single-row inserts, %2d client(s): %6.0f commits/s, %.3f ms each\n", clients, tps, latency
      }'
}

for workload in ${WORKLOADS:-W1 W2 W5 W7}; do
  echo
  probe 1
  probe 16
  "$bench" "$workload" --on postgres --table "$@"
done
