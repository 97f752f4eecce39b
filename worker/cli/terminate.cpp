// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/operate.hpp"
#include "src/convert.hpp"
#include "worker/cli/acting.hpp"
#include "worker/cli/command.hpp"

namespace fermata::cli {

action declare_terminate(CLI::App& flags) {
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
                  {.verb = "terminate",
                   .did = "terminated",
                   .type = "acted",
                   .one = [&](const engine::run_row& row) {
                     check(engine::terminate(s.store(), row.run, {who(s.where()), o->why}),
                           row.run.text());
                     return row.run.text();
                   }});
  };
}

}  // namespace fermata::cli
