// SPDX-License-Identifier: Apache-2.0
// Runs that have ended, and open ones that wait for a person.
#include "engine/replay/mismatch.hpp"
#include "worker/cli/explain.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::cli {

engine::run_row named(engine::run_row row, const engine::run_id& run) {
  row.run = run;
  row.key.clear();
  return row;
}

explanation because_ended(session& s, const run_facts& f) {
  const engine::run_row& row = f.row;
  const std::string call = call_of(row);
  explanation out{.reason = std::string(text_of(row.state))};
  const std::string when =
      fmt::format("{} {}, after {}", text_of(row.state), s.time(row.ended),
                  span_text(row.ended - (row.started ? row.started : row.ended)));
  out.sentence = fmt::format(
      "{} {}{}.", call, when,
      row.error.empty() || row.error == text_of(row.state) ? "" : ": " + clean(row.error));
  if (row.next_run != engine::run_id{})
    out.evidence.push_back("it goes on as " + row.next_run.text());
  switch (row.state) {
    case engine::run_state::completed:
      out.next = {{s.command("result", row)}};
      break;
    case engine::run_state::continued:
      out.next = {{s.command("explain", named(row, row.next_run))}};
      break;
    case engine::run_state::expired:
      out.evidence.emplace_back("no worker took it before its not_after passed");
      out.next = {{s.command("status")}};
      break;
    default:
      out.next = {{s.command("show", row)}};
      if (row.next_run != engine::run_id{})
        out.next.push_back({s.command("explain", named(row, row.next_run))});
      else if (f.compensated)
        out.next.push_back({s.command("retry", row, "--from-start"),
                            "it has compensated: everything is done again"});
      else
        out.next.push_back({s.command("retry", row)});
  }
  return out;
}

namespace {

/// "signal 'reviewed' at position 7", when that is what can't be read.
std::string unreadable_signal(const run_facts& f) {
  for (const auto& [name, position] : f.signals)
    if (f.row.report.find(engine::describe(engine::operation_kind::receive, name)) !=
        std::string::npos)
      return fmt::format("signal '{}' at position {}", clean(name), position);
  return {};
}

void because_blocked(session& s, const run_facts& f, explanation& out) {
  const engine::run_row& row = f.row;
  const std::string call = call_of(row);
  const auto has = [&](std::string_view code) {
    return row.report.find(code) != std::string::npos;
  };
  const bool message =
      std::ranges::any_of(f.inbox, [](const auto& m) { return !m.damage.empty(); });
  out.next = {{s.command("show", row)}};
  if (has("[FER-2103]")) {
    out.sentence = fmt::format("{} is blocked: {}. Other runs go on.", call,
                               message ? "a message that waits for it is damaged and can't be read"
                                       : "its journal is damaged and can't be replayed");
    out.next = {{s.command("verify", row)},
                {s.command("retry", row), "when it is restored from a backup"}};
    if (message) out.next.push_back({s.command("terminate", row), "gives it up"});
    return;
  }
  if (has("[FER-1201]")) {
    const std::string signal = unreadable_signal(f);
    out.sentence = fmt::format(
        "{} is blocked: {} can't be read as the type that the code has. Nothing has failed, and "
        "what is recorded stays recorded.",
        call, signal.empty() ? "a recorded value" : signal);
    if (!signal.empty())
      out.evidence.emplace_back(
          "a signal is checked when the code receives it, not when it is sent");
    out.next.push_back({s.command("retry", row), "when code that can read it is deployed"});
    out.next.push_back({s.command("terminate", row),
                        "gives it up; `retry --from-start` then begins it anew, with the same "
                        "idempotency keys"});
    return;
  }
  out.sentence = fmt::format(
      "{} is blocked: the workflow's code has changed and no longer fits "
      "what the journal has. Nothing is lost and nothing has failed.",
      call);
  if (!row.build.empty()) out.evidence.push_back("begun by build " + clean(row.build));
  for (const auto& worker : f.workers)
    if (worker.build == row.build)
      out.evidence.push_back("a worker of that build is alive and may take it: " +
                             worker.id.text());
  out.next.push_back(
      {s.command("retry", row), "when code that fits is deployed; see ctx.patched()"});
}

}  // namespace

std::optional<explanation> because_of_attention(session& s, const run_facts& f) {
  const engine::run_row& row = f.row;
  const std::string call = call_of(row);
  explanation out{.reason = std::string(text_of(row.attention))};
  if (!row.report.empty()) out.evidence.push_back(clean_lines(row.report));
  switch (row.attention) {
    case engine::attention::none:
      return std::nullopt;
    case engine::attention::blocked:
      because_blocked(s, f, out);
      break;
    case engine::attention::quarantined:
      out.sentence =
          fmt::format("{} is quarantined: an operation took its worker down too often.", call);
      out.next = {{s.command("show", row)}, {s.command("retry", row), "when the step is mended"}};
      break;
    case engine::attention::paused:
      out.sentence = fmt::format("{} is paused.", call);
      if (f.last_act.act() == "pause")
        out.sentence = fmt::format("{} was paused {} by {}{}.", call, s.time(f.last_act_at),
                                   clean(f.last_act.who()),
                                   f.last_act.why().empty() ? "" : ": " + clean(f.last_act.why()));
      out.next = {{s.command("show", row)}};
      break;
    case engine::attention::needs_attention:
      out.sentence =
          fmt::format("{} needs a person: a compensation failed for good, the rest waits.", call);
      out.next = {{s.command("show", row)},
                  {s.command("retry", row), "goes on with that compensation"}};
      break;
  }
  return out;
}

}  // namespace fermata::cli
