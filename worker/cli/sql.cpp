// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/input.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

using texts = std::vector<std::string>;

struct question {
  std::string statement;
  bool reveal = false;
};

/// A statement that can't be answered is the caller's mistake, not the store's.
void ask(session& s, const question& what, const std::function<bool(const texts&)>& row) {
  const auto shown = what.reveal ? engine::payloads::revealed : engine::payloads::hidden;
  const absl::Status answered = s.store().query(what.statement, shown, row);
  if (absl::IsInvalidArgument(answered)) throw usage_error(std::string(answered.message()));
  check(answered);
}

boost::json::object row_json(const texts& names, const texts& row) {
  boost::json::object out;
  for (std::size_t i = 0; i < names.size() && i < row.size(); ++i) out[names[i]] = row[i];
  return out;
}

int as_table(session& s, const question& what) {
  std::optional<table> t;
  std::int64_t rows = 0;
  constexpr std::int64_t page = 1'000;
  ask(s, what, [&](const texts& row) {
    if (!t) {
      std::vector<column> columns;
      for (const std::string& name : row) columns.push_back({clean(name), false, 6, true});
      t.emplace(s.make_table(std::move(columns)));
      return true;
    }
    std::vector<cell> cells;
    for (const std::string& text : row) cells.push_back({text.empty() ? "–" : clean(text)});
    t->add(std::move(cells));
    if (++rows % page == 0) t->print(s.out());
    return true;
  });
  if (t && !t->empty()) t->print(s.out());
  s.hint(count_of(rows, "row"));
  return done;
}

int as_documents(session& s, const question& what) {
  texts names;
  boost::json::array rows;
  ask(s, what, [&](const texts& row) {
    if (names.empty()) {
      names = row;
      return true;
    }
    if (s.how() == output::jsonl)
      s.print(row_json(names, row));
    else if (s.how() == output::ids)
      s.out() << row.front() << '\n';
    else
      rows.emplace_back(row_json(names, row));
    return true;
  });
  if (s.how() != output::json) return done;
  boost::json::object out = document("rows");
  boost::json::array& columns = out["columns"].emplace_array();
  for (const std::string& name : names) columns.emplace_back(name);
  out["rows"] = std::move(rows);
  s.print(out);
  return done;
}

}  // namespace

action declare_sql(CLI::App& flags) {
  const auto o = std::make_shared<question>();
  flags
      .add_option(
          "STATEMENT", o->statement,
          "one that reads; @FILE or - for standard input. Views: fermata_runs, fermata_events, "
          "fermata_timers, fermata_inbox, fermata_workers, fermata_tags, fermata_published")
      ->required();
  flags.add_flag("--reveal", o->reveal,
                 "allow the tables' own columns of values, which may be of sensitive types");
  return [o](session& s) -> int {
    const question what{text_argument(s, o->statement, "the statement"), o->reveal};
    return s.as_table() ? as_table(s, what) : as_documents(s, what);
  };
}

}  // namespace fermata::cli
