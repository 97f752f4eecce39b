#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD_DIR COMPILER: installs the build to a fresh prefix and builds a stranger's project
# against it, with nothing of this tree in reach.
set -euo pipefail
build=$1
compiler=$2
here=$(cd "$(dirname "$0")" && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT

cmake --install "$build" --prefix "$fresh/prefix" >"$fresh/install.log"
cp -r "$here/stranger" "$fresh/stranger"
cmake -S "$fresh/stranger" -B "$fresh/build" -G Ninja \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$fresh/prefix"
cmake --build "$fresh/build"

said=$("$fresh/build/stranger")
echo "$said"
[[ $said =~ ^fermata\ [0-9]+\.[0-9]+\.[0-9]+$ ]]

if grep -rE '^ *# *include.*(google/protobuf|absl/|sqlite3\.h|libpq-fe\.h)' "$fresh/prefix/include"; then
  echo "the public headers above include what a user must never see" >&2
  exit 1
fi
