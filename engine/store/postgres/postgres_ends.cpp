// SPDX-License-Identifier: Apache-2.0
// How chains have ended, for who waits for many of them.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"

#include <utility>

namespace fermata::engine {

namespace {

using postgres::connection;
using postgres::params;
using postgres::rows;

// Of each chain without an open run and without a request its last event; nothing of one that isn't there.
// Requests by scalar subqueries: as EXISTS they might become a join over all of them.
constexpr const char* ends_sql =
    "SELECT " FERMATA_EVENT_COLUMNS
    ", u.chain, r.run FROM unnest($1::uuid[]) AS u(chain) "
    "LEFT JOIN LATERAL (SELECT a.run, a.state FROM ("
    "  SELECT run, state, next_run, started FROM fermata.runs WHERE run = u.chain AND chain IS "
    "NULL "
    "  UNION ALL SELECT run, state, next_run, started FROM fermata.runs WHERE chain = u.chain) a "
    "  ORDER BY a.state < 3 DESC, a.next_run IS NULL DESC, a.started DESC, a.run DESC LIMIT 1) r "
    "  ON true "
    "LEFT JOIN LATERAL (SELECT * FROM fermata.events e WHERE e.run = r.run AND r.state >= 3 "
    "  ORDER BY e.position DESC LIMIT 1) e ON true "
    "WHERE CASE WHEN coalesce(r.state, 3) >= 3 THEN "
    "  (SELECT q.run FROM fermata.start_requests q WHERE q.run = u.chain AND q.chain IS NULL) IS "
    "NULL "
    "  AND (SELECT q.run FROM fermata.start_requests q WHERE q.chain = u.chain LIMIT 1) IS NULL "
    "  ELSE false END";

}  // namespace

absl::StatusOr<chain_ends> postgres_store::ends_of(const std::vector<chain_id>& chains) const {
  using result = absl::StatusOr<chain_ends>;
  postgres::column ids(postgres::type::uuid);
  for (const chain_id& chain : chains) ids.add(chain);
  return guarded<result>([&]() -> result {
    parts_->acked.compare(parts_->at);  // who waits for results asks this
    return parts_->at.read([&](connection& db) -> result {
      constexpr int chain = postgres::event_column_count;
      constexpr int run = chain + 1;
      rows all = db.run(ends_sql, params(ids));
      chain_ends found;
      while (all.next()) {
        if (all.null(run)) {
          found.unknown.push_back(all.id<chain_id>(chain));
          continue;
        }
        encoded_event event = read_event(parts_->names(db), all);
        if (event.kind != event_kind::run_continued)
          found.ended.push_back({all.id<chain_id>(chain), all.id<run_id>(run), std::move(event)});
      }
      return found;
    });
  });
}

}  // namespace fermata::engine
