// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <optional>
#include <set>
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
  std::string joins;
  std::string where;
  params values;

  void add(std::string_view condition) { where += fmt::format(" AND {}", condition); }
  /// Written as it is: statements are planned without knowing what is bound (`force_generic_plan`), and
  /// whether few or many runs are of a workflow decides which way is short.
  void add(std::string_view condition, std::int64_t number) {
    where += fmt::format(" AND {} {}", condition, number);
  }
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
  all.add("r.space =", in.spaces.find(in.db, query.space).value_or(-1));
  if (!query.key.empty()) all.add("r.key = ${}", std::string_view(query.key));
  // In two parts, since there is an index for each.
  if (!query.chain.empty())
    all.add("(r.chain = ${0} OR (r.run = ${0} AND r.chain IS NULL))", query.chain);
  if (!query.parent.empty()) all.add("r.parent = ${}", query.parent);
  if (query.since != 0) all.add("r.requested >=", query.since);
  if (query.until != 0) all.add("r.requested <", query.until);
  if (!query.before.empty()) all.add("r.run < ${}", query.before);
  return all;
}

/// The runs of a list that have one state, or all of them.
using one_state = std::optional<run_state>;

/// A parent's row says which chain it has, by which its children are found.
void add_parent(const dictionary& in, filter& runs, const run_id& parent) {
  rows row =
      in.db.run("SELECT coalesce(chain, run) FROM fermata.runs WHERE run = $1", params(parent));
  const chain_id chain = row.next() ? row.id<chain_id>(0) : parent;
  runs.values.add(parent);
  runs.add(fmt::format("coalesce(r.parent_chain, r.parent) IN (${}, ${{}})", runs.values.size()),
           chain);
}

filter run_filter(const dictionary& in, const run_query& query, one_state state) {
  filter runs = common_filter(in, query);
  if (!query.workflow.empty())
    runs.add("r.workflow =", in.names.find(in.db, query.workflow).value_or(-1));
  if (!query.parent.empty()) add_parent(in, runs, query.parent);
  if (state) {
    // Said twice, so that the index of open runs, or of those that ended badly, is seen to have them.
    if (!ended(*state)) runs.add("r.state < 3");
    if (*state > run_state::completed) runs.add("r.state > 3");
    runs.add("r.state =", static_cast<std::int64_t>(*state));
  }
  if (query.attention) {
    runs.add("r.attention =", static_cast<std::int64_t>(*query.attention));
    if (*query.attention != attention::none) runs.add("r.attention <> 0");
  }
  int tag = 0;
  for (const auto& [key, value] : query.tags) {
    // Joined, so that a walk through the index of tags, which is in the order of the list, is a choice.
    const std::string t = fmt::format("t{}", tag++);
    runs.joins += fmt::format(" JOIN fermata.run_tags {0} ON {0}.run = r.run", t);
    runs.values.add(std::string_view(key));
    runs.add(fmt::format("{0}.key = ${1} AND {0}.value = ${{}}", t, runs.values.size()),
             std::string_view(value));
    if (!query.before.empty()) runs.add(t + ".run < ${}", query.before);
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
                                 " FROM fermata.runs r{} WHERE true{} ORDER BY r.run DESC LIMIT {}",
                                 what.joins, what.where, at_most),
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

/// State by state, since each is a walk of its own in the order of the list.
std::vector<run_row> list_runs(const dictionary& in, const run_query& query) {
  if (query.states.empty()) return runs_in(in, run_filter(in, query, std::nullopt), query.at_most);
  std::vector<run_row> all;
  for (const run_state state : std::set(query.states.begin(), query.states.end()))
    all = merged(std::move(all), runs_in(in, run_filter(in, query, state), query.at_most),
                 query.at_most);
  return all;
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
      return merged(list_runs(in, query), std::move(requests), query.at_most);
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
