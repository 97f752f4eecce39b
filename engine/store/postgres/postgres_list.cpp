// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::connection;
using postgres::dictionary;
using postgres::params;
using postgres::rows;

/// A filter as SQL and what is bound to it, in order. Lists aren't hot: their statements are planned
/// anew, since there are too many kinds to keep.
struct filter {
  std::string where;
  params values;

  void add(std::string_view condition) { where += fmt::format(" AND {}", condition); }
  /// "r.key = ${}"
  template <class Value>
  void add(std::string_view condition, const Value& value) {
    values.add(value);
    where += fmt::format(fmt::runtime(" AND " + std::string(condition)), values.size());
  }
};

/// What runs and start requests have in common.
filter common_filter(const dictionary& in, const run_query& query) {
  filter all;
  all.add("r.space = ${}", in.spaces.find(in.db, query.space).value_or(-1));
  if (!query.key.empty()) all.add("r.key = ${}", std::string_view(query.key));
  if (!query.chain.empty()) all.add("coalesce(r.chain, r.run) = ${}", query.chain);
  if (!query.parent.empty()) all.add("r.parent = ${}", query.parent);
  if (query.since != 0) all.add("r.requested >= ${}", query.since);
  if (query.until != 0) all.add("r.requested < ${}", query.until);
  if (!query.before.empty()) all.add("r.run < ${}", query.before);
  return all;
}

std::string states_in(const run_query& query) {
  std::string list;
  for (const run_state state : query.states)
    list += fmt::format("{}{}", list.empty() ? "" : ", ", static_cast<int>(state));
  return list;
}

filter run_filter(const dictionary& in, const run_query& query) {
  filter runs = common_filter(in, query);
  if (!query.workflow.empty())
    runs.add("r.workflow = ${}", in.names.find(in.db, query.workflow).value_or(-1));
  if (!query.states.empty()) {
    const bool open = std::ranges::none_of(query.states, [](run_state s) { return ended(s); });
    // Said twice, so that the index of open runs is seen to hold them all.
    if (open) runs.add("r.state < 3");
    runs.add(fmt::format("r.state IN ({})", states_in(query)));
  }
  if (query.attention) {
    runs.add("r.attention = ${}", static_cast<std::int64_t>(*query.attention));
    if (*query.attention != attention::none) runs.add("r.attention <> 0");
  }
  for (const auto& [key, value] : query.tags) {
    runs.values.add(std::string_view(key));
    runs.add(fmt::format("EXISTS(SELECT 1 FROM fermata.run_tags t WHERE t.run = r.run AND "
                         "t.key = ${} AND t.value = ${{}})",
                         runs.values.size()),
             std::string_view(value));
  }
  return runs;
}

bool asks_for_requests(const run_query& query) {
  const bool state =
      query.states.empty() ||
      std::ranges::find(query.states, run_state::waiting_to_start) != query.states.end();
  return state && (!query.attention || *query.attention == attention::none);
}

filter request_filter(const dictionary& in, const run_query& query) {
  filter requests = common_filter(in, query);
  if (!query.workflow.empty()) requests.add("r.workflow = ${}", std::string_view(query.workflow));
  for (const auto& [key, value] : query.tags) {
    requests.values.add(std::string_view(key));
    requests.add(fmt::format("r.tags ->> ${} = ${{}}", requests.values.size()),
                 std::string_view(value));
  }
  return requests;
}

std::vector<run_row> runs_in(const dictionary& in, filter what, std::size_t at_most) {
  rows found =
      in.db.run_once(fmt::format("SELECT " FERMATA_RUN_COLUMNS
                                 " FROM fermata.runs r WHERE true{} ORDER BY r.run DESC LIMIT {}",
                                 what.where, at_most),
                     std::move(what.values));
  std::vector<run_row> all;
  while (found.next()) all.push_back(read_run(in, found));
  return all;
}

std::vector<run_row> requests_in(const dictionary& in, filter what, std::size_t at_most) {
  rows found = in.db.run_once(
      fmt::format("SELECT " FERMATA_REQUEST_COLUMNS
                  " FROM fermata.start_requests r WHERE true{} ORDER BY r.run DESC LIMIT {}",
                  what.where, at_most),
      std::move(what.values));
  std::vector<run_row> all;
  while (found.next()) all.push_back(row_of_request(read_request(in, found)));
  return all;
}

/// Both lists newest first, as one. Requests were read first: one that began meanwhile is in both.
std::vector<run_row> merged(std::vector<run_row>&& runs, std::vector<run_row>&& requests,
                            std::size_t at_most) {
  std::vector<run_row> both;
  std::ranges::merge(std::move_iterator(runs.begin()), std::move_iterator(runs.end()),
                     std::move_iterator(requests.begin()), std::move_iterator(requests.end()),
                     std::back_inserter(both),
                     [](const run_row& a, const run_row& b) { return a.run > b.run; });
  const auto twice = std::ranges::unique(both, {}, &run_row::run);
  both.erase(twice.begin(), twice.end());
  if (both.size() > at_most) both.resize(at_most);
  return both;
}

