#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh [--bin DIR] [--rounds N] [--seeds N] [--seconds N] [--minutes N] [--programs N] [--only WORD]: the attacks
# in their long forms, which take some hours; those whose name has WORD. Without --bin the ci preset is
# built first. The first failure ends it; its seed is in its output. At the end, a line each.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=
rounds=200
seeds=20000
seconds=300
minutes=3
programs=5000
only=
while (($# > 0)); do
  case $1 in
    --bin) bin=${2:?--bin needs a folder} ;;
    --rounds) rounds=${2:?--rounds needs a number} ;;
    --seeds) seeds=${2:?--seeds needs a number} ;;
    --minutes) minutes=${2:?--minutes needs a number} ;;
    --programs) programs=${2:?--programs needs a number} ;;
    --only) only=${2:?--only needs a word} ;;
    --seconds) seconds=${2:?--seconds needs a number} ;;
    *) sed -n '3,5s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift 2
done
if [[ -z $bin ]]; then
  scripts/setup.sh
  cmake --preset ci
  cmake --build --preset ci
  bin=build/ci/bin
fi
bin=$(realpath "$bin")

# attack NAME COMMAND...: keeps how long it took, and the last line that it said.
summary=()
attack() {
  local name=$1 began=$SECONDS output
  shift
  if [[ $name != *"$only"* ]]; then return; fi
  printf '\n== %s\n' "$name"
  output=$(mktemp)
  "$@" 2>&1 | tee "$output" || {
    rm -f "$output"
    printf '%s: FAILED after %d s\n' "$name" "$((SECONDS - began))"
    return 1
  }
  summary+=("$(printf '%5d s  %s: %s' "$((SECONDS - began))" "$name" "$(tail -n 1 "$output")")")
  rm -f "$output"
}

attack "$rounds kills at random times" \
  python3 tests/e2e/attack/kill.py "$bin" --rounds "$rounds" --per-round 6
for where in outside inside "inside death"; do
  # shellcheck disable=SC2086  # two words
  attack "a worker frozen: $where" python3 tests/e2e/attack/freeze.py "$bin" $where
done
attack "workers and commands under load" \
  python3 tests/e2e/load/busy.py "$bin" --seconds "$seconds"
attack "$((rounds * 20)) flipped bytes" python3 tests/e2e/damage/flip.py "$bin" --rounds "$((rounds * 20))"
fleet=tests/e2e/postgres
attack "a fleet on Postgres: $minutes minutes of kills" \
  python3 $fleet/chaos.py "$bin" --minutes "$minutes" --runs 5000 --workers 4
attack "a fleet on Postgres: promotions" python3 $fleet/promotion.py "$bin" --rounds 5 --runs 500
attack "a fleet on Postgres: one key" python3 $fleet/keys.py "$bin" --rounds 10
attack "a fleet on Postgres: roles, schemas" python3 $fleet/role.py "$bin" --rounds 30
attack "a fleet on Postgres: away, read-only, full" python3 $fleet/away.py "$bin" --runs 1000
attack "a fleet on Postgres: behind a pool" python3 $fleet/pooled.py "$bin" --runs 1000 --wakes 100
attack "a fleet on Postgres: idle" python3 $fleet/idle.py "$bin" --seconds 90
attack "a full disk" python3 tests/e2e/bad_input/full_disk.py "$bin" --seconds 60
attack "$seeds programs made by chance" env FERMATA_SEEDS="$seeds" "$bin/semantics_fuzz"
faulty() {
  local seed
  for ((seed = 1; seed <= rounds / 4; ++seed)); do
    for suite in waits saga steps remote client samples retry; do
      FERMATA_KIT_FAULTS=10:$seed "$bin/semantics_$suite" >/dev/null || {
        echo "FERMATA_KIT_FAULTS=10:$seed semantics_$suite fails"
        return 1
      }
    done
  done
  echo "$((rounds / 4)) seeds: every scenario ends as it should"
}
attack "a store whose commits fail" faulty
attack "$((rounds * 500)) power cuts" "$bin/power_cut" --rounds "$((rounds * 500))"
attack "$((rounds * 50)) power cuts of a disk that lies" "$bin/power_cut" --rounds "$((rounds * 50))" --lies 1
attack "$((rounds * 100)) n-th errors" "$bin/nth_error" --rounds "$((rounds * 100))"
attack "planted bugs" python3 tests/attack/planted/run.py "$bin" --all --parallel 1
for store in sqlite postgres; do
  attack "power cuts of the stack: $store" \
    python3 tests/e2e/attack/image.py "$bin" --store $store --rounds "$((rounds / 10))"
done
attack "workers' clocks" python3 tests/e2e/attack/clocks.py "$bin" --runs 1000 --jumps 50
attack "a bad network" python3 tests/e2e/attack/network.py "$bin" --runs 1000 --rounds 24 --hold 20
attack "all interleavings on SQLite" env FERMATA_SECONDS=0 "$bin/attack_interleavings_sqlite"
attack "all interleavings on Postgres" env FERMATA_SECONDS=0 FERMATA_POSTGRES_FOLDER=memory \
  scripts/with_postgres.sh "$bin/attack_interleavings_postgres"
attack "the protocol, formally" python3 tests/attack/model/run.py --long
attack "fuzzers" scripts/fuzz.sh --seconds "$seconds"
for store in sqlite postgres; do
  attack "$programs programs, predicted, on $store" \
    python3 tests/attack/programs/programs.py "$bin" --store "$store" --programs "$programs"
  attack "every failpoint on $store" \
    python3 tests/e2e/attack/failpoints.py "$bin" --store "$store" --all
done
attack "the main job" scripts/demo.sh --bin "$bin" --kills 40
printf '\n'
printf '%s\n' "${summary[@]}"
echo "all attacks passed"
