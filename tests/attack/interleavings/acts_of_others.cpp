// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/operate/operate.hpp"
#include "engine/store/status.hpp"
#include "tests/attack/interleavings/world.hpp"

#include <utility>

namespace fermata::interleavings {

using namespace engine;

namespace {

const engine::act ada{.who = "ada", .why = "interleavings"};

call sending(message what) {
  return [what = std::move(what)](store& through) -> truth {
    batch one;
    one.messages = {what};
    const auto done = through.commit(std::move(one));
    if (!done.ok()) return [](world&) {};
    return [what, how = done->messages[0].how](world& at) {
      const int there = at.count(what.to, what.id);
      if (there != (how == message_result::outcome::accepted ? 1 : 0))
        at.not_so("a message that was answered " + std::to_string(static_cast<int>(how)) +
                  " is there " + std::to_string(there) + " times");
    };
  };
}

call signal_owned(world& at) { return sending(at.message_to(at.owned->chain)); }
call signal_parked(world& at) { return sending(at.message_to(at.parked->chain)); }

call cancel(world& at) {
  message what = at.message_to(at.owned->chain);
  what.kind = message_kind::cancel;
  what.name.clear();
  return sending(what);
}

/// Afterwards the run is what was said.
call acting(const run_id& run, std::function<absl::Status(store&)> how,
            std::function<bool(const run_row&)> holds) {
  return [=](store& through) -> truth {
    const absl::Status told = how(through);
    return [=](world& at) {
      const auto row = at.plain.find_run(run);
      const bool ended_before = fer_code_of(told) == "FER-1303";
      if (!row.ok()) return at.not_so("an operator's run is gone");
      if (told.ok() ? !holds(*row) : ended_before && !ended(row->state))
        at.not_so("an operator was told '" + std::string(told.message()) + "' of a run that is " +
                  std::string(text_of(row->state)));
    };
  };
}

bool is_over(const run_row& row) { return ended(row.state); }

call terminate_owned(world& at) {
  const run_id run = at.owned->run;
  return acting(run, [run](store& where) { return terminate(where, run, ada); }, is_over);
}
call terminate_parked(world& at) {
  const run_id run = at.parked->run;
  return acting(run, [run](store& where) { return terminate(where, run, ada); }, is_over);
}
call terminate_late(world& at) {
  const run_id run = at.late.run;
  return acting(run, [run](store& where) { return terminate(where, run, ada); }, is_over);
}
call pause_owned(world& at) {
  const run_id run = at.owned->run;
  return acting(
      run, [run](store& where) { return pause(where, run, ada); },
      [](const run_row& row) { return row.attention == attention::paused || ended(row.state); });
}
call expire(world& at) {
  return acting(
      at.late.run, [](store& where) { return expire_requests(where, 100); },
      [](const run_row& row) { return row.state != run_state::waiting_to_start; });
}
call close(world&) {
  return [](store& through) -> truth {
    const auto told = close_children(through, 100);
    return [ok = told.ok(), said = std::string(told.status().message())](world& at) {
      if (!ok) at.not_so("children weren't closed: " + said);
    };
  };
}
call retry_failed(world& at) {
  const run_id run = at.failed->run;
  return [run](store& through) -> truth {
    const auto told = retry(through, run, ada, false);
    if (!told.ok()) return [](world&) {};
    return [made = *told](world& in) {
      if (!in.plain.find_run(made).ok()) in.not_so("a retried run isn't there");
    };
  };
}

call starting(world& at, const std::string& key, std::string input, on_duplicate how,
              bool admitted = false) {
  start_request what = at.request("pay", key);
  what.input = conformance::text_payload(input);
  start_item item = at.scene.item(what, how);
  if (admitted) item.admit = at.scene.first_event(what);
  const std::int64_t worker = admitted ? at.one.row : 0;
  return [=](store& through) -> truth {
    batch one;
    one.worker = worker;
    one.starts = {item};
    const auto done = through.commit(std::move(one));
    if (!done.ok()) return [](world&) {};
    return [=, told = done->starts[0]](world& in) {
      const bool there = in.plain.find_run(what.run).ok();
      if (there != (told.how == start_result::outcome::started))
        in.not_so("a start that was answered " + std::to_string(static_cast<int>(told.how)) +
                  " is " + (there ? "there" : "not there"));
      if (told.admitted) in.owns(worker, what.run, 1);
      const bool names_another = told.how == start_result::outcome::attached;
      if (names_another && !in.plain.find_chain(told.chain).ok())
        in.not_so("a start was attached to what isn't there");
    };
  };
}

call start(world& at) { return starting(at, "key", "input", on_duplicate::attach); }
call start_otherwise(world& at) { return starting(at, "key", "other", on_duplicate::attach); }
call start_once(world& at) { return starting(at, "key", "input", on_duplicate::fail); }
call start_again(world& at) {
  return starting(at, "failed", "input", on_duplicate::restart_if_ended);
}
call start_admitted(world& at) { return starting(at, "key", "input", on_duplicate::attach, true); }

}  // namespace

std::vector<act> acts_of_others() {
  return {{"signal", caller::anybody, signal_owned},
          {"signal to a parked run", caller::anybody, signal_parked},
          {"cancel", caller::anybody, cancel},
          {"terminate", caller::anybody, terminate_owned},
          {"terminate a parked run", caller::anybody, terminate_parked},
          {"terminate a late request", caller::anybody, terminate_late},
          {"pause", caller::anybody, pause_owned},
          {"expire", caller::anybody, expire},
          {"close children", caller::anybody, close},
          {"retry", caller::anybody, retry_failed},
          {"start with the key", caller::anybody, start},
          {"start with another input", caller::anybody, start_otherwise},
          {"start if there is none", caller::anybody, start_once},
          {"start again", caller::anybody, start_again},
          {"start here", caller::one, start_admitted}};
}

}  // namespace fermata::interleavings
