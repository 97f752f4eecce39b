#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# demo.sh [--files N] [--folder DIR] [--kills N] [--seed N] [--work DIR] [--bin DIR]
# Indexes a real folder tree while its worker is killed again and again with `kill -9`, then proves
# that every file is in the index exactly once. --files 0 takes all; with --bin nothing is built.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

files=3000
folder=/usr/include
kills=12
seed=$((RANDOM * 32768 + RANDOM))
work=build/demo
bin=
while (($# > 0)); do
  case $1 in
    --files) files=${2:?--files needs a number} ;;
    --folder) folder=${2:?--folder needs a folder} ;;
    --kills) kills=${2:?--kills needs a number} ;;
    --seed) seed=${2:?--seed needs a number} ;;
    --work) work=${2:?--work needs a folder} ;;
    --bin) bin=${2:?--bin needs a folder} ;;
    *) sed -n '3,5s/^# //p' "$0" >&2 && exit 2 ;;
  esac
  shift 2
done

say() { printf '\n== %s\n' "$*"; }

if [[ -z $bin ]]; then
  say "set up and build (release; the first time takes some minutes)"
  scripts/setup.sh
  mkdir -p build
  for command in "cmake --preset release" \
    "cmake --build --preset release --target document_index document_index_worker fermata_cli"; do
    $command >build/demo.log 2>&1 || {
      cat build/demo.log
      echo "demo: '$command' failed" >&2
      exit 1
    }
  done
  tail -n 1 build/demo.log
  bin=build/release/bin
fi
bin=$(realpath "$bin")
folder=$(realpath "$folder")
rm -rf "$work"
mkdir -p "$work"
cd "$work"
export FERMATA_JOURNAL=sqlite:journal.db PATH="$bin:$PATH" LC_ALL=C

width=120
if [[ -t 1 ]]; then width=$(($(tput cols 2>/dev/null || echo 120) - 1)); fi
worker=
killed=0
trap '[[ -z $worker ]] || kill -9 "$worker" 2>/dev/null' EXIT

start_worker() {
  document_index_worker --log-level warning 2>>worker.log &
  worker=$!
}

# No drain, no good-bye, nothing flushed.
kill_worker() {
  kill -9 "$worker" 2>/dev/null || true
  wait "$worker" 2>/dev/null || true
  killed=$((killed + 1))
}

indexed() { sqlite3 -cmd '.timeout 5000' index.db 'SELECT count(*) FROM indexed' 2>/dev/null || echo 0; }
now_ms() { echo "${EPOCHREALTIME/./}" | cut -c1-13; }
# shorten FIRST LAST: that many lines of a long text from its beginning and from its end, each no
# wider than the terminal.
shorten() {
  LC_ALL=C.UTF-8 sed -E "s/ +$//; s/^(.{$width}).+/\1…/" |
    awk -v first="$1" -v last="$2" '{ line[NR] = $0 } END {
      for (i = 1; i <= NR; ++i)
        if (i <= first || i > NR - last) print line[i]
        else if (i == first + 1) print "    … " NR - first - last " more lines …" }'
}

find "$folder" -type f | sort | if ((files > 0)); then sed -n "1,${files}p"; else cat; fi >wanted
total=$(wc -l <wanted)

say "index $total files of $folder; its worker is killed at most $kills times (seed $seed)"
RANDOM=$seed
began=$(now_ms)
run=$(document_index start "$folder" "$files")
start_worker
document_index wait "$folder" >totals 2>/dev/null &
waiter=$!

next_kill=$(($(now_ms) + 100 + RANDOM % 1500))
next_line=0
while kill -0 "$waiter" 2>/dev/null; do
  now=$(now_ms)
  if ((killed < kills && now >= next_kill)); then
    kill_worker
    start_worker
    next_kill=$((now + 100 + RANDOM % 1500))
  fi
  if ((now >= next_line)); then
    line=$(printf '%5d of %d files, %2d kills, %3d s' \
      "$(indexed)" "$total" "$killed" "$(((now - began) / 1000))")
    if [[ -t 1 ]]; then printf '\r%s ' "$line"; else echo "$line"; fi
    next_line=$((now + 1000))
  fi
  sleep 0.05
done
wait "$waiter"
took=$(($(now_ms) - began))
[[ ! -t 1 ]] || echo
printf 'done after %d.%d s and %d kills: %s\n' $((took / 1000)) $((took % 1000 / 100)) "$killed" \
  "$(cat totals)"

say "a report by the same worker"
document_index search 'mutex AND condition AND wait'
kill "$worker"
wait "$worker" || true
worker=

say "fermata trace $run"
fermata trace "$run" | shorten 14 6

say "fermata show $run"
fermata show "$run" | shorten 12 14

one=$(fermata list --workflow index_file --limit 1 -o ids)
say "fermata show $one (one of the files)"
fermata show "$one" | shorten 30 5

say "proof, by find, sqlite3 and sha256sum"
rows() { sqlite3 index.db "$1" | sort; }
count() { wc -l | tr -d ' '; }
rows 'SELECT path FROM indexed' >indexed
rows 'SELECT path FROM texts' >texts
rows "SELECT sha256 || '  ' || path FROM indexed" >digests
tr '\n' '\0' <wanted | xargs -0 sha256sum | sort >right_digests

missing=$(comm -23 wanted <(uniq indexed) | count)
double=$(uniq -d indexed | count)
strange=$(comm -13 wanted <(uniq indexed) | count)
wrong=$(comm -23 right_digests digests | count)
unsearchable=$(comm -3 wanted texts | count)
sound=yes
fermata verify || sound=no

echo "$total files, $killed kills: $missing missing, $double double, $strange that don't belong," \
  "$wrong with a wrong hash, $unsearchable not in the full text exactly once"
[[ $missing$double$strange$wrong$unsearchable$sound == 00000yes ]] || {
  echo "demo: the proof failed; everything is in $work (seed $seed)" >&2
  exit 1
}
if [[ -n ${FERMATA_EVIDENCE:-} ]]; then
  python3 - "$root" "$seed" "$killed" "$total" "$missing" "$double" <<'END'
import sys
sys.path.insert(0, sys.argv[1] + "/tests/attack")
from evidence import keep
faults, acked, lost, repeated = map(int, sys.argv[3:])
keep("demo", sys.argv[2], faults=faults, kills=faults, acked=acked, lost=lost, repeated_effects=repeated)
END
fi
echo "every file is indexed exactly once"
