# SPDX-License-Identifier: Apache-2.0
# The warnings of our own code. Link it as $<BUILD_INTERFACE:fermata_warnings>, so that an installed
# Fermata asks nothing of its users. Errors by preset (CMAKE_COMPILE_WARNING_AS_ERROR).
add_library(fermata_warnings INTERFACE)
target_compile_options(fermata_warnings INTERFACE
  -Wall
  -Wextra
  -Wpedantic
  -Wshadow
  -Wconversion
  -Wcast-qual
  -Wold-style-cast
  -Wnon-virtual-dtor
  -Woverloaded-virtual
  -Wextra-semi
  -Wnull-dereference
  -Wformat=2
  -Wunused
  # Options are aggregates for designated initialisers: leaving fields out is the point.
  -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<CXX_COMPILER_ID:Clang>:-Wimplicit-fallthrough>
  $<$<CXX_COMPILER_ID:Clang>:-Wrange-loop-analysis>)
