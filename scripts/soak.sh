#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh [--bin DIR] [--rounds N] [--programs N] [--seeds N] [--minutes N] [--seconds N] [--only WORD] [--list]
# The attacks in their long forms, some hours of them. --only: the one of that name, else those whose name or
# description has WORD; --list: names, descriptions and commands, and nothing is run. Without --bin the ci
# preset is built first. What each said is in build/soak/NAME.log, what it has shown in
# build/soak/evidence.jsonl; a run of all of them begins that anew, and writes docs/guarantees.md; after some,
# scripts/guarantees.py does. One that fails doesn't keep the others from running.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=
rounds=500
programs=5000
seeds=10000
minutes=3
seconds=300
only=
list=
while (($# > 0)); do
  case $1 in
    --bin) bin=${2:?--bin needs a folder} ;;
    --rounds) rounds=${2:?--rounds needs a number} ;;
    --programs) programs=${2:?--programs needs a number} ;;
    --seeds) seeds=${2:?--seeds needs a number} ;;
    --minutes) minutes=${2:?--minutes needs a number} ;;
    --seconds) seconds=${2:?--seconds needs a number} ;;
    --only) only=${2:?--only needs a word} ;;
    --list) list=yes && shift && continue ;;
    *) sed -n '3,8s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift 2
done
# share N: that part of the rounds, at least one.
share() { echo $((rounds / $1 > 0 ? rounds / $1 : 1)); }
runs=$((rounds > 150 ? 2 * rounds : 300))

kept=build/soak
exact=
number=0
all=0
summary=()
failed=()

# attack NAME DESCRIPTION COMMAND...: NAME is that in docs/guarantees.in.md.
attack() {
  local name=$1 description=$2 began=$SECONDS took status=0
  shift 2
  if [[ -n $exact ]]; then
    [[ $name == "$exact" ]] || return 0
  elif [[ $name != *"$only"* && $description != *"$only"* ]]; then
    return 0
  fi
  if [[ -n $list ]]; then
    printf '%s\t%s\t%s\n' "$name" "$description" "$*"
    return
  fi
  number=$((number + 1))
  printf '\n== %d of %d, after %d min: %s: %s\n' "$number" "$all" "$((SECONDS / 60))" "$name" "$description"
  rm -f "$kept/$name.counts"
  FERMATA_EVIDENCE=$PWD/$kept/$name.counts "$@" 2>&1 | tee "$kept/$name.log" || status=$?
  took=$((SECONDS - began))
  python3 tests/attack/evidence.py "$kept/evidence.jsonl" "$name" "$status" "$took" "$description" \
    "${*/#$bin/build/ci/bin}"
  if ((status != 0 && status != 77)); then
    failed+=("$name")
    printf '%s: FAILED after %d s: %s\n' "$name" "$took" "$kept/$name.log"
  fi
  summary+=("$(printf '%6d s  %s: %s' "$took" "$name" "$(tail -n 1 "$kept/$name.log")")")
}

