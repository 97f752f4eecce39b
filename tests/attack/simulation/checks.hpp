// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/simulation/clients.hpp"
#include "tests/attack/simulation/world.hpp"

#include <cstdint>

namespace fermata::simulation {

/// Whether all runs have ended.
bool all_ended(const world& in);
/// Why they haven't, as far as can be told; complains of each.
void complain_of_open(world& in);
/// At the end: the history checker's findings, and what clients and bodies know otherwise.
void check_all(world& in, const clients& by);
/// A number that is another when any event is.
std::uint64_t hash_of_journal(const world& in);
/// All events, for who reads a trace.
void tell_journal(world& in);

}  // namespace fermata::simulation
