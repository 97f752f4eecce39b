// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <utility>
#include <variant>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::use;

/// A filter as SQL and what is bound to it, in order. Lists aren't hot: their statements are
/// prepared anew, since there are too many kinds to keep.
struct filter {
  std::string from;
  std::string where;
  std::vector<std::variant<std::int64_t, std::string, run_id>> values;

  void add(std::string_view condition) { where += fmt::format(" AND {}", condition); }
  template <class Value>
  void add(std::string_view condition, Value value) {
    values.emplace_back(std::move(value));
    where += fmt::format(fmt::runtime(" AND " + std::string(condition)), values.size());
  }
};

struct bind_to {
  use& rows;
  void operator()(std::int64_t value) const { rows.with(value); }
  void operator()(const std::string& value) const { rows.with(value); }
  // Not as an id: one of zeros is the beginning of a range, not NULL.
  void operator()(const run_id& value) const { rows.with(sqlite::blob{value.view()}); }
};

/// What runs and start requests have in common, except the namespace.
filter common_filter(connection& db, const run_query& query, std::string_view table) {
  filter all;
  if (!query.workflow.empty())
    all.add("r.workflow = ?{}", db.names.find(query.workflow).value_or(-1));
  if (!query.key.empty()) all.add("r.key = ?{}", query.key);
  if (!query.chain.empty()) {
    all.values.emplace_back(query.chain);
    all.add(
        fmt::format("r.run IN (SELECT run FROM {0} WHERE chain = ?{1} UNION ALL "
                    "SELECT run FROM {0} WHERE run = ?{1} AND chain IS NULL)",
                    table, all.values.size()));
  }
  if (!query.parent.empty()) all.add("r.parent = ?{}", query.parent);
  if (query.since != 0) all.add("r.requested >= ?{}", query.since);
  if (query.until != 0) all.add("r.requested < ?{}", query.until);
  if (!query.before.empty()) all.add("r.run < ?{}", query.before);
  return all;
}

/// The runs of a list that have one state, or all of them.
using one_state = std::optional<run_state>;

/// Which rows are walked through. All but those of a parent hold their runs in the order of a list, so
/// that a page costs a page; named, since SQLite, which has no statistics, takes any that begins alike.
std::string_view index_of(const run_query& query, one_state state, bool few_tagged) {
  if (few_tagged) return "";
  if (!query.chain.empty()) return " INDEXED BY runs_by_run";
  if (!query.parent.empty()) return " INDEXED BY runs_by_parent";
  if (!query.key.empty()) return " INDEXED BY runs_by_key";
  if (query.attention.value_or(attention::none) != attention::none)
    return " INDEXED BY runs_with_attention";
  if (state && !ended(*state)) return " INDEXED BY runs_open";
  if (state && *state != run_state::completed) return " INDEXED BY runs_not_completed";
  if (!query.workflow.empty()) return " INDEXED BY runs_by_workflow";
  return " INDEXED BY runs_by_space";
}

/// The index of tags doesn't have the runs in the order of a list. Where few have the tag all of them
/// are looked at and sorted; where many have it a walk from the newest meets enough of them soon.
bool few_have(connection& db, const std::pair<const std::string, std::string>& tag) {
  constexpr std::int64_t few = 1'000;
  use count = db.sql(
      "SELECT count(*) FROM (SELECT 1 FROM run_tags WHERE key = ?1 AND value = ?2 LIMIT ?3)");
  count.with(tag.first, tag.second, few).next();
  return count.integer(0) < few;
}

void add_tag(filter& runs, std::string_view condition,
             const std::pair<const std::string, std::string>& tag) {
  runs.values.emplace_back(tag.first);
  runs.add(fmt::format(fmt::runtime(condition), runs.values.size()), tag.second);
}

/// A parent's row says which chain it has, by which its children are found.
void add_parent(connection& db, filter& runs, const run_id& parent) {
  use row = db.sql("SELECT coalesce(chain, run) FROM runs WHERE run = ?1");
  row.with(parent);
  const chain_id chain = row.next() ? row.id<chain_id>(0) : parent;
  runs.values.emplace_back(parent);
  runs.add(fmt::format("coalesce(r.parent_chain, r.parent) IN (?{}, ?{{}})", runs.values.size()),
           chain);
}

