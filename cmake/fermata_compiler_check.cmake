# SPDX-License-Identifier: Apache-2.0
# Refuses the compilers on which a correct workflow would be compiled wrongly.
option(FERMATA_ALLOW_GCC12 "Build with a GCC older than 13, which miscompiles coroutines" OFF)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13
    AND NOT FERMATA_ALLOW_GCC12)
  message(FATAL_ERROR
    "GCC 12 miscompiles coroutines. Fermata needs Clang 16 or GCC 13 at least, this is GCC "
    "${CMAKE_CXX_COMPILER_VERSION}. Inside a co_await full expression it destroys twice any "
    "temporary that is a brace-initialised aggregate or a lambda with by-value captures and has a "
    "non-trivial destructor. Use clang++-19 (scripts/setup.sh installs it; every preset takes it), "
    "or set FERMATA_ALLOW_GCC12=ON if you know what you do.")
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  message(FATAL_ERROR
    "Fermata needs Clang 16 or GCC 13 at least, this is Clang ${CMAKE_CXX_COMPILER_VERSION}.")
endif()
