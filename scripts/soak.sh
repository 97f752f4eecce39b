#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh [--bin DIR] [--rounds N] [--seeds N] [--seconds N]: the attacks in their long forms, which
# take about half an hour. Without --bin the ci preset is built first. The first failure ends it; its
# seed is in its output.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=
rounds=200
seeds=20000
seconds=300
while (($# > 0)); do
  case $1 in
    --bin) bin=${2:?--bin needs a folder} ;;
    --rounds) rounds=${2:?--rounds needs a number} ;;
    --seeds) seeds=${2:?--seeds needs a number} ;;
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

# attack NAME COMMAND...: says how long it took.
attack() {
  local name=$1 began=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  "$@"
  printf '%s: %d s\n' "$name" "$((SECONDS - began))"
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
attack "a full disk" python3 tests/e2e/bad_input/full_disk.py "$bin" --seconds 60
attack "$seeds programs made by chance" env FERMATA_SEEDS="$seeds" "$bin/semantics_fuzz"
attack "the main job" scripts/demo.sh --bin "$bin" --kills 40
echo "all attacks passed"
