// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/input.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ostream>

namespace fermata::cli {

namespace {

using engine::sql_value;
using values = std::vector<sql_value>;

struct question {
  std::string statement;
  bool reveal = false;
};

/// A statement that can't be answered is the caller's mistake, not the store's.
void ask(session& s, const question& what, const std::function<bool(const values&)>& row) {
  const auto shown = what.reveal ? engine::payloads::revealed : engine::payloads::hidden;
  const absl::Status answered = s.store().query(what.statement, shown, row);
  if (absl::IsInvalidArgument(answered)) throw usage_error(std::string(answered.message()));
  check(answered);
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

/// Two columns of one name would be one member: the second is NAME_2.
std::vector<std::string> unique_names(const values& row) {
  std::vector<std::string> names;
  for (const sql_value& one : row) {
    std::string name = one.text;
    for (int n = 2; std::ranges::find(names, name) != names.end(); ++n)
      name = fmt::format("{}_{}", one.text, n);
    names.push_back(std::move(name));
  }
  return names;
}

/// As SQL has it: numbers stay numbers, NULL is null, and a blob is its bytes in hexadecimal.
boost::json::value value_json(const sql_value& value) {
  switch (value.is) {
    case sql_value::kind::null:
      return nullptr;
    case sql_value::kind::integer:
      return static_cast<std::int64_t>(std::strtoll(value.text.c_str(), nullptr, 10));
    case sql_value::kind::real: {
      const double number = std::strtod(value.text.c_str(), nullptr);
      return std::isfinite(number) ? boost::json::value(number) : boost::json::value(value.text);
    }
    case sql_value::kind::text:
      return boost::json::value(value.text);
    case sql_value::kind::blob:
      return boost::json::value(hex(value.text));
  }
  return nullptr;
}

boost::json::object row_json(const std::vector<std::string>& names, const values& row) {
  boost::json::object out;
  for (std::size_t i = 0; i < names.size() && i < row.size(); ++i)
    out[names[i]] = value_json(row[i]);
  return out;
}

std::string value_text(const sql_value& value) {
  if (value.is == sql_value::kind::blob) return hex(value.text);
  return value.text.empty() ? "–" : clean(value.text);
}

int as_table(session& s, const question& what) {
  std::optional<table> t;
  std::int64_t rows = 0;
  constexpr std::int64_t page = 1'000;
  ask(s, what, [&](const values& row) {
    if (!t) {
      std::vector<column> columns;
      for (const sql_value& name : row) columns.push_back({clean(name.text), false, 6, true});
      t.emplace(s.make_table(std::move(columns)));
      return true;
    }
    std::vector<cell> cells;
    for (const sql_value& value : row) cells.push_back({value_text(value)});
    t->add(std::move(cells));
    if (++rows % page == 0) t->print(s.out());
    return true;
  });
  if (t && !t->empty()) t->print(s.out());
  s.hint(count_of(rows, "row"));
  return done;
}

int as_documents(session& s, const question& what) {
  std::vector<std::string> names;
  boost::json::array rows;
  ask(s, what, [&](const values& row) {
    if (names.empty()) {
      names = unique_names(row);
      return true;
    }
    if (s.how() == output::jsonl)
      s.print(row_json(names, row));
    else if (s.how() == output::ids)
      s.out() << (row.front().is == sql_value::kind::blob ? hex(row.front().text)
                                                          : row.front().text)
              << '\n';
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
      .add_option("STATEMENT", o->statement,
                  "one that reads; @FILE or - for standard input. A blob is shown in hexadecimal. "
                  "Views: fermata_runs, fermata_events, "
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
