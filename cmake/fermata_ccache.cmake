# SPDX-License-Identifier: Apache-2.0
# Compiles through ccache when it is there. The sloppiness is what ccache asks for to cache
# sources that use a precompiled header; it is safe because of -fno-pch-timestamp
# (fermata_library.cmake). No CCACHE_BASEDIR: it would make the paths in source locations relative to
# the build folder. Include before project().
find_program(FERMATA_CCACHE ccache)
mark_as_advanced(FERMATA_CCACHE)
if(FERMATA_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND};-E;env"
    "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime"
    "${FERMATA_CCACHE}")
endif()
