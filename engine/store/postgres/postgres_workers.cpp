// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/failure.hpp"
#include "engine/store/host/process.hpp"
#include "engine/store/row_values.hpp"
#include "engine/store/status.hpp"
#include "engine/store/tasks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::column;
using postgres::connection;
using postgres::journal_parts;
using postgres::params;
using postgres::rows;
using postgres::transaction;
using postgres::type;

// By the server's clock, unless a test has made the time.
#define FERMATA_NOW "coalesce($1, (extract(epoch FROM clock_timestamp()) * 1000000)::int8)"

#define FERMATA_WORKER_COLUMNS                                                          \
  "w.id, w.worker, w.host, w.pid, w.build, w.slot, w.boot_id, w.started, w.last_seen, " \
  "w.lease_until, w.dead, w.gone, w.folder, " FERMATA_NOW ", w.queues"

/// $1 of FERMATA_NOW.
void add_now(params& to, const journal_parts& parts) {
  if (parts.at.clock.is_virtual()) {
    to.add(parts.at.clock.now());
  } else {
    to.add_null(type::int8);
  }
}

params now_of(const journal_parts& parts) {
  params made;
  add_now(made, parts);
  return made;
}

struct stored_worker {
  worker_row row;
  std::string folder;
  bool lease_over = false;
};

stored_worker read_worker(const journal_parts& parts, const rows& row) {
  stored_worker found;
  worker_row& worker = found.row;
  worker.row = row.integer(0);
  worker.id = row.id<worker_id>(1);
  worker.host = row.text(2);
  worker.pid = row.integer(3);
  worker.build = row.text(4);
  worker.slot = static_cast<int>(row.integer(5));
  worker.boot_id = row.text(6);
  worker.started = row.integer(7);
  worker.last_seen = row.integer(8);
  const time_us lease = row.integer(9);
  const time_us now =
      planted("postgres_lease_by_own_clock") ? parts.at.time->wall_now() : row.integer(13);
  // As this host counts; never 0, which says that it has none.
  if (lease != 0)
    worker.lease_until = std::max<std::int64_t>(1, parts.at.clock.boot_now() + lease - now);
  worker.dead = row.integer(10) != 0;
  worker.gone = row.integer(11) != 0;
  found.folder = row.text(12);
  worker.queues = lines_of(row.text(14));
  found.lease_over = lease != 0 && lease < now;
  return found;
}

/// Workers whose end hasn't been dealt with: alive, or dead and still owning runs.
std::vector<stored_worker> unsettled(const journal_parts& parts, connection& db,
                                     care* more = nullptr) {
  rows found = db.run("SELECT " FERMATA_WORKER_COLUMNS
                      ", EXISTS(SELECT 1 FROM fermata.start_requests s WHERE s.not_after <> 0 AND "
                      "s.not_after < " FERMATA_NOW
                      "), EXISTS(SELECT 1 FROM fermata.closing) "
                      "FROM fermata.workers w WHERE NOT w.released AND NOT w.gone ORDER BY w.id",
                      now_of(parts));
  std::vector<stored_worker> all;
  while (found.next()) {
    all.push_back(read_worker(parts, found));
    if (more == nullptr) continue;
    more->overdue = found.integer(15) != 0;
    more->closing = found.integer(16) != 0;
  }
  return all;
}

/// Of this host's folder.
std::set<int> slots_in_use(journal_parts& parts) {
  std::set<int> used;
  for (const stored_worker& worker :
       parts.at.read([&](connection& db) { return unsettled(parts, db); }))
    if (worker.folder == parts.folder().id) used.insert(worker.row.slot);
  return used;
}

/// Is a worker to be believed dead?
bool has_died(journal_parts& parts, const stored_worker& worker) {
  if (worker.row.dead) return true;
  if (worker.folder == parts.folder().id) {
    // One of this host: its lock tells.
    if (worker.row.boot_id != host::boot_id()) return true;
    if (parts.slots().abandoned(worker.row.slot)) return true;
  }
  return worker.lease_over && parts.at.leases_count() &&
         parts.suspends.leases_count(*parts.at.time);
}

}  // namespace

void postgres::journal_parts::free_left_slots() {
  slots().free_left([this] { return slots_in_use(*this); });
}

absl::StatusOr<worker_row> postgres_store::register_worker(const worker_row& who) {
  using result = absl::StatusOr<worker_row>;
  return guarded<result>([&]() -> result {
    journal_parts& parts = *parts_;
    worker_row made = who;
    made.slot = parts.slots().take(slots_in_use(parts));
    if (made.id.empty()) made.id = new_worker_id(*parts.at.time, *parts.at.chance);
    made.boot_id = host::boot_id();
    if (made.pid == 0) made.pid = getpid();
    if (made.started == 0) made.started = parts.at.clock.now();
    made.dead = made.gone = false;
    made.owned = 0;
    try {
      parts.at.write([&](transaction& in) {
        made.last_seen = parts.at.clock.now();
        // The same again, after a commit whose answer was lost.
        rows row = in.run(
            "INSERT INTO fermata.workers(worker, host, pid, build, folder, slot, boot_id, started, "
            "last_seen, queues) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
            "ON CONFLICT (worker) DO UPDATE SET last_seen = excluded.last_seen RETURNING id",
            params(made.id, std::string_view(made.host), made.pid, std::string_view(made.build),
                   std::string_view(parts.folder().id), made.slot, std::string_view(made.boot_id),
                   made.started, made.last_seen,
                   std::string_view(fmt::format("{}", fmt::join(made.queues, "\n")))));
        row.next();
        made.row = row.integer(0);
      });
    } catch (...) {
      parts.slots().give_back(made.slot);
      throw;
    }
    parts.slots().keep(made.slot, made.row);
    const std::lock_guard guard(parts.mutex);
    parts.registered[made.row] = made.id;
    return made;
  });
}

