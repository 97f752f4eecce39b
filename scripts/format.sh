#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# format.sh [--check]: formats every C++ file of the tree, or only says which it would change.
set -euo pipefail
cd "$(dirname "$0")/.."

action=(-i)
if [[ ${1:-} == --check ]]; then
  action=(--dry-run --Werror)
elif (($# > 0)); then
  echo "usage: scripts/format.sh [--check]" >&2
  exit 2
fi

git ls-files -z --cached --others --exclude-standard -- '*.hpp' '*.cpp' |
  while IFS= read -r -d '' file; do
    if [[ -e $file ]]; then printf '%s\0' "$file"; fi
  done |
  xargs -0 --no-run-if-empty clang-format-19 "${action[@]}"
