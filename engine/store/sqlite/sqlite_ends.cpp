// SPDX-License-Identifier: Apache-2.0
// How chains have ended, for who waits for many of them.
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"

#include <string>
#include <utility>

namespace fermata::engine {

using sqlite::use;

absl::StatusOr<chain_ends> sqlite_store::ends_of(const std::vector<chain_id>& chains) const {
  using result = absl::StatusOr<chain_ends>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    static const std::string last_sql =
        "SELECT " + sqlite::event_columns +
        " FROM events e WHERE e.run = ?1 ORDER BY e.position DESC LIMIT 1";
    chain_ends found;
    for (const chain_id& chain : chains) {
      {
        // Mostly its first run goes on: then that is all.
        use first = db->sql("SELECT state FROM runs WHERE run = ?1 AND chain IS NULL");
        if (first.with(chain).next() && !ended(static_cast<run_state>(first.integer(0)))) continue;
      }
      const sqlite::current_run now = sqlite::find_current(*db, chain);
      if (now.run.empty()) found.unknown.push_back(chain);
      if (now.row == 0 || !now.ended) continue;
      use last = db->sql(last_sql.c_str());
      if (!last.with(now.row).next()) continue;
      encoded_event event = sqlite::read_event(*db, last, now.row);
      if (event.kind != event_kind::run_continued)
        found.ended.push_back({chain, now.run, std::move(event)});
    }
    return found;
  });
}

}  // namespace fermata::engine