absl::Status postgres_store::renew(std::int64_t worker, std::int64_t until) {
  return guarded<absl::Status>([&]() -> absl::Status {
    journal_parts& parts = *parts_;
    parts.acked.compare(parts.at);
    const column id = parts.id_of(worker);
    const bool known = parts.at.write([&](transaction& in) {
      // Taken back: only once batches of this worker that are under way have ended, and the next wait for
      // us. Else one that takes something and has seen this lease would leave an owner without any.
      if (until == 0 && !planted("postgres_takes_leases_back_beside_claims"))
        in.send("SELECT 1 FROM fermata.workers WHERE id = $1 FOR UPDATE", params(worker));
      // What is left of it, by this host's clock; the server adds its own.
      params given = now_of(parts);
      given.add(worker).add(until == 0 ? 0 : until - parts.at.clock.boot_now());
      given.add(until == 0 ? 1 : 0).add(id);
      rows done = in.run("UPDATE fermata.workers SET last_seen = " FERMATA_NOW
                         ", lease_until = CASE WHEN $4 = 0 THEN " FERMATA_NOW
                         " + $3 "
                         "WHEN EXISTS(SELECT 1 FROM fermata.runs WHERE owner = $2 UNION ALL "
                         "  SELECT 1 FROM fermata.tasks WHERE owner = $2) THEN lease_until END "
                         "WHERE id = $2 AND NOT dead AND NOT gone AND "
                         "(cardinality($5::uuid[]) = 0 OR worker = ANY($5))",
                         std::move(given));
      return done.affected() != 0;
    });
    return known ? absl::OkStatus()
                 : no_worker(worker, "isn't registered, was marked dead, or left");
  });
}

absl::StatusOr<std::vector<worker_row>> postgres_store::rescue(std::int64_t me) {
  using result = absl::StatusOr<std::vector<worker_row>>;
  return guarded<result>([&]() -> result {
    journal_parts& parts = *parts_;
    std::vector<stored_worker> found =
        parts.at.read([&](connection& db) { return unsettled(parts, db); });
    std::vector<worker_row> dead;
    for (stored_worker& worker : found) {
      if (worker.row.row == me || !has_died(parts, worker)) continue;
      // Looked at again under the lock: it may have renewed. It waits for appends of that worker under
      // way; from here on no other can land.
      const bool marked = parts.at.write([&](transaction& in) {
        params given = now_of(parts);
        given.add(worker.row.row);
        rows row = in.run("SELECT " FERMATA_WORKER_COLUMNS
                          " FROM fermata.workers w WHERE w.id = $2 AND NOT w.released AND "
                          "NOT w.gone FOR UPDATE",
                          std::move(given));
        if (!row.next()) return false;
        worker = read_worker(parts, row);
        if (!has_died(parts, worker)) return false;
        in.send("UPDATE fermata.workers SET dead = true, lease_until = NULL WHERE id = $1",
                params(worker.row.row));
        return true;
      });
      if (!marked) continue;
      worker.row.dead = true;
      worker.row.lease_until = 0;
      dead.push_back(std::move(worker.row));
    }
    return dead;
  });
}

absl::StatusOr<care> postgres_store::needs_care(std::int64_t me) {
  return guarded<absl::StatusOr<care>>([&]() -> absl::StatusOr<care> {
    journal_parts& parts = *parts_;
    parts.months.make_in_time(parts.at);
    care found;
    const std::vector<stored_worker> all =
        parts.at.read([&](connection& db) { return unsettled(parts, db, &found); });
    found.dead = false;
    for (const stored_worker& worker : all) {
      if (worker.row.row == me) continue;
      found.dead = found.dead || has_died(parts, worker);
      const std::int64_t lease = worker.row.dead ? 0 : worker.row.lease_until;
      if (lease != 0 && (found.next_lease == 0 || lease < found.next_lease))
        found.next_lease = lease;
    }
    parts.free_left_slots();
    return found;
  });
}

bool postgres_store::somebody_died(std::int64_t me) {
  try {
    return parts_->slots().any_abandoned(me);
  } catch (const store_failure&) {
    return false;
  }
}

absl::StatusOr<std::vector<worker_row>> postgres_store::workers() const {
  using result = absl::StatusOr<std::vector<worker_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      rows found =
          db.run("SELECT " FERMATA_WORKER_COLUMNS
                 ", (SELECT count(*) FROM fermata.runs r WHERE r.owner = w.id AND "
                 "r.owner <> 0), (SELECT count(*) FROM fermata.tasks t WHERE t.owner = w.id "
                 "AND t.owner <> 0) FROM fermata.workers w ORDER BY w.id",
                 now_of(*parts_));
      std::vector<worker_row> all;
      while (found.next()) {
        all.push_back(read_worker(*parts_, found).row);
        all.back().owned = found.integer(15);
        all.back().tasks = found.integer(16);
      }
      return all;
    });
  });
}

}  // namespace fermata::engine
