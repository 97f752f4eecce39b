// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/input.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

action declare_signal(CLI::App& flags) {
  struct options {
    std::string run, name, value;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->run, "key, id, beginning of an id, or WORKFLOW/KEY")->required();
  flags.add_option("NAME", o->name, "of the signal")->required();
  flags.add_option("VALUE", o->value, "JSON, @FILE, or - for standard input");
  return [o](session& s) -> int {
    const std::string what = fmt::format("signal '{}'", clean(o->name));
    detail::payload value = detail::no_value();
    if (!o->value.empty())
      value.bytes = compact(parse_argument(text_argument(s, o->value, what), what));
    const engine::run_row row = find(s, o->run);
    s.journal().signal(row.chain.text(), o->name, std::move(value));
    if (s.as_json()) {
      boost::json::object out = document("accepted");
      out["act"] = "signal";
      out["run"] = row.run.text();
      out["name"] = o->name;
      s.print(out);
    } else if (s.how() == output::ids || !s.where().out_is_terminal) {
      s.out() << row.run.text() << '\n';
    } else {
      s.out() << s.paint("accepted", tint::green) << "  " << clean(o->name) << " for "
              << call_of(row) << '\n';
    }
    return done;
  };
}

}  // namespace fermata::cli
