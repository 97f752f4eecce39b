# SPDX-License-Identifier: Apache-2.0
# cmake -Dprogram=... -Dexpected=... -P run_and_compare.cmake: runs the program in an empty folder
# and compares its standard output with the file.
string(RANDOM LENGTH 12 fresh)
set(folder "${CMAKE_CURRENT_BINARY_DIR}/run_${fresh}")
file(MAKE_DIRECTORY "${folder}")
execute_process(COMMAND "${program}" WORKING_DIRECTORY "${folder}"
  OUTPUT_VARIABLE printed RESULT_VARIABLE code)
file(REMOVE_RECURSE "${folder}")
file(READ "${expected}" wanted)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${program} ended with ${code}. It printed:\n${printed}")
endif()
if(NOT printed STREQUAL wanted)
  message(FATAL_ERROR "${program} printed:\n${printed}\n${expected} has:\n${wanted}")
endif()
