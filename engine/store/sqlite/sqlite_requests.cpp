// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/start_groups.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::turn;
using sqlite::use;

absl::Status no_events(const run_id& run) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("run {}: a journal begins with at least one event", run.text()));
}

bool begun(connection& db, const run_id& run) {
  use row = db.sql("SELECT 1 FROM runs WHERE run = ?1");
  return row.with(run).next();
}

/// Empty: it has no key, or nobody has it.
chain_id chain_of_key(connection& db, const start_request& request) {
  if (request.key.empty()) return {};
  use row = db.sql("SELECT chain FROM keys WHERE space = ?1 AND workflow = ?2 AND key = ?3");
  row.with(db.spaces.id_of(request.space), db.names.id_of(request.workflow), request.key);
  return row.next() ? row.id<chain_id>(0) : chain_id{};
}

/// Parents whose children are all told leave the list.
void forget_closed_parents(connection& db) {
  db.sql(
        "DELETE FROM closing WHERE NOT EXISTS(SELECT 1 FROM runs p, runs c WHERE "
        "  p.id = closing.parent AND c.parent IS NOT NULL AND "
        "  coalesce(c.parent_chain, c.parent) IN (p.run, coalesce(p.chain, p.run)) AND "
        "  c.state < 3 AND c.close_policy <> 2 AND c.told = 0) "
        "AND NOT EXISTS(SELECT 1 FROM runs p, start_requests c WHERE "
        "  p.id = closing.parent AND c.parent IS NOT NULL AND "
        "  coalesce(c.parent_chain, c.parent) IN (p.run, coalesce(p.chain, p.run)) AND "
        "  c.close_policy <> 2 AND c.told = 0)")
      .run();
}

constexpr const char* of_closing_parents =
    " FROM closing k JOIN runs p ON p.id = k.parent CROSS JOIN ";
constexpr const char* child_of_parent =
    " r ON r.parent IS NOT NULL AND "
    "coalesce(r.parent_chain, r.parent) IN (p.run, coalesce(p.chain, p.run)) "
    "WHERE r.close_policy <> 2 AND r.told = 0 ";

}  // namespace

absl::StatusOr<std::vector<run_row>> sqlite_store::children_to_close(std::size_t at_most) {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<run_row> found;
    if (!db->sql("SELECT 1 FROM closing LIMIT 1").next()) return found;
    {
      static const std::string sql = "SELECT " + sqlite::run_columns + of_closing_parents + "runs" +
                                     child_of_parent + "AND r.state < 3 LIMIT ?1";
      use rows = db->sql(sql.c_str());
      rows.with(at_most);
      while (rows.next()) found.push_back(sqlite::read_run(*db, rows));
    }
    for (run_row& run : found) sqlite::read_tags(*db, run);
    static const std::string sql = "SELECT " + sqlite::request_columns + of_closing_parents +
                                   "start_requests" + child_of_parent + "LIMIT ?1";
    use rows = db->sql(sql.c_str());
    rows.with(at_most - found.size());
    while (rows.next()) found.push_back(row_of_request(sqlite::read_request(*db, rows)));
    return found;
  });
}

absl::Status sqlite_store::closed(const std::vector<run_id>& children) {
  return guarded<absl::Status>([&]() -> absl::Status {
    file_->write(0, [&](turn& turn) {
      for (const run_id& child : children) {
        turn.db.sql("UPDATE runs SET told = 1 WHERE run = ?1").with(child).run();
        turn.db.sql("UPDATE start_requests SET told = 1 WHERE run = ?1").with(child).run();
      }
      forget_closed_parents(turn.db);
    });
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<start_request>> sqlite_store::overdue_requests(time_us now,
                                                                          std::size_t at_most) {
  using result = absl::StatusOr<std::vector<start_request>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string sql = "SELECT " + sqlite::request_columns +
                                   " FROM start_requests r WHERE r.not_after <> 0 AND "
                                   "r.not_after < ?1 ORDER BY r.not_after LIMIT ?2";
    std::vector<start_request> found;
    use rows = db->sql(sql.c_str());
    rows.with(now, at_most);
    while (rows.next()) found.push_back(sqlite::read_request(*db, rows));
    return found;
  });
}

absl::StatusOr<bool> sqlite_store::end_request(const run_id& run,
                                               const std::vector<encoded_event>& events,
                                               const run_changes& changes,
                                               const std::vector<message>& messages) {
  using result = absl::StatusOr<bool>;
  if (events.empty()) return no_events(run);
  return guarded<result>([&]() -> result {
    return file_->write(0, [&](turn& turn) {
      const start_request request = sqlite::find_request(turn.db, run);
      if (request.run.empty()) return false;
      remove_request(turn.db, request);
      insert_whole(turn, request, events, changes);
      for (const message& one : messages) put_message(turn, one, sqlite::bound::ignored);
      return true;
    });
  });
}

absl::Status sqlite_store::begin_copy(const start_request& request,
                                      const std::vector<encoded_event>& events,
                                      const run_changes& changes,
                                      const std::vector<chain_id>& in_flight) {
  if (events.empty()) return no_events(request.run);
  return guarded<absl::Status>([&]() -> absl::Status {
    return file_->write(0, [&](turn& turn) -> absl::Status {
      if (begun(turn.db, request.run)) return absl::OkStatus();
      const chain_id chain = request.chain.empty() ? chain_id(request.run) : request.chain;
      const sqlite::current_run now = find_current(turn.db, chain);
      if (!now.run.empty() && !now.ended) {
        return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
                     fmt::format("run {}: its chain {} has an open run; only one may be open",
                                 request.run.text(), chain.text()));
      }
      if (const chain_id other = chain_of_key(turn.db, request); !other.empty() && other != chain)
        return key_is_taken(request, other);
      for (const chain_id& child : in_flight)
        if (find_current(turn.db, child).ended) return child_has_ended(request, child);
      const std::int64_t row = insert_whole(turn, request, events, changes);
      if (!changes.state || !ended(*changes.state)) mark_ready(turn, row);
      return absl::OkStatus();
    });
  });
}

}  // namespace fermata::engine
