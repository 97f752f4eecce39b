// SPDX-License-Identifier: Apache-2.0
// Events of all runs, for who follows the journal.
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace fermata::engine {

using postgres::connection;
using postgres::params;
using postgres::rows;

namespace {

/// Where a follower stands: a server's timeline, a transaction's number, and the last event of it that was
/// given out. Another server that was promoted may give the numbers of commits that it hasn't got again.
struct cursor {
  std::string timeline;
  std::int64_t xid = 0;
  run_id run;
  position_t position = 0;

  std::string text() const {
    return fmt::format("{}/{}/{}/{}", timeline, xid, static_cast<const ulid&>(run).text(),
                       position);
  }
};

std::optional<cursor> parse_cursor(std::string_view text) {
  cursor found;
  if (text.empty()) return found;
  std::array<std::string_view, 4> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size();
    const std::size_t end = text.find('/');
    if ((end == std::string_view::npos) != is_last) return std::nullopt;
    parts[i] = text.substr(0, end);
    if (!is_last) text.remove_prefix(end + 1);
  }
  const auto number = [&](std::string_view digits, auto& to) {
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), to);
    return error == std::errc() && end == digits.end();
  };
  const auto id = ulid::parse(parts[2]);
  if (!id || !number(parts[1], found.xid) || !number(parts[3], found.position)) return std::nullopt;
  found.timeline = parts[0];
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
      const std::string& timeline = db.server().timeline;
      if (!after.empty() && from->timeline != timeline)
        return coded(absl::StatusCode::kAborted, "FER-2105",
                     fmt::format("{}: another server answers than before (timeline {} after {}); "
                                 "its events are to be read from the beginning",
                                 parts_->at.where.text, timeline, from->timeline));
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
          one.cursor = cursor{timeline, row.integer(postgres::event_column_count), one.run,
                              one.what.position}
                           .text();
          found.push_back(std::move(one));
        }
        low = high;
      }
      return found;
    });
  });
}

}  // namespace fermata::engine