/// The smallest and the largest id that begin with this text; empty when none can.
std::optional<std::pair<run_id, run_id>> range_of(std::string_view prefix) {
  std::string text;
  for (const char c : prefix)
    text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (text.starts_with("RUN_")) text.erase(0, 4);
  constexpr std::size_t length = 26;
  if (text.size() > length) return std::nullopt;
  std::string last = text;
  text.resize(length, '0');
  if (last.empty()) last = "7";
  last.resize(length, 'Z');
  const auto from = ulid::parse(text);
  const auto to = ulid::parse(last);
  if (!from || !to) return std::nullopt;
  return std::pair(run_id::of(*from), run_id::of(*to));
}

}  // namespace

absl::StatusOr<std::vector<run_row>> postgres_store::list(const run_query& query) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      const dictionary in = parts_->names(db);
      std::vector<run_row> requests;
      if (asks_for_requests(query))
        requests = requests_in(in, request_filter(in, query), query.at_most);
      return merged(runs_in(in, run_filter(in, query), query.at_most), std::move(requests),
                    query.at_most);
    });
  });
}

absl::StatusOr<std::vector<run_row>> postgres_store::find_prefix(std::string_view run_id_prefix,
                                                                 std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    const auto range = range_of(run_id_prefix);
    if (!range) return std::vector<run_row>{};
    return parts_->at.read([&](connection& db) {
      const auto within = [&] {
        filter made;
        made.values.add_id(range->first).add_id(range->second);
        made.add("r.run >= $1 AND r.run <= $2");
        return made;
      };
      const dictionary in = parts_->names(db);
      auto requests = requests_in(in, within(), at_most);
      return merged(runs_in(in, within(), at_most), std::move(requests), at_most);
    });
  });
}

namespace {

constexpr const char* states_sql =
    "SELECT state::int8, count(*) FROM fermata.runs WHERE space = $1 AND state < 3 GROUP BY state "
    "UNION ALL SELECT state::int8, count(*) FROM fermata.runs WHERE space = $1 AND state > 3 "
    "  GROUP BY state "
    "UNION ALL SELECT -1, count(*) FROM fermata.runs WHERE space = $1 "
    "UNION ALL SELECT 0, count(*) FROM fermata.start_requests WHERE space = $1";
constexpr const char* attentions_sql =
    "SELECT attention::int8, count(*) FROM fermata.runs WHERE space = $1 AND attention <> 0 AND "
    "state < 3 GROUP BY attention";
constexpr const char* ready_sql =
    "SELECT count(*), coalesce(min(since), 0) FROM ("
    "  SELECT m.since FROM fermata.ready m JOIN fermata.runs r ON r.run = m.run "
    "  WHERE m.space = $1 AND r.attention = 0 UNION ALL "
    "  SELECT greatest(requested, not_before) FROM fermata.start_requests "
    "  WHERE space = $1 AND not_before <= $2) all_ready";
constexpr const char* timers_sql =
    "SELECT count(*), coalesce(min(due), 0) FROM fermata.timers WHERE space = $1";
constexpr const char* inbox_sql =
    "SELECT count(*) FROM fermata.inbox i WHERE "
    "EXISTS(SELECT 1 FROM fermata.runs r WHERE r.run = i.chain AND r.space = $1) OR "
    "EXISTS(SELECT 1 FROM fermata.start_requests q WHERE q.run = i.chain AND q.space = $1)";

/// Completed runs are counted as the rest: only they are in neither of the small indexes.
void count_states(rows& found, store_counts& counts) {
  std::int64_t all = 0;
  std::int64_t others = 0;
  while (found.next()) {
    const std::int64_t state = found.integer(0);
    const std::int64_t count = found.integer(1);
    if (state < 0) all = count;
    if (state > 0) others += count;
    if (state >= 0 && count != 0) counts.by_state[static_cast<run_state>(state)] += count;
  }
  if (all > others) counts.by_state[run_state::completed] = all - others;
}

}  // namespace

absl::StatusOr<store_counts> postgres_store::counts(std::string_view space) const {
  using result = absl::StatusOr<store_counts>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      const std::int64_t id = parts_->at.spaces.find(db, space).value_or(-1);
      db.send(states_sql, params(id));
      db.send(attentions_sql, params(id));
      db.send(ready_sql, params(id, parts_->at.clock.now()));
      db.send(timers_sql, params(id));
      db.send(inbox_sql, params(id));
      std::vector<rows> found = db.finish();
      store_counts counts;
      count_states(found[0], counts);
      while (found[1].next())
        counts.by_attention[static_cast<attention>(found[1].integer(0))] = found[1].integer(1);
      for (std::size_t i = 2; i < found.size(); ++i) found[i].next();
      counts.ready = found[2].integer(0);
      counts.oldest_ready = found[2].integer(1);
      counts.timers = found[3].integer(0);
      counts.next_timer = found[3].integer(1);
      counts.inbox = found[4].integer(0);
      return counts;
    });
  });
}

}  // namespace fermata::engine
