// SPDX-License-Identifier: Apache-2.0
#pragma once

struct sqlite3_vfs;

namespace fermata::attack::power {

/// SQLite's door to the machine that there is: `this_machine()`. As os_unix.c, it syncs the folder
/// with the first sync of a new journal or log.
sqlite3_vfs* file_system();

}  // namespace fermata::attack::power