# The quick ones first, and one on each promise early.
attacks() {
  local where store e2e=tests/e2e fleet=tests/e2e/postgres
  for where in outside inside "inside death"; do
    # shellcheck disable=SC2086  # two words
    attack "freeze_${where/inside /}" "a worker frozen: $where" python3 $e2e/attack/freeze.py "$bin" $where
  done
  attack full_disk "a full disk" python3 $e2e/bad_input/full_disk.py "$bin" --seconds 60
  attack fleet_keys "one key, many clients at once" python3 $fleet/keys.py "$bin" --rounds "$(share 50)"
  attack fleet_idle "a fleet that has nothing to do" python3 $fleet/idle.py "$bin" --seconds 90
  attack fleet_role "roles and schemas" python3 $fleet/role.py "$bin" --rounds "$(share 20)"
  attack fleet_pool "a fleet behind a pool" python3 $fleet/pooled.py "$bin" --runs "$runs" --wakes "$(share 5)"
  attack fleet_away "a database away, read-only, full" python3 $fleet/away.py "$bin" --runs "$runs"
  attack fleet_promotion "promotions of a replica" \
    python3 $fleet/promotion.py "$bin" --rounds "$(share 100)" --runs "$((runs / 2))"
  attack fleet_chaos "$minutes minutes of kills on Postgres" \
    python3 $fleet/chaos.py "$bin" --minutes "$minutes" --runs "$((runs * 5))" --workers 4
  attack network "a bad network" python3 $e2e/attack/network.py "$bin" --runs "$runs" --rounds "$(share 20)" --hold 20
  attack clocks "workers' clocks jump" python3 $e2e/attack/clocks.py "$bin" --runs "$runs" --jumps "$(share 10)"
  attack demo "files indexed under kills" scripts/demo.sh --bin "$bin" --kills "$(share 12)"
  attack model "the protocol, formally" python3 tests/attack/model/run.py --long
  attack interleavings_sqlite "two calls at once on SQLite, for $seconds s" \
    env FERMATA_SECONDS="$seconds" "$bin/attack_interleavings_sqlite"
  attack interleavings_postgres "two calls at once on Postgres, for $seconds s" \
    env FERMATA_SECONDS="$seconds" FERMATA_POSTGRES_FOLDER=memory \
    scripts/with_postgres.sh "$bin/attack_interleavings_postgres"
  attack busy "workers and commands for $seconds s" python3 $e2e/load/busy.py "$bin" --seconds "$seconds"
  attack flip "$((rounds * 8)) flipped bytes" python3 $e2e/damage/flip.py "$bin" --rounds "$((rounds * 8))"
  attack kill "$rounds kills at random times" \
    python3 $e2e/attack/kill.py "$bin" --rounds "$rounds" --per-round 6
  attack many "deaths of a worker with 20,000 runs" \
    python3 $e2e/attack/many.py "$bin" --rounds "$(share 250)"
  attack recovery "deaths of workers on hosts of their own" \
    python3 $e2e/attack/recovery.py "$bin" --kills "$(share 5)"
  for store in sqlite postgres; do
    attack "image_$store" "power cuts of the stack on $store" \
      python3 $e2e/attack/image.py "$bin" --store $store --rounds "$(share 25)"
    attack "failpoints_$store" "every failpoint on $store" \
      python3 $e2e/attack/failpoints.py "$bin" --store $store --all
    attack "programs_$store" "$programs programs, predicted, on $store" \
      python3 tests/attack/programs/programs.py "$bin" --store $store --programs "$programs"
  done
  attack scenarios "every scenario on Postgres, crashed everywhere" \
    env FERMATA_POSTGRES_FOLDER=memory scripts/with_postgres.sh python3 tests/attack/scenarios.py "$bin"
  attack faulty "a store whose commits fail" python3 tests/attack/faulty.py "$bin" --rounds "$(share 10)"
  attack semantics_fuzz "$seeds programs evicted, crashed, replayed" \
    env FERMATA_SEEDS="$seeds" "$bin/semantics_fuzz"
  attack simulation "$seeds seeds of virtual fleets" "$bin/simulate" --seeds "$seeds"
  attack power_cut_lying "$((rounds * 4)) power cuts of a disk that lies" \
    "$bin/power_cut" --rounds "$((rounds * 4))" --lies 1
  attack nth_error "$((rounds * 40)) n-th errors" "$bin/nth_error" --rounds "$((rounds * 40))"
  attack power_cut "$((rounds * 200)) power cuts" "$bin/power_cut" --rounds "$((rounds * 200))"
  attack planted "planted bugs" python3 tests/attack/planted/run.py "$bin" --all --parallel 1
  attack coverage "what fast tests reach of engine/" scripts/coverage.sh
  attack fuzz "fuzzers, $seconds s each" scripts/fuzz.sh --seconds "$seconds"
}

exact=$(only='' list=yes attacks | cut -f 1 | grep -Fx -- "$only" || true)
if [[ -n $list ]]; then
  bin=${bin:-build/ci/bin}
  attacks
  exit
fi
if [[ -z $bin ]]; then
  scripts/setup.sh
  cmake --preset ci
  cmake --build --preset ci
  bin=build/ci/bin
fi
bin=$(realpath "$bin")
mkdir -p "$kept"
all=$(list=yes attacks | wc -l)
if [[ -z $only ]]; then : >"$kept/evidence.jsonl"; fi
attacks
printf '\n'
printf '%s\n' "${summary[@]}"
if [[ -z $only ]]; then scripts/guarantees.py; fi
scripts/guarantees.py --totals
if ((${#failed[@]} > 0)); then
  echo "soak: FAILED: ${failed[*]}"
  exit 1
fi
echo "all attacks passed"
