#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [--seconds N] [--only WORD] [--merge]: builds the preset `fuzz`, and fuzzes each target of
# tests/fuzz for N seconds (60), beginning with its corpus. What crashes one is kept in build/fuzz/found
# and named. --merge: what reaches most new code is added to the corpus, up to a hundred files.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
only=
merge=
while (($# > 0)); do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number} && shift ;;
    --only) only=${2:?--only needs a word} && shift ;;
    --merge) merge=yes ;;
    *) sed -n '3,5s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift
done

cmake --preset fuzz >build/fuzz-configure.log || { cat build/fuzz-configure.log && exit 1; }
cmake --build --preset fuzz
found=build/fuzz/found
mkdir -p "$found"
export UBSAN_OPTIONS=print_stacktrace=1
inputs=0
crashes=0
for corpus in tests/fuzz/corpus/*/; do
  name=$(basename "$corpus")
  if [[ $name != *"$only"* ]]; then continue; fi
  work=build/fuzz/corpus/$name
  mkdir -p "$work"
  log=build/fuzz/$name.log
  seed=$RANDOM
  printf '%s: seed %s\n' "$name" "$seed"
  if ! "build/fuzz/bin/fuzz_$name" -seed="$seed" -max_total_time="$seconds" -max_len=1024 -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$found/$name-" "$work" "$corpus" >"$log" 2>&1; then
    crashes=$((crashes + 1))
    tail -n 40 "$log"
  fi
  executed=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p' "$log")
  inputs=$((inputs + ${executed:-0}))
  reached=$(sed -nE 's/^#.* cov: ([0-9]+) ft: ([0-9]+) .*/\1 edges, \2 features/p' "$log" | tail -n 1)
  printf '%s: %s inputs, %s\n' "$name" "${executed:-0}" "${reached:-nothing reached}"
  if [[ -n $merge ]]; then
    tests/fuzz/choose.py "build/fuzz/bin/fuzz_$name" "$corpus" "$work"
  fi
done
if [[ -n ${FERMATA_EVIDENCE:-} ]]; then
  python3 -c 'import sys
sys.path.insert(0, "tests/attack")
from evidence import keep
keep("fuzz", "none", rounds=int(sys.argv[1]), crashes=int(sys.argv[2]))' "$inputs" "$crashes"
fi
echo "fuzz: $inputs inputs, $crashes targets crashed"
((crashes == 0))
