# SPDX-License-Identifier: Apache-2.0
# fermata_set_up(target): what each of our libraries and programs has in common.
# fermata_precompile(target headers...): a precompiled header, which FERMATA_PCH=OFF takes away.
# fermata_proto(target file.proto): C++ (lite) from a .proto, included by its path from the root.
option(FERMATA_PCH "Use precompiled headers" ON)

function(fermata_set_up target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:fermata_warnings>)
  get_target_property(kind ${target} TYPE)
  if(kind MATCHES "STATIC_LIBRARY|OBJECT_LIBRARY")
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
endfunction()

function(fermata_precompile target)
  if(NOT FERMATA_PCH)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Without it ccache sees a new precompiled header at every build.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

function(fermata_proto target proto)
  cmake_path(ABSOLUTE_PATH proto NORMALIZE)
  cmake_path(RELATIVE_PATH proto BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE relative)
  cmake_path(REPLACE_EXTENSION relative LAST_ONLY OUTPUT_VARIABLE stem "pb")
  set(generated "${PROJECT_BINARY_DIR}/${stem}.cc" "${PROJECT_BINARY_DIR}/${stem}.h")
  add_custom_command(
    OUTPUT ${generated}
    COMMAND protobuf::protoc "--proto_path=${PROJECT_SOURCE_DIR}"
            "--cpp_out=lite:${PROJECT_BINARY_DIR}" "${relative}"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    DEPENDS "${proto}"
    COMMENT "protoc ${relative}"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
  # Generated code isn't ours to warn about.
  set_source_files_properties(${generated} PROPERTIES
    COMPILE_OPTIONS -w SKIP_PRECOMPILE_HEADERS ON)
  target_include_directories(${target} SYSTEM PUBLIC $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>)
endfunction()
