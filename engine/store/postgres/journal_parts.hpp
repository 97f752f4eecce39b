// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/acknowledged.hpp"
#include "engine/store/postgres/handed.hpp"
#include "engine/store/postgres/low_water.hpp"
#include "engine/store/postgres/partitions.hpp"
#include "engine/store/postgres/server.hpp"
#include "engine/store/postgres/state_folder.hpp"
#include "engine/store/postgres/turn.hpp"
#include "engine/store/postgres/wake_line.hpp"
#include "engine/store/host/slots.hpp"
#include "engine/store/host/suspend.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace fermata::engine::postgres {

/// What every method of the store stands on.
struct journal_parts {
  journal_parts(address where, const open_options& options, warn say)
      : at(std::move(where), options, std::move(say)), wake(at), suspends(*at.time) {}

  server at;
  wake_line wake;
  handed_timers handed;
  acknowledged acked;
  partitions months;
  host::suspend_watch suspends;

  /// Locks of this host's workers; made when the first one registers or looks.
  host::worker_slots& slots();
  /// Of workers that left or were released, by somebody who died before this.
  void free_left_slots();
  const state_folder& folder();

  /// Others hear of what a transaction left behind.
  void tell(const turn& done) {
    at.clock.stored(done.latest);
    if (done.woke || done.ended) wake.committed(!done.woke);
  }
  /// With which id this process registered the worker; empty when another did. A promoted server may give a
  /// number that it has lost to another.
  column id_of(std::int64_t worker) {
    column id(type::uuid);
    const std::lock_guard guard(mutex);
    if (const auto own = registered.find(worker); own != registered.end()) id.add(own->second);
    return id;
  }
  dictionary names(connection& db) { return {db, at.names, at.spaces}; }

  /// Where the claims of a batch's worker begin; empty when it claims nothing.
  claim_places places_of(const batch& what) {
    return what.claim ? places.of(what.worker) : claim_places{};
  }
  void remember(const batch& what, const claim_places& now) {
    if (what.claim) places.remember(what.worker, now);
  }

  places_known places;
  std::mutex mutex;
  // Guarded by mutex.
  std::map<std::int64_t, worker_id> registered;  // by this process
  std::optional<state_folder> folder_;
  std::unique_ptr<host::worker_slots> slots_;
};

}  // namespace fermata::engine::postgres
