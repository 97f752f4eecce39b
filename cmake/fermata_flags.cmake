# SPDX-License-Identifier: Apache-2.0
# How everything in this tree is compiled, whatever its target.
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_EXTENSIONS OFF)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endif()

set(FERMATA_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined or thread")
if(FERMATA_SANITIZE)
  add_compile_options(-fsanitize=${FERMATA_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FERMATA_SANITIZE})
endif()

option(FERMATA_COVERAGE "Count what tests reach of engine/, for scripts/coverage.sh" OFF)
if(FERMATA_COVERAGE)
  # The rest of the tree isn't counted: that would only make it large and slow.
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/counted.list"
    CONTENT "default:skip\nsource:${PROJECT_SOURCE_DIR}/engine/*=allow\n")
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping
    "-fprofile-list=${PROJECT_BINARY_DIR}/counted.list")
  add_compile_definitions(FERMATA_COVERAGE)
  add_link_options(-fprofile-instr-generate)
endif()

# No path of the machine that built it gets into a binary: source locations are stored in journals
# and read on other machines.
cmake_path(IS_PREFIX PROJECT_SOURCE_DIR "${PROJECT_BINARY_DIR}" NORMALIZE fermata_build_is_inside)
if(NOT fermata_build_is_inside)
  add_compile_options("-ffile-prefix-map=${PROJECT_BINARY_DIR}/=build/")
endif()
add_compile_options("-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")

# A run is stamped with the build id of the binary that started it.
add_link_options(LINKER:--build-id)
