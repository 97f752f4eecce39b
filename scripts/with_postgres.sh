#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# with_postgres.sh COMMAND...: starts a private Postgres in a temporary folder, runs the command with
# its address in FERMATA_TEST_POSTGRES (and PGHOST, PGPORT, PGUSER, PGDATABASE for psql and pgbench),
# and stops it again. Durable as in production: fsync and synchronous_commit stay on.
# FERMATA_POSTGRES_FOLDER: where; else beside other temporary files; "memory": where a sync costs nothing,
# if there is room (what is written survives the server's death there, too). Its log is shown when it can't start.
set -euo pipefail

if (($# == 0)); then
  sed -n '3,8s/^# //p' "$0" >&2
  exit 2
fi

bin=
for folder in /usr/lib/postgresql/*/bin; do
  if [[ -x $folder/initdb ]]; then bin=$folder; fi
done
if [[ -z $bin ]]; then
  echo "with_postgres: no Postgres server is installed; scripts/setup.sh installs one" >&2
  exit 1
fi

# The server refuses to run as root.
as_server=()
if ((EUID == 0)); then as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups); fi

folder=${FERMATA_POSTGRES_FOLDER:-${TMPDIR:-/tmp}}
if [[ $folder == memory ]]; then
  folder=${TMPDIR:-/tmp}
  room=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
  if ((${room:-0} > 2000000)); then folder=/dev/shm; fi
fi
home=$(mktemp -d "$folder/fermata-postgres.XXXXXX")
if ((EUID == 0)); then chown postgres: "$home"; fi
log=$home/log

stop() {
  "${as_server[@]}" "$bin/pg_ctl" -D "$home/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$home"
}
trap stop EXIT

"${as_server[@]}" "$bin/initdb" -D "$home/data" -U fermata -A trust -E UTF8 --locale=C -N \
  >"$home/initdb.log" 2>&1 || {
  cat "$home/initdb.log" >&2
  exit 1
}

# A port that is free now may be taken a moment later: then the next one is tried.
port=
for _ in 1 2 3 4 5; do
  try=$((20000 + RANDOM % 20000))
  if "${as_server[@]}" "$bin/pg_ctl" -D "$home/data" -l "$log" -w -t 60 -s start -o \
    "-c listen_addresses=127.0.0.1 -p $try -c unix_socket_directories=$home ${FERMATA_POSTGRES_OPTIONS:-}"; then
    port=$try
    break
  fi
done
if [[ -z $port ]]; then
  cat "$log" >&2
  exit 1
fi

export PGHOST=127.0.0.1 PGPORT=$port PGUSER=fermata PGDATABASE=fermata
"$bin/createdb" fermata
export FERMATA_TEST_POSTGRES="postgres://fermata@127.0.0.1:$port/fermata" FERMATA_POSTGRES_DATA=$home/data
"$@"
