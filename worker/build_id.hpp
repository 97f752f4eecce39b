// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

struct dl_phdr_info;

/// What a run is stamped with: the build of the code that began it. $FERMATA_BUILD wins over
/// everything; else it is the GNU build id (hexadecimal) of the file that holds the code.
namespace fermata::detail {

/// Of the program or library that has `address` in it: that of a function of the workflow's module.
/// Empty when it was linked without a build id, or the address belongs to none.
std::string build_id_of(const void* address_in_object);

/// Of a loaded object, whatever $FERMATA_BUILD says.
std::string build_id_of(const dl_phdr_info& object);

/// Of the program itself.
std::string own_build_id();

}  // namespace fermata::detail
