// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/explain.hpp"

#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>

#include <ostream>

namespace fermata::cli {

namespace {

std::string step_text(const next_step& one) {
  return one.command + (one.when.empty() ? "" : "    (" + one.when + ")");
}

boost::json::object explanation_json(session& s, const engine::run_row& row, const explanation& e) {
  boost::json::object out = document("explanation");
  out["run"] = run_json(row, s.shown());
  out["reason"] = e.reason;
  out["sentence"] = e.sentence;
  boost::json::array& evidence = out["evidence"].emplace_array();
  for (const std::string& one : e.evidence) evidence.emplace_back(one);
  boost::json::array next;
  boost::json::array advice;
  for (const next_step& one : e.next) {
    if (one.whole) next.emplace_back(one.command);
    if (!one.whole || !one.when.empty()) advice.emplace_back(step_text(one));
  }
  for (const std::string& one : e.advice) advice.emplace_back(one);
  out["next"] = std::move(next);  // commands only
  out["advice"] = std::move(advice);
  return out;
}

void print_explanation(session& s, const engine::run_row& row, const explanation& e) {
  const std::size_t room = s.width() == 0 ? 10'000 : s.width();
  s.out() << s.paint(clean(row.workflow), tint::dim) << "  " << s.paint(row.run.text(), tint::dim)
          << "  " << s.paint(state_text(row), tint_of(row.state, row.attention)) << "\n\n";
  for (const std::string& line : wrapped(e.sentence, room))
    s.out() << s.paint(line, tint::bold) << '\n';
  if (!e.evidence.empty()) s.out() << '\n';
  for (const std::string& one : e.evidence) {
    bool first = true;
    for (const std::string& part : lines_in(one))
      for (const std::string& line : s.width() == 0 ? std::vector{part} : wrapped(part, room - 4)) {
        s.out() << (first ? "  · " : "    ") << line << '\n';
        first = false;
      }
  }
  std::vector<std::string> next = e.advice;
  for (const next_step& one : e.next) next.push_back(step_text(one));
  if (!next.empty()) s.out() << '\n';
  for (const std::string& one : next)
    s.out() << (&one == &next.front() ? "  Next: " : "        ") << s.paint(one, tint::cyan)
            << '\n';
}

}  // namespace

action declare_explain(CLI::App& flags) {
  const auto runs = std::make_shared<std::vector<std::string>>();
  flags.add_option("RUN", *runs, "keys or ids; - reads them from standard input")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return [runs](session& s) -> int {
    bool first = true;
    for (const engine::run_row& row : find_all(s, *runs)) {
      const explanation e = reason_for(s, facts_of(s, row));
      if (s.how() == output::ids) {
        s.out() << row.run.text() << '\n';
      } else if (s.as_json()) {
        s.print(explanation_json(s, row, e));
      } else {
        if (!first) s.out() << '\n';
        print_explanation(s, row, e);
      }
      first = false;
    }
    return done;
  };
}

}  // namespace fermata::cli
