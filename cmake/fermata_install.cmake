# SPDX-License-Identifier: Apache-2.0
# Install rules: the libraries, the public headers and the package that find_package(fermata) reads.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(fermata_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fermata")

install(
  TARGETS fermata_headers fermata_engine fermata_postgres fermata_sdk fermata_worker fermata_embedded fermata_all
    fermata_module
  EXPORT fermata_targets
  FILE_SET HEADERS)
install(EXPORT fermata_targets
  NAMESPACE fermata::
  FILE fermataTargets.cmake
  DESTINATION "${fermata_package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/fermataConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/cmake/fermataConfig.cmake"
  INSTALL_DESTINATION "${fermata_package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/cmake/fermataConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(
  FILES
    "${PROJECT_SOURCE_DIR}/cmake/fermata_archives.cmake"
    "${PROJECT_BINARY_DIR}/cmake/fermataConfig.cmake"
    "${PROJECT_BINARY_DIR}/cmake/fermataConfigVersion.cmake"
  DESTINATION "${fermata_package_dir}")
