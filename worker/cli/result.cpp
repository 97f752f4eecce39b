// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/result.hpp"

#include "src/convert.hpp"
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace fermata::cli {

namespace {

constexpr duration look_again = std::chrono::seconds(2);

bool stands_still(const engine::run_row& row) {
  return row.attention != engine::attention::none && !engine::ended(row.state);
}

/// It won't end before somebody acts: whoever waits in a script must hear of it.
void warn(session& s, const engine::run_row& row) {
  const std::string sentence =
      fmt::format("{} is {} and doesn't go on by itself; `{}` says why. Waiting all the same",
                  call_of(row), text_of(row.attention), s.command("explain", row));
  if (!s.as_json()) {
    s.err() << painted("fermata:", tint::yellow, s.err_colour()) << ' ' << sentence << ".\n"
            << std::flush;
    return;
  }
  boost::json::object out = document("notice");
  out["run"] = row.run.text();
  out["attention"] = std::string_view(text_of(row.attention));
  out["message"] = sentence;
  print_line(s.err(), out);
}

/// In short waits, since a run may come to stand still at any time.
engine::payload wait_for(session& s, const std::string& run, const std::optional<duration>& limit) {
  const bool for_ever = !limit;
  duration left = limit.value_or(look_again);
  bool warned = false;
  for (;;) {
    const engine::run_row row = s.journal().newest_of(run);
    if (stands_still(row) && !std::exchange(warned, true) && left.count() > 0) warn(s, row);
    const duration now = std::min(left, look_again);
    try {
      return detail::to_engine(s.journal().result(run, now));
    } catch (const class timed_out& problem) {
      if (!for_ever) left -= now;
      if (problem.code() != codes::wait_over.code || left.count() <= 0) throw;
    }
  }
}

}  // namespace

std::optional<duration> time_to_wait(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return duration(read_duration_ms(text, "the time to wait"));
}

int print_result(session& s, const std::string& run, const std::optional<duration>& limit,
                 bool reveal) {
  const engine::run_row before = s.journal().newest_of(run);
  if (!engine::ended(before.state) && !stands_still(before))
    s.hint(fmt::format("Waiting for {} ({}){}; Ctrl-C ends only the waiting.", call_of(before),
                       state_text(before),
                       limit ? ", at most " + span_text(limit->count() * 1000) : ""));
  const engine::payload value = wait_for(s, run, limit);
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
    const auto limit = time_to_wait(o->timeout);
    return print_result(s, find(s, o->run).run.text(), limit, o->reveal);
  };
}

}  // namespace fermata::cli
