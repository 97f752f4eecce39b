#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test.sh [--fast] [--jobs N] [--preset P]: sets up, builds and tests. One line a stage; what a
# failing stage printed follows it in full. Without options: the ci build, then asan and tsan;
# --fast: the ci build alone; --preset: that build alone.
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
first=ci
presets=(asan tsan)
while (($# > 0)); do
  case $1 in
    --fast) presets=() ;;
    --jobs) jobs=${2:?--jobs needs a number} && shift ;;
    --preset) first=${2:?--preset needs a name} && presets=() && shift ;;
    *) echo "usage: scripts/test.sh [--fast] [--jobs N] [--preset P]" >&2 && exit 2 ;;
  esac
  shift
done
presets=("$first" "${presets[@]}")

logs=build/logs
mkdir -p "$logs"
passed=0
failed=0

# stage NAME COMMAND...: runs the command with its output in the stage's log.
stage() {
  local name=$1 log started status verdict note
  shift
  log=$logs/${name// /-}.log
  started=$SECONDS
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  verdict=ok
  ((status == 0)) || verdict=FAILED
  note=$(grep -E '^[0-9]+% tests passed' "$log" || true)
  printf '%-16s %-7s %4ds  %s\n' "$name" "$verdict" "$((SECONDS - started))" "$note"
  grep -E '\*\*\*(Skipped|Not Run)' "$log" || true
  ((status == 0)) || cat "$log"
  return "$status"
}

# Adds up what ctest said in the log of a stage; a ctest that couldn't run is a failure.
count() {
  local summary failures total
  summary=$(grep -E '^[0-9]+% tests passed' "$1" | tail -n 1)
  failures=$(sed -nE 's/.* ([0-9]+) tests? failed out of .*/\1/p' <<<"$summary")
  total=$(sed -nE 's/.* failed out of ([0-9]+).*/\1/p' <<<"$summary")
  if [[ -z $total ]]; then
    failed=$((failed + 1))
  else
    failed=$((failed + failures))
    passed=$((passed + total - failures))
  fi
}

run_preset() {
  local preset=$1
  stage "$preset configure" cmake --preset "$preset" &&
    stage "$preset build" cmake --build --preset "$preset" --parallel "$jobs" || {
    failed=$((failed + 1))
    return
  }
  stage "$preset test" ctest --preset "$preset" --parallel "$jobs" --no-tests=error
  count "$logs/$preset-test.log"
}

if stage setup scripts/setup.sh; then
  for preset in "${presets[@]}"; do
    run_preset "$preset"
  done
else
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
((failed == 0))
