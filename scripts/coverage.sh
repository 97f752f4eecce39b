#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [--tests REGEX] [--jobs N]: which lines and branches of engine/ the fast tests reach. Builds the
# preset `coverage`, runs them, and fails below the goal: 90 % of lines, 80 % of branches. What no test
# reaches is in build/coverage/uncovered.txt, each file's share in build/coverage/summary.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

tests='^(unit_(store|operate|operate_sqlite|replay|dispatch|failpoint|event_.*|sqlite_.*|postgres_.*|sdk_.*_start)'
tests+='|golden|conformance_.*|fuzz_(address|compress|ids|record|replay)|attack_interleavings_.*|nth_error'
tests+='|semantics_(waits|saga|remote|client|retry)(_faulty)?|semantics_(remote|retry)_postgres)$'
jobs=$(nproc)
while (($# > 0)); do
  case $1 in
    --tests) tests=${2:?--tests needs a regular expression} ;;
    --jobs) jobs=${2:?--jobs needs a number} ;;
    *) sed -n '3,5s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift 2
done
llvm=/usr/lib/llvm-19/bin
[[ -x $llvm/llvm-cov ]] || { echo "coverage: scripts/setup.sh installs llvm-19" >&2 && exit 1; }

build=build/coverage
cmake --preset coverage >/dev/null
# One program may be several tests, on several stores.
mapfile -t names < <(ctest --test-dir $build -N -R "$tests" | sed -nE 's/^ *Test +#[0-9]+: (.*)$/\1/p')
mapfile -t known < <(ninja -C $build -t targets all | sed -nE 's/^([^:/]+): phony$/\1/p')
targets=()
for name in "${names[@]}"; do
  for target in "$name" "${name%_*}"; do
    if [[ " ${known[*]} " == *" $target "* ]]; then
      targets+=("$target")
      break
    fi
  done
done
mapfile -t targets < <(printf '%s\n' "${targets[@]}" | sort -u)
ninja -C $build "${targets[@]}"

rm -rf $build/profiles
mkdir -p $build/profiles
export LLVM_PROFILE_FILE=$PWD/$build/profiles/%p-%m.profraw
passed=yes
ctest --test-dir $build -R "$tests" --parallel "$jobs" --output-on-failure >$build/tests.log || passed=no
grep -E 'tests passed|\*\*\*|Failed' $build/tests.log
[[ $passed == yes ]] || { echo "coverage: see $build/tests.log" >&2 && exit 1; }

"$llvm/llvm-profdata" merge -sparse $build/profiles/*.profraw -o $build/all.profdata
objects=()
for target in "${targets[@]}"; do
  objects+=(-object "$build/bin/$target")
done
# It complains of copies of inline functions that a program has and doesn't use.
"$llvm/llvm-cov" export -format=lcov -instr-profile=$build/all.profdata "${objects[@]}" \
  >$build/engine.lcov 2>$build/llvm-cov.log || { cat $build/llvm-cov.log >&2 && exit 1; }
/usr/bin/python3 scripts/coverage_report.py $build/engine.lcov $build/uncovered.txt $build/summary.txt
