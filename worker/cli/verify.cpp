// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/verify.hpp"

#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

/// What the store says of its own pages has its code; findings in runs are told by their place.
std::string what_of(const engine::finding& one) {
  const bool store = one.run.empty() && one.what.starts_with("store damage");
  return store ? fmt::format("{} [{}]", one.what, codes::damaged.code) : one.what;
}

boost::json::object finding_json(const engine::finding& one) {
  boost::json::object out = document("finding");
  out["run"] = one.run.empty() ? boost::json::value(nullptr) : boost::json::value(one.run.text());
  out["position"] =
      one.position == 0 ? boost::json::value(nullptr) : boost::json::value(one.position);
  out["what"] = what_of(one);
  return out;
}

std::string place_of(const engine::finding& one) {
  if (one.run.empty()) return "journal";
  return one.run.text() + (one.position == 0 ? "" : fmt::format(", position {}", one.position));
}

std::string summary_text(const engine::verify_summary& sum) {
  return fmt::format(
      "{} and {} checked{}", count_of(static_cast<std::int64_t>(sum.runs), "run"),
      count_of(static_cast<std::int64_t>(sum.events), "event"),
      sum.payloads_erased == 0
          ? ""
          : fmt::format(", {} erased",
                        count_of(static_cast<std::int64_t>(sum.payloads_erased), "payload")));
}

int verify(session& s, const std::string& run) {
  engine::verify_options options;
  if (!run.empty()) {
    options.only = find(s, run).run;
    options.pages = false;
  }
  boost::json::array findings;
  const bool live = s.where().err_is_terminal;
  options.found = [&](const engine::finding& one) {
    if (s.how() == output::json)
      findings.push_back(finding_json(one));
    else if (s.how() == output::jsonl)
      s.print(finding_json(one));
    else if (s.how() == output::ids)
      s.out() << (one.run.empty() ? "" : one.run.text() + "\n");
    else
      s.out() << (live ? "\r\x1b[K" : "") << s.paint(place_of(one), tint::red) << ": "
              << clean(what_of(one)) << '\n'
              << std::flush;
  };
  options.progress = [&](const engine::verify_summary& sum) {
    if (live) s.err() << "\r\x1b[K" << summary_text(sum) << " …" << std::flush;
  };
  const engine::verify_summary sum = must(engine::verify(s.store(), options));
  if (live) s.err() << "\r\x1b[K" << std::flush;
  if (s.as_json()) {
    boost::json::object out = document("verification");
    out["runs"] = sum.runs;
    out["events"] = sum.events;
    out["payloads_erased"] = sum.payloads_erased;
    out["findings"] = sum.findings;
    out["sound"] = sum.findings == 0;
    if (s.how() == output::json) out["found"] = std::move(findings);
    s.print(out);
  } else if (s.as_table()) {
    s.out() << summary_text(sum) << ": "
            << (sum.findings == 0
                    ? s.paint("all is sound", tint::green)
                    : s.paint(count_of(static_cast<std::int64_t>(sum.findings), "finding"),
                              tint::red))
            << '\n';
  }
  return sum.findings == 0 ? done : failed;
}

}  // namespace

action declare_verify(CLI::App& flags) {
  const auto run = std::make_shared<std::string>();
  flags.add_option("RUN", *run, "only this one");
  return [run](session& s) -> int { return verify(s, *run); };
}

}  // namespace fermata::cli
