// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"
#include "worker/cli/acting.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

namespace fermata::cli {

namespace {

/// As `journal_impl::cancel`, with who and why in the history.
void cancel(session& s, const engine::run_row& row, const std::string& why) {
  if (row.state == engine::run_state::compensating)
    throw refusal(
        codes::not_allowed_now,
        fmt::format("run {} is compensating: what it did is being undone already, and that "
                    "can't be cancelled; `{}` says how far it is",
                    call_of(row), s.command("explain", row)),
        row.run.text());
  engine::message m;
  m.id = engine::new_message_id(s.journal().time(), s.journal().chance());
  m.to = row.chain;
  m.kind = engine::message_kind::cancel;
  m.details.mutable_cancel()->set_by(who(s.where()));
  m.details.mutable_cancel()->set_why(why);
  engine::batch batch;
  batch.messages.push_back(std::move(m));
  const auto answer = must(s.journal().writer().commit(std::move(batch)), row.run.text());
  using outcome = engine::message_result::outcome;
  switch (answer.messages.front().how) {
    case outcome::accepted:
    case outcome::repeated:
      if (row.state == engine::run_state::waiting_to_start && !s.as_json())
        s.err() << call_of(row)
                << " hasn't begun: the cancel takes effect when a worker begins it; `"
                << s.command("terminate", row) << "` ends it now.\n";
      return;
    case outcome::ended:
      throw error(codes::run_ended,
                  fmt::format("run {} has ended: it is {}", call_of(row),
                              text_of(s.journal().newest_of(row.run.text()).state)),
                  row.run.text());
    case outcome::full:
      throw error(codes::inbox_full,
                  fmt::format("{} messages wait for run {} already",
                              engine::limits::inbox_per_chain, call_of(row)),
                  row.run.text());
    case outcome::unknown:
      throw error(codes::unknown_run, fmt::format("run {} is gone", call_of(row)), row.run.text());
  }
}

}  // namespace

action declare_cancel(CLI::App& flags) {
  struct options {
    std::vector<std::string> runs;
    std::string why;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->runs, "keys or ids; - reads them from standard input")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  flags.add_option("--why", o->why, "kept in the history")->type_name("TEXT");
  return [o](session& s) -> int {
    detail::check_utf8("--why", o->why);
    return act_on(s, o->runs,
                  {.verb = "cancel",
                   .did = "cancel asked for",
                   .type = "accepted",
                   .one = [&](const engine::run_row& row) {
                     cancel(s, row, o->why);
                     return row.run.text();
                   }});
  };
}

}  // namespace fermata::cli
