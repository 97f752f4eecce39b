# SPDX-License-Identifier: Apache-2.0
# Everything comes from the system; nothing is downloaded.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(SQLite3 3.35 REQUIRED)
find_package(Protobuf REQUIRED)
find_package(absl REQUIRED)
find_package(fmt REQUIRED)
find_package(zstd REQUIRED)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
# CMake's own FindPostgreSQL wants the server's headers, too.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET GLOBAL libpq)
