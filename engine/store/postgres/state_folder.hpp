// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/connection.hpp"

#include <string>
#include <string_view>

namespace fermata::engine::postgres {

/// What workers of one host keep beside a journal that lies elsewhere: the locks that tell that one has
/// died (`workers`), and their black boxes. $FERMATA_STATE, else $XDG_STATE_HOME/fermata, else
/// ~/.local/state/fermata, else a folder of the user's beside temporary files; a folder for each
/// journal in it.
struct state_folder {
  std::string path;  // without a slash at its end
  std::string id;    // of this folder: workers with the same can look at each other's locks
};

/// Makes it when it isn't there. Throws store_failure (FER-2109).
state_folder open_state_folder(const identity& of, std::string_view schema);

/// The highest timeline of a cluster that this host's processes have met at an address. A copy of it
/// elsewhere, which has the same name for itself, goes its own way.
struct seen_timeline {
  std::string timeline;  // empty: none
  std::string file;      // that says so
};
seen_timeline timeline_seen(const address& where, const identity& of);
/// Where it can't be written, a fresh process knows less.
void remember_timeline(const address& where, const identity& of) noexcept;

}  // namespace fermata::engine::postgres