filter run_filter(connection& db, const run_query& query, one_state state) {
  filter runs = common_filter(db, query, "runs");
  const auto few = std::ranges::find_if(query.tags, [&](const auto& t) { return few_have(db, t); });
  runs.from = "runs r";
  runs.from += index_of(query, state, few != query.tags.end());
  runs.add("r.space = ?{}", db.spaces.find(query.space).value_or(-1));
  if (!query.parent.empty()) add_parent(db, runs, query.parent);
  if (state) {
    // Said twice, so that SQLite sees that the index of open runs, or of those that ended badly, has them.
    if (!ended(*state)) runs.add("r.state < 3");
    if (*state > run_state::completed) runs.add("r.state > 3");
    runs.add(fmt::format("r.state = {}", static_cast<int>(*state)));
  }
  if (query.attention) {
    runs.add("r.attention = ?{}", static_cast<std::int64_t>(*query.attention));
    if (*query.attention != attention::none) runs.add("r.attention <> 0");
  }
  if (few != query.tags.end()) {
    runs.from = "run_tags f CROSS JOIN runs r ON r.id = f.run";
    add_tag(runs, "f.key = ?{} AND f.value = ?{{}}", *few);
  }
  for (auto tag = query.tags.begin(); tag != query.tags.end(); ++tag) {
    if (tag != few)
      add_tag(runs,
              "EXISTS(SELECT 1 FROM run_tags t WHERE t.run = r.id AND t.key = ?{} AND "
              "t.value = ?{{}})",
              *tag);
  }
  return runs;
}

bool asks_for_requests(const run_query& query) {
  const bool state =
      query.states.empty() ||
      std::ranges::find(query.states, run_state::waiting_to_start) != query.states.end();
  return state && (!query.attention || *query.attention == attention::none);
}

filter request_filter(connection& db, const run_query& query) {
  filter requests = common_filter(db, query, "start_requests");
  // Not in the order in which they are claimed: then all of them would have to be sorted.
  requests.from = "start_requests r INDEXED BY start_requests_by_run";
  requests.add("r.space = ?{}", db.spaces.find(query.space).value_or(-1));
  for (const auto& tag : query.tags)
    add_tag(requests,
            "EXISTS(SELECT 1 FROM json_each(r.tags) t WHERE t.key = ?{} AND t.value = ?{{}})", tag);
  return requests;
}

template <class Read>
void select(connection& db, std::string_view columns, const filter& what, std::size_t at_most,
            Read&& read) {
  const std::string sql = fmt::format("SELECT {} FROM {} WHERE 1{} ORDER BY r.run DESC LIMIT {}",
                                      columns, what.from, what.where, at_most);
  sqlite::single_use once(db, sql);
  use& rows = once.rows();
  for (const auto& value : what.values) std::visit(bind_to{rows}, value);
  while (rows.next()) read(rows);
}

std::vector<run_row> runs_in(connection& db, const filter& what, std::size_t at_most) {
  std::vector<run_row> runs;
  select(db, sqlite::run_columns, what, at_most,
         [&](use& row) { runs.push_back(sqlite::read_run(db, row)); });
  return runs;
}

std::vector<run_row> requests_in(connection& db, const filter& what, std::size_t at_most) {
  std::vector<run_row> requests;
  select(db, sqlite::request_columns, what, at_most,
         [&](use& row) { requests.push_back(row_of_request(sqlite::read_request(db, row))); });
  return requests;
}

/// Both lists newest first, as one.
std::vector<run_row> merged(std::vector<run_row>&& some, std::vector<run_row>&& others,
                            std::size_t at_most) {
  if (others.empty()) return std::move(some);
  std::vector<run_row> both;
  std::ranges::merge(std::move_iterator(some.begin()), std::move_iterator(some.end()),
                     std::move_iterator(others.begin()), std::move_iterator(others.end()),
                     std::back_inserter(both),
                     [](const run_row& a, const run_row& b) { return a.run > b.run; });
  if (both.size() > at_most) both.resize(at_most);
  return both;
}

/// State by state, since each is a walk of its own in the order of the list.
std::vector<run_row> list_runs(connection& db, const run_query& query) {
  if (query.states.empty()) return runs_in(db, run_filter(db, query, std::nullopt), query.at_most);
  std::vector<run_row> all;
  for (const run_state state : std::set(query.states.begin(), query.states.end()))
    all = merged(std::move(all), runs_in(db, run_filter(db, query, state), query.at_most),
                 query.at_most);
  return all;
}

