// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/input.hpp"
#include "worker/cli/result.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <ostream>

namespace fermata::cli {

namespace {

struct options {
  std::string workflow, input, key, delay, not_after, deadline, queue, on_duplicate = "attach",
                                                                       wait;
  std::vector<std::string> tags;
  int priority = 0;
  bool waits = false, unchecked = false, reveal = false;
  std::optional<duration> at_most;
};

/// The last row of a workflow that was ever served. Throws FER-1304 with what it may have meant.
engine::serving_row served(session& s, const std::string& workflow) {
  std::vector<std::string> names;
  engine::serving_row found;
  for (engine::serving_row& row : must(s.store().serving())) {
    if (row.kind != "workflow") continue;
    names.push_back(row.name);
    if (row.name == workflow) found = std::move(row);
  }
  if (!found.name.empty()) return found;
  const std::string guess = did_you_mean(near_names(workflow, names));
  throw refusal(codes::unknown_workflow,
                fmt::format("no worker ever served a workflow '{}'{}{}", clean(workflow), guess,
                            guess.empty() ? "; start its worker once, or say --unchecked"
                                          : " (--unchecked starts it all the same)"));
}

detail::payload input_of(session& s, const options& o) {
  const std::string what = fmt::format("the input of workflow '{}'", clean(o.workflow));
  detail::payload input = detail::no_value();
  boost::json::value value;
  if (!o.input.empty()) {
    value = parse_argument(text_argument(s, o.input, what), what);
    input.bytes = compact(value);
  }
  if (o.unchecked) return input;
  const engine::serving_row row = served(s, o.workflow);
  check_shape(value, row.input_shape, what);
  input.type = row.input_type;
  return input;
}

/// What the command line alone can tell, before the journal is opened, or made.
start_options options_of(const options& o) {
  start_options out;
  out.key = o.key;
  out.queue = o.queue;
  out.priority = o.priority;
  if (!o.delay.empty()) out.delay = duration(read_duration_ms(o.delay, "--delay"));
  if (!o.deadline.empty()) out.deadline = duration(read_duration_ms(o.deadline, "--deadline"));
  for (const std::string& tag : o.tags) {
    const std::size_t equal = tag.find('=');
    if (equal == 0 || equal == std::string::npos)
      throw usage_error(fmt::format("--tag needs NAME=VALUE, not '{}'", clean(tag)));
    out.tags[tag.substr(0, equal)] = tag.substr(equal + 1);
  }
  if (o.on_duplicate == "attach")
    out.on_duplicate = on_duplicate::attach;
  else if (o.on_duplicate == "fail")
    out.on_duplicate = on_duplicate::fail;
  else if (o.on_duplicate == "restart_if_ended")
    out.on_duplicate = on_duplicate::restart_if_ended;
  else
    throw usage_error(fmt::format("--on-duplicate is attach, fail or restart_if_ended, not '{}'",
                                  clean(o.on_duplicate)));
  return out;
}

time_point not_after_of(session& s, const options& o) {
  const engine::time_us now = s.now();
  const engine::time_us at = read_instant(o.not_after, "--not-after", now, false);
  if (at <= now)
    throw usage_error(fmt::format("--not-after {} has passed already: the run could never begin",
                                  clean(o.not_after)));
  return time_point(duration((at + 999) / 1000));
}

void say_started(session& s, const std::string& id, const options& o) {
  if (!s.as_json()) {
    s.out() << id << '\n' << std::flush;
    if (!o.waits) s.hint("Next: " + s.command("show", s.journal().row_of(id)));
    return;
  }
  boost::json::object out = document("started");
  out["run"] = id;
  out["workflow"] = o.workflow;
  out["key"] = o.key.empty() ? boost::json::value(nullptr) : boost::json::value(o.key);
  s.print(out);
}

int start(session& s, const options& o) {
  detail::start_request request;
  request.workflow = o.workflow;
  request.options = options_of(o);
  if (!o.unchecked && s.has_no_journal())
    throw refusal(codes::unknown_workflow,
                  fmt::format("no worker ever served a workflow '{}': there is no journal {} yet; "
                              "start its worker once, or say --unchecked",
                              clean(o.workflow), clean(s.address())));
  request.input = input_of(s, o);
  if (!o.not_after.empty()) request.options.not_after = not_after_of(s, o);
  const std::string id = s.journal().start(std::move(request));
  if (!o.waits) {
    say_started(s, id, o);
    return done;
  }
  // One document: that of the result has the id, too.
  if (s.how() == output::jsonl)
    say_started(s, id, o);
  else if (!s.as_json())
    s.err() << id << '\n' << std::flush;
  return print_result(s, id, o.at_most, o.reveal);
}

}  // namespace

action declare_start(CLI::App& flags) {
  const auto o = std::make_shared<options>();
  flags.add_option("WORKFLOW", o->workflow, "its name")->required();
  flags.add_option("INPUT", o->input, "JSON, @FILE, or - for standard input");
  const auto* key =
      flags.add_option("-k,--key", o->key, "your own name for the run, unique per workflow")
          ->type_name("KEY");
  flags
      .add_option("--on-duplicate", o->on_duplicate,
                  "when the key is taken: attach (the default), fail or restart_if_ended")
      ->type_name("HOW");
  flags.add_option("--delay", o->delay, "begin that much later")
      ->type_name("DURATION")
      ->group("When");
  flags.add_option("--not-after", o->not_after, "not begun by then: it expires")
      ->type_name("WHEN")
      ->group("When");
  flags.add_option("--deadline", o->deadline, "cancelled when it takes longer")
      ->type_name("DURATION")
      ->group("When");
  flags.add_option("--queue", o->queue, "which workers take it (default)")
      ->type_name("NAME")
      ->group("Where");
  flags.add_option("--priority", o->priority, "higher goes first")->type_name("N")->group("Where");
  flags.add_option("-t,--tag", o->tags, "to find it by; may be given several times")
      ->type_name("NAME=VALUE")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  const auto* wait = flags.add_option("--wait", o->wait, "wait for the result, at most that long")
                         ->type_name("DURATION")
                         ->expected(0, 1)
                         ->group("Result");
  flags.add_flag("--reveal", o->reveal, "show a result of a sensitive type")->group("Result");
  flags.add_flag("--unchecked", o->unchecked, "also what no worker served, or doesn't fit");
  return [o, wait, key](session& s) -> int {
    o->waits = wait->count() > 0;
    o->at_most = time_to_wait(o->wait);
    if (key->count() > 0 && o->key.empty())
      throw refusal(codes::bad_key, "--key is empty: leave it out, or give the run a name");
    return start(s, *o);
  };
}

}  // namespace fermata::cli
