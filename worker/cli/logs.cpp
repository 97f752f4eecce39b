// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <array>
#include <ostream>
#include <set>
#include <tuple>

namespace fermata::cli {

namespace {

struct options {
  std::string run, level;
  bool follow = false;
};

constexpr std::array<std::string_view, 4> levels{"debug", "info", "warning", "error"};
constexpr std::array shades{tint::dim, tint::plain, tint::yellow, tint::red};
constexpr std::int64_t look_again_us = 1'000'000;

int level_named(const std::string& name) {
  if (name.empty()) return 0;
  const auto found = std::ranges::find(levels, name);
  if (found == levels.end())
    throw usage_error(
        fmt::format("--level is debug, info, warning or error, not '{}'", clean(name)));
  return static_cast<int>(found - levels.begin());
}

std::size_t index_of(const engine::log_line& line) {
  return static_cast<std::size_t>(std::clamp(line.level, 0, 3));
}

boost::json::object line_json(session& s, const engine::log_line& line) {
  boost::json::object out = document("log_line");
  out["run"] = line.run.text();
  out["at"] = time_json(line.at, s.shown());
  out["level"] = levels[index_of(line)];
  out["text"] = line.text;
  out["position"] = line.position;
  out["place"] = line.place;
  return out;
}

void print_text(session& s, const engine::log_line& line) {
  s.out() << s.paint(fmt::format("{:<8}", s.time(line.at)), tint::dim) << "  "
          << s.paint(fmt::format("{:<7}", levels[index_of(line)]), shades[index_of(line)]) << "  "
          << clean(line.text);
  if (!line.place.empty()) s.out() << "  " << s.paint(clean(line.place), tint::dim);
  s.out() << '\n';
}

int print_logs(session& s, const options& o) {
  const engine::run_row row = find(s, o.run);
  const int least = level_named(o.level);
  std::set<std::tuple<engine::position_t, int, engine::time_us, std::string>> seen;
  boost::json::array all;
  for (;;) {
    const std::uint32_t wake = s.store().wake_count();
    const bool ended = engine::ended(must(s.store().find_run(row.run)).state);
    for (const engine::log_line& line :
         must(s.store().logs(row.run, engine::limits::logs_per_run))) {
      if (line.level < least) continue;
      if (!seen.emplace(line.position, line.ordinal, line.at, line.text).second) continue;
      if (s.how() == output::jsonl)
        s.print(line_json(s, line));
      else if (s.how() == output::json)
        all.push_back(line_json(s, line));
      else
        print_text(s, line);
    }
    s.out().flush();
    if (!o.follow || ended) break;
    s.store().wait(wake, look_again_us);
  }
  if (s.how() == output::json) {
    boost::json::object out = document("log_lines");
    out["run"] = row.run.text();
    out["lines"] = std::move(all);
    s.print(out);
  } else if (seen.empty()) {
    s.hint("The run has logged nothing; its code does with ctx.log().");
  }
  return done;
}

}  // namespace

action declare_logs(CLI::App& flags) {
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->run, "key, id, beginning of an id, or WORKFLOW/KEY")->required();
  flags.add_flag("-f,--follow", o->follow, "go on until the run ends");
  flags.add_option("--level", o->level, "debug, info, warning or error, and above")
      ->type_name("LEVEL");
  return [o](session& s) -> int { return print_logs(s, *o); };
}

}  // namespace fermata::cli
