// SPDX-License-Identifier: Apache-2.0
// Events of all runs, for who follows the journal.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

namespace fermata::engine {

using postgres::connection;
using postgres::params;
using postgres::rows;

namespace {

/// Where a follower stands: a transaction's number, and the last event of it that was given out.
struct cursor {
  std::int64_t xid = 0;
  run_id run;
  position_t position = 0;

  std::string text() const {
    return fmt::format("{}/{}/{}", xid, static_cast<const ulid&>(run).text(), position);
  }
};

std::optional<cursor> parse_cursor(std::string_view text) {
  cursor found;
  if (text.empty()) return found;
  const std::size_t first = text.find('/');
  const std::size_t second = text.find('/', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const auto number = [&](std::string_view digits, auto& to) {
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), to);
    return error == std::errc() && end == digits.end();
  };
  const auto id = ulid::parse(text.substr(first + 1, second - first - 1));
  if (!id || !number(text.substr(0, first), found.xid) ||
      !number(text.substr(second + 1), found.position))
    return std::nullopt;
  found.run = run_id::of(*id);
  return found;
}

// Only what no transaction under way can come before: a sequence would skip those for ever.
constexpr const char* horizon_sql = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8";
constexpr const char* changes_sql =
    "SELECT " FERMATA_EVENT_COLUMNS
    ", e.xid, e.run FROM fermata.events e WHERE e.xid >= $1 AND e.xid < $2 AND "
    "(e.xid, e.run, e.position) > ($1, $3, $4) ORDER BY e.xid, e.run, e.position LIMIT $5";

}  // namespace

absl::StatusOr<std::vector<stored_event>> postgres_store::changes(const std::string& after,
                                                                  std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<stored_event>>;
  const std::optional<cursor> from = parse_cursor(after);
  if (!from)
    return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
                 fmt::format("'{}' isn't a cursor of this journal", after));
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) -> result {
      rows horizon = db.run(horizon_sql);
      horizon.next();
      const std::int64_t until = horizon.integer(0);
      std::vector<stored_event> found;
      // Stretch by stretch, wider where nothing is: what is far behind isn't sorted as a whole.
      std::int64_t width = 256;
      for (std::int64_t low = from->xid; low < until && found.empty(); width *= 4) {
        const bool first = low == from->xid;
        const std::int64_t high = std::min(until, low + width);
        params given(low, high);
        given.add_id(first ? from->run : run_id{});
        given.add(first ? static_cast<std::int64_t>(from->position) : 0)
            .add(static_cast<std::int64_t>(
                std::min<std::size_t>(at_most, std::numeric_limits<std::int32_t>::max())));
        rows row = db.run(changes_sql, std::move(given));
        while (row.next()) {
          stored_event one;
          one.run = row.id<run_id>(postgres::event_column_count + 1);
          one.what = read_event(parts_->names(db), row);
          one.cursor =
              cursor{row.integer(postgres::event_column_count), one.run, one.what.position}.text();
          found.push_back(std::move(one));
        }
        low = high;
      }
      return found;
    });
  });
}

}  // namespace fermata::engine