std::vector<run_row> with_tags(connection& db, std::vector<run_row>&& runs) {
  for (run_row& run : runs) sqlite::read_tags(db, run);
  return std::move(runs);
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

absl::StatusOr<std::vector<run_row>> sqlite_store::list(const run_query& query) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    std::vector<run_row> requests;
    if (asks_for_requests(query))
      requests = requests_in(*db, request_filter(*db, query), query.at_most);
    return merged(with_tags(*db, list_runs(*db, query)), std::move(requests), query.at_most);
  });
}

absl::StatusOr<std::vector<run_row>> sqlite_store::find_prefix(std::string_view run_id_prefix,
                                                               std::size_t at_most) const {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    const auto range = range_of(run_id_prefix);
    if (!range) return std::vector<run_row>{};
    filter within;
    within.add("r.run >= ?{}", range->first);
    within.add("r.run <= ?{}", range->second);
    const auto db = file_->read();
    within.from = "runs r";
    auto runs = with_tags(*db, runs_in(*db, within, at_most));
    within.from = "start_requests r";
    return merged(std::move(runs), requests_in(*db, within, at_most), at_most);
  });
}

namespace {

/// Completed runs are counted as the rest: only they are in neither of the small indexes.
void count_states(connection& db, std::int64_t space, store_counts& counts) {
  use rows = db.sql(
      "SELECT state, count(*) FROM runs WHERE space = ?1 AND state < 3 GROUP BY state "
      "UNION ALL SELECT state, count(*) FROM runs WHERE space = ?1 AND state > 3 GROUP BY state "
      "UNION ALL SELECT -1, count(*) FROM runs INDEXED BY runs_by_workflow WHERE space = ?1 "
      "UNION ALL SELECT 0, count(*) FROM start_requests WHERE space = ?1");
  rows.with(space);
  std::int64_t all = 0;
  std::int64_t others = 0;
  while (rows.next()) {
    const std::int64_t state = rows.integer(0);
    const std::int64_t count = rows.integer(1);
    if (state < 0) all = count;
    if (state > 0) others += count;
    if (state >= 0 && count != 0) counts.by_state[static_cast<run_state>(state)] += count;
  }
  if (all > others) counts.by_state[run_state::completed] = all - others;
}

void count_attention(connection& db, std::int64_t space, store_counts& counts) {
  use rows = db.sql(
      "SELECT attention, count(*) FROM runs WHERE space = ?1 AND attention <> 0 AND state < 3 "
      "GROUP BY attention");
  rows.with(space);
  while (rows.next())
    counts.by_attention[static_cast<attention>(rows.integer(0))] = rows.integer(1);
}

}  // namespace

absl::StatusOr<store_counts> sqlite_store::counts(std::string_view space) const {
  using result = absl::StatusOr<store_counts>;
  return guarded<result>([&]() -> result {
    const auto db = file_->read();
    const std::int64_t id = db->spaces.find(space).value_or(-1);
    store_counts counts;
    count_states(*db, id, counts);
    count_attention(*db, id, counts);
    use ready = db->sql(
        "SELECT count(*), min(since) FROM (SELECT m.since FROM ready m JOIN runs r ON r.id = m.run "
        "WHERE m.space = ?1 AND r.attention = 0 UNION ALL "
        "SELECT max(requested, not_before) FROM start_requests WHERE space = ?1 AND "
        "not_before <= ?2)");
    ready.with(id, file_->now()).next();
    counts.ready = ready.integer(0);
    counts.oldest_ready = ready.integer(1);
    use timers = db->sql("SELECT count(*), min(due) FROM timers WHERE space = ?1");
    timers.with(id).next();
    counts.timers = timers.integer(0);
    counts.next_timer = timers.integer(1);
    use inbox = db->sql(
        "SELECT count(*) FROM inbox i WHERE EXISTS(SELECT 1 FROM runs r WHERE r.run = i.chain AND "
        "r.space = ?1) OR EXISTS(SELECT 1 FROM start_requests q WHERE q.run = i.chain AND "
        "q.space = ?1)");
    inbox.with(id).next();
    counts.inbox = inbox.integer(0);
    return counts;
  });
}

}  // namespace fermata::engine
