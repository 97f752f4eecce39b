// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

struct options {
  std::string workflow, attention, key, since, until;
  std::vector<std::string> states, tags;
  std::int64_t limit = 50;
  bool all = false;
};

constexpr std::size_t page_size = 500;
constexpr std::int64_t limit_most = 1'000'000'000;

engine::run_query query_of(session& s, const options& o) {
  engine::run_query q;
  q.space = s.ns();
  q.workflow = o.workflow;
  q.key = o.key;
  for (const std::string& state : o.states) {
    const auto known = engine::run_state_of(state);
    if (!known)
      throw usage_error(fmt::format(
          "there is no state '{}'; states are waiting_to_start, running, compensating, completed, "
          "failed, cancelled, terminated, continued and expired",
          clean(state)));
    q.states.push_back(*known);
  }
  if (!o.attention.empty() && o.attention != "any") {
    q.attention = engine::attention_of(o.attention);
    if (!q.attention)
      throw usage_error(
          fmt::format("--attention is any, none, blocked, quarantined, paused or "
                      "needs_attention, not '{}'",
                      clean(o.attention)));
  }
  for (const std::string& tag : o.tags) {
    const std::size_t equal = tag.find('=');
    if (equal == 0 || equal == std::string::npos)
      throw usage_error(fmt::format("--tag needs NAME=VALUE, not '{}'", clean(tag)));
    q.tags[tag.substr(0, equal)] = tag.substr(equal + 1);
  }
  if (!o.since.empty()) q.since = read_instant(o.since, "--since", s.now(), true);
  if (!o.until.empty()) q.until = read_instant(o.until, "--until", s.now(), true);
  if (!o.all && (o.limit < 1 || o.limit > limit_most))
    throw usage_error(
        fmt::format("--limit is 1 to {}, not {}; --all shows all of them", limit_most, o.limit));
  return q;
}

bool wanted(const options& o, const engine::run_row& row) {
  return o.attention != "any" ||
         (row.attention != engine::attention::none && !engine::ended(row.state));
}

/// Gives pages to `take`; true when there is more than the limit.
bool each_page(session& s, const options& o,
               const std::function<void(std::vector<engine::run_row>&&)>& take) {
  engine::run_query q = query_of(s, o);
  std::size_t left = o.all ? static_cast<std::size_t>(-1) : static_cast<std::size_t>(o.limit);
  while (left > 0) {
    q.at_most = left < page_size ? left + 1 : page_size;
    std::vector<engine::run_row> rows = must(s.store().list(q));
    const bool last = rows.size() < q.at_most;
    if (!rows.empty()) q.before = rows.back().run;
    std::erase_if(rows, [&](const auto& row) { return !wanted(o, row); });
    const bool more = rows.size() > left;
    if (more) rows.resize(left);
    left -= rows.size();
    take(std::move(rows));
    if (more) return true;
    if (last) return false;
  }
  return true;
}

std::string took_text(const engine::run_row& row, engine::time_us now) {
  if (row.started == 0) return "";
  return span_text((row.ended != 0 ? row.ended : now) - row.started);
}

std::string last_column(session& s, const engine::run_row& row) {
  if (engine::ended(row.state)) return clean(row.error);
  if (row.attention != engine::attention::none) return clean(row.report);
  if (row.state == engine::run_state::waiting_to_start) {
    if (row.not_before > s.now()) return "begins " + s.time(row.not_before);
    return "for a worker";
  }
  if (!row.status.empty()) return clean(row.status);
  return clean(row.waits);
}

std::vector<cell> row_cells(session& s, const engine::run_row& row, std::size_t id_length) {
  return {{row.run.text().substr(0, id_length)},
          {clean(row.key), tint::bold},
          {clean(row.workflow)},
          {state_text(row), tint_of(row.state, row.attention)},
          {s.time(row.requested), tint::dim},
          {took_text(row, s.now()), tint::dim},
          {last_column(s, row), row.error.empty() ? tint::dim : tint_of(row.state)}};
}

void print_table(session& s, const options& o) {
  table t = s.make_table({{"RUN", false, 16},
                          {"KEY", false, 10},
                          {"WORKFLOW", false, 8, true},
                          {"STATE", false, 10},
                          {"STARTED", false, 8},
                          {"TOOK", true, 6, false, 2},
                          {"WAITS FOR, ERROR", false, 16, true}});
  std::size_t id_length = 0;
  std::size_t shown = 0;
  const bool more = each_page(s, o, [&](std::vector<engine::run_row>&& rows) {
    if (id_length == 0 || s.width() == 0) id_length = s.width() == 0 ? 30 : telling_length(rows);
    shown += rows.size();
    for (const engine::run_row& row : rows) t.add(row_cells(s, row, id_length));
    if (!rows.empty()) t.print(s.out());
  });
  if (shown == 0) s.hint("No run fits.");
  if (more) s.hint(fmt::format("There is more: --all, or --limit {}.", o.limit * 4));
}

void print_documents(session& s, const options& o) {
  boost::json::array runs;
  std::string last;
  const bool more = each_page(s, o, [&](std::vector<engine::run_row>&& rows) {
    for (const engine::run_row& row : rows) {
      last = row.run.text();
      if (s.how() == output::ids)
        s.out() << last << '\n';
      else if (s.how() == output::jsonl)
        s.print(run_json(row, s.shown()));
      else
        runs.push_back(run_json(row, s.shown()));
    }
  });
  if (s.how() != output::json) return;
  boost::json::object out = document("run_list");
  out["runs"] = std::move(runs);
  out["more"] = more;
  s.print(out);
}

}  // namespace

action declare_list(CLI::App& flags) {
  const auto o = std::make_shared<options>();
  flags.add_option("-w,--workflow", o->workflow, "runs of this workflow")->type_name("NAME");
  flags.add_option("-s,--state", o->states, "in this state; may be given several times")
      ->type_name("STATE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->delimiter(',');
  flags
      .add_option("-a,--attention", o->attention,
                  "that wait for a person: any, blocked, quarantined, paused, needs_attention")
      ->type_name("WHY");
  flags.add_option("-t,--tag", o->tags, "with this tag; may be given several times")
      ->type_name("NAME=VALUE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  flags.add_option("-k,--key", o->key, "with this key")->type_name("KEY");
  flags.add_option("--since", o->since, "asked for since then: 1h, or an instant")
      ->type_name("WHEN");
  flags.add_option("--until", o->until, "asked for before then: 1h, or an instant")
      ->type_name("WHEN");
  flags.add_option("-n,--limit", o->limit, "how many at most (50)")->type_name("N");
  flags.add_flag("--all", o->all, "all of them");
  return [o](session& s) -> int {
    if (s.as_table())
      print_table(s, *o);
    else
      print_documents(s, *o);
    return done;
  };
}

}  // namespace fermata::cli
