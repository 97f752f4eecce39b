#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD_DIR COMPILER: installs the build to a fresh prefix, builds a stranger's project against
# it, with nothing of this tree in reach, and lets the installed worker work with its module.
set -euo pipefail
build=$1
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
fresh=$(mktemp -d)
worker=
end() {
  if [[ -n $worker ]]; then kill -KILL "$worker" 2>/dev/null || true; fi
  rm -rf "$fresh"
}
trap end EXIT

fail() {
  echo "$1" >&2
  if [[ -f $fresh/worker.log ]]; then cat "$fresh/worker.log" >&2; fi
  exit 1
}

cmake --install "$build" --prefix "$fresh/prefix" >"$fresh/install.log"
cp -r "$here/stranger" "$fresh/stranger"
cmake -S "$fresh/stranger" -B "$fresh/build" -G Ninja \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$fresh/prefix"
cmake --build "$fresh/build"

# Without Postgres, and with what else there is linked into it.
cmake -S "$fresh/stranger" -B "$fresh/archives" -G Ninja -DFERMATA_STATIC_LIBRARIES=ON \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$fresh/prefix"
cmake --build "$fresh/archives" --target embedded stranger
for built in build archives; do
  said=$("$fresh/$built/embedded" "$fresh/$built/journal.db")
  [[ $said == *"linked without Postgres"*$'\n42' ]] || fail "embedded said: $said"
done
if readelf -d "$fresh/build/embedded" | grep -E 'NEEDED.*libpq'; then
  fail "a program without Postgres needs the library above"
fi
if readelf -d "$fresh/archives/embedded" | grep -E 'NEEDED.*(libpq|sqlite|protobuf|absl|boost|crypto|zstd)'; then
  fail "a program that has its libraries in itself needs those above"
fi
[[ $("$fresh/archives/stranger") =~ ^fermata ]] || fail "with Postgres and archives: it doesn't run"

said=$("$fresh/build/stranger")
echo "$said"
[[ $said =~ ^fermata\ [0-9]+\.[0-9]+\.[0-9]+$ ]]

if grep -rE '^ *# *include.*(google/protobuf|absl/|sqlite3\.h|libpq-)' "$fresh/prefix/include"; then
  fail "the public headers above include what a user must never see"
fi

# The module has no library of ours in it: what it needs of one is undefined, and its host has it.
module=$fresh/build/libstranger_module.so
nm -C "$module" >"$fresh/symbols"
grep -q ' U fermata::worker::port() const' "$fresh/symbols" ||
  fail "the module doesn't ask its host for the worker"
if grep -E ' [TtBbDd] fermata::(engine|runtime)::' "$fresh/symbols"; then
  fail "the module has the parts above of the library in itself"
fi
if readelf -d "$module" | grep -E 'NEEDED.*(sqlite|libpq|protobuf|absl|fmt|crypto|zstd)'; then
  fail "the module needs the libraries above, which are its host's business"
fi

export FERMATA_JOURNAL=sqlite:$fresh/journal.db
fermata=$fresh/prefix/bin/fermata
"$fresh/prefix/bin/fermata-worker" --module "$module" 2>"$fresh/worker.log" &
worker=$!
for _ in $(seq 200); do
  grep -q 'works on' "$fresh/worker.log" && break
  sleep 0.05
done
run=$("$fermata" start send_parcel '{"to": "Ulm", "grams": 0}' -o ids)
result=$("$fermata" result "$run" --timeout 30s) || fail "run '$run' has no result"
echo "$result"
[[ $result == '"300 g to Ulm"' ]] || fail "another result was expected"
lost=$("$fermata" start send_parcel '{"to": "nowhere"}' -o ids)
result=$("$fermata" result "$lost" --timeout 30s) || fail "run '$lost' has no result"
[[ $result == '"kept here: no such town"' ]] || fail "'$result': the failure was lost between them"
kill -TERM "$worker"
wait "$worker" || fail "the worker didn't end in peace"
worker=
"$fermata" verify || fail "the journal has damage"
