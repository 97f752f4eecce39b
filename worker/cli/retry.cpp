// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/operate.hpp"
#include "src/convert.hpp"
#include "worker/cli/acting.hpp"
#include "worker/cli/command.hpp"

namespace fermata::cli {

action declare_retry(CLI::App& flags) {
  struct options {
    std::vector<std::string> runs;
    std::string why;
    bool from_start = false;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->runs, "keys or ids; - reads them from standard input")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  flags.add_flag("--from-start", o->from_start, "keep nothing that is finished");
  flags.add_option("--why", o->why, "kept in the history")->type_name("TEXT");
  return [o](session& s) -> int {
    detail::check_utf8("--why", o->why);
    return act_on(
        s, o->runs,
        {.verb = "retry",
         .did = "goes on",
         .type = "acted",
         .one = [&](const engine::run_row& row) {
           const engine::act by{who(s.where()), o->why};
           return must(engine::retry(s.store(), row.run, by, o->from_start), row.run.text()).text();
         }});
  };
}

}  // namespace fermata::cli
