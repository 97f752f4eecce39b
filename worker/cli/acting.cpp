// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/acting.hpp"

#include "worker/cli/address.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

void answer(session& s, const acting& how, const engine::run_row& row, const std::string& id) {
  if (s.as_json()) {
    boost::json::object out = document(how.type);
    out["act"] = how.verb;
    out["run"] = row.run.text();
    out["goes_on_as"] = id;
    s.print(out);
    return;
  }
  if (s.how() == output::ids || !s.where().out_is_terminal) {
    s.out() << id << '\n' << std::flush;
    return;
  }
  s.out() << s.paint(how.did, tint::green) << "  " << call_of(row)
          << (id == row.run.text() ? "" : "  → " + id) << '\n'
          << std::flush;
}

void complain(session& s, const engine::run_row& row, const error& problem) {
  if (!s.as_json()) {
    s.err() << painted("fermata:", tint::red, s.err_colour()) << ' ' << call_of(row) << ": "
            << sentence_of(problem) << '\n';
    return;
  }
  boost::json::object out = document("error");
  out["code"] = problem.code();
  out["message"] = bare_message(problem.what());
  out["run"] = row.run.text();
  out["exit"] = exit_code_of(problem.code());
  print_line(s.err(), out);
}

}  // namespace

int act_on(session& s, const std::vector<std::string>& names, const acting& how) {
  const std::vector<engine::run_row> rows = find_all(s, names);
  if (rows.empty()) {
    s.hint("No run was named.");
    return done;
  }
  if (!agreed(s, how.verb, rows)) return failed;
  if (rows.size() == 1) {
    answer(s, how, rows.front(), how.one(rows.front()));
    return done;
  }
  int code = done;
  std::int64_t well = 0;
  for (const engine::run_row& row : rows) {
    try {
      answer(s, how, row, how.one(row));
      ++well;
    } catch (const error& problem) {
      code = exit_code_of(problem.code());
      complain(s, row, problem);
    }
  }
  s.hint(fmt::format("{}: {} of {}", how.did, well, count_of(std::ssize(rows), "run")));
  return code;
}

}  // namespace fermata::cli
