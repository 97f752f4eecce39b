#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the build and the tests need and the machine doesn't have (Debian 12).
set -euo pipefail

packages=(
  clang-19 libclang-rt-19-dev lld-19 llvm-19 clang-format-19
  cmake ninja-build ccache pkg-config git
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libsqlite3-dev sqlite3 libpq-dev postgresql-15 pgbouncer libprotobuf-dev protobuf-compiler
  libabsl-dev libfmt-dev doctest-dev libcli11-dev libvalijson-dev libzstd-dev libssl-dev
  python3 python3-protobuf python3-zstandard
  faketime nftables iproute2
  spin valgrind binutils libtcmalloc-minimal4
)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [[ $status == installed ]] || missing+=("$package")
done

if ((${#missing[@]} == 0)); then
  echo "setup: nothing to do, all ${#packages[@]} packages are installed"
  exit 0
fi

root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || {
    echo "setup: run me as root, or install: ${missing[*]}" >&2
    exit 1
  }
  root=(sudo)
fi

echo "setup: installing ${missing[*]}"
"${root[@]}" apt-get update -q
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends "${missing[@]}"
