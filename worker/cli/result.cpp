// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/result.hpp"

#include "src/convert.hpp"
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

int print_result(session& s, const std::string& run, const std::string& limit, bool reveal) {
  std::optional<duration> at_most;
  if (!limit.empty()) at_most = duration(read_duration_ms(limit, "the time to wait"));
  const engine::run_row before = s.journal().newest_of(run);
  if (!engine::ended(before.state))
    s.hint(fmt::format("Waiting for {} ({}){}; Ctrl-C ends only the waiting.", call_of(before),
                       state_text(before), limit.empty() ? "" : ", at most " + limit));
  const engine::payload value = detail::to_engine(s.journal().result(run, at_most));
  const engine::run_row row = s.journal().newest_of(run);
  if (s.as_json()) {
    boost::json::object out = document("result");
    out["run"] = row.run.text();
    out["state"] = text_of(row.state);
    out["result"] = payload_json(value, s.shown(reveal));
    s.print(out);
    return done;
  }
  if (s.how() == output::ids)
    s.out() << row.run.text() << '\n';
  else if (value.sensitive && !reveal)
    s.out() << payload_text(value, false) << '\n';
  else
    s.out() << value.bytes << '\n';
  if (value.sensitive && !reveal) s.hint("It is of a sensitive type; --reveal shows it.");
  return done;
}

action declare_result(CLI::App& flags) {
  struct options {
    std::string run, timeout;
    bool reveal = false;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->run, "key, id, beginning of an id, or WORKFLOW/KEY")->required();
  flags.add_option("--timeout", o->timeout, "wait at most that long; 0: don't wait")
      ->type_name("DURATION");
  flags.add_flag("--reveal", o->reveal, "show a result of a sensitive type");
  return [o](session& s) -> int {
    return print_result(s, find(s, o->run).run.text(), o->timeout, o->reveal);
  };
}

}  // namespace fermata::cli
