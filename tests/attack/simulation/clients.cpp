// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/clients.hpp"

#include "engine/operate/operate.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"

#include <absl/status/status.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace fermata::simulation {

namespace {

constexpr micros again_after = 300'000;
constexpr std::uint32_t first_number = 1'000;  // of their actors
constexpr int runs_least = 6;
constexpr int runs_more = 20;

}  // namespace

/// A process with a client alone.
struct clients::connection {
  connection(world& in, std::size_t nth)
      : at(in.turns.current().at),
        store(std::make_shared<faulty_store>(in, at, 1)),
        chance(std::make_shared<engine::seeded_random>(in.by.fixed(10'000 + nth))),
        journal(std::make_shared<detail::journal_impl>(store, "default", in.time, chance)) {}

  std::shared_ptr<place> at;
  std::shared_ptr<faulty_store> store;
  std::shared_ptr<engine::seeded_random> chance;
  std::shared_ptr<detail::journal_impl> journal;
};

clients::clients(world& in, worker_process in_which) : in_(in), in_which_(std::move(in_which)) {
  const int count = runs_least + static_cast<int>(in_.by.fixed(20) % runs_more);
  for (int nth = 0; nth < count; ++nth) want(static_cast<std::size_t>(nth));
}

bool clients::over() const {
  return std::ranges::all_of(all_, [](const auto& one) { return one->over; });
}

void clients::want(std::size_t nth) {
  const std::uint64_t about = in_.by.fixed(1'000 + nth);
  all_.push_back(std::make_unique<wanted_run>());
  wanted_run& run = *all_.back();
  run.what = {.id = static_cast<int>(nth) + 1,
              .seed = static_cast<int>(about % 1'000'000),
              .depth = 2,
              .root = true};
  // Who sends signals must know whom to.
  if (about >> 20 & 1 || !signals_of(run.what).empty()) run.key = fmt::format("key-{}", nth);
  const auto number = first_number + static_cast<std::uint32_t>(nth);
  if (in_.by.ask(choice::operation, number, 1'000, 1) == 0) {
    run.over = true;
    return;
  }
  in_.by.tell(0, fmt::format("a client starts program {} ({})", run.what.id,
                             run.key.empty() ? "without a key" : run.key));
  const micros at = static_cast<micros>((about >> 24) % static_cast<std::uint64_t>(in_.sky.chaos));
  in_.turns.add(
      fmt::format("c{}", nth), number, std::make_shared<place>(),
      [this, nth, &run] {
        act(nth, run);
        run.over = true;
      },
      at);
}

void clients::act(std::size_t nth, wanted_run& run) {
  connection by(in_, nth);
  const auto decide = [&](std::uint32_t permille, const char* what) {
    const bool yes = in_.by.ask(choice::operation, first_number + static_cast<std::uint32_t>(nth),
                                permille, 1) != 0;
    if (yes)
      in_.by.tell(in_.turns.now(), fmt::format("the client of program {} {}", run.what.id, what));
    return yes;
  };
  const bool in_worker = decide(500, "is in a worker's process");
  const bool twice = decide(300, "starts it again");
  const bool also_maybe = decide(300, "sends what isn't needed");
  const bool cancels = decide(120, "cancels it");
  const bool terminates = decide(80, "terminates it");
  while (!try_start(by, nth, run, in_worker) && !run.key.empty() && !in_.over)
    in_.turns.sleep(again_after);
  if (!run.started) return;
  ++in_.seen.total.acked;
  if (twice && !run.key.empty()) start_again(by, run);
  in_.turns.sleep(static_cast<micros>(in_.by.fixed(3'000 + nth) % 10) * second);
  if (cancels) stop(by, run, false);
  send_all(by, run, also_maybe);
  if (terminates) stop(by, run, true);
}

/// False: nobody knows whether it was started.
bool clients::try_start(connection& by, std::size_t nth, wanted_run& run, bool in_worker) {
  const auto start = [&](detail::journal_impl& in) {
    start_options how;
    how.key = run.key;
    how.tags = {{"program", std::to_string(run.what.id)}};
    run.started = engine::run_id::parse(
        in.start({run_program.name(), detail::encode<program>(run.what), std::move(how)}));
  };
  run.tried = true;
  try {
    const std::shared_ptr<process> where = in_worker ? in_which_(nth) : nullptr;
    if (!where || !where->visit(start)) start(*by.journal);
    in_.tell("{}: program {} is {}", in_.turns.current().name, run.what.id, run.started->text());
    return true;
  } catch (const error& why) {
    run.unknown = true;
    in_.tell("{}: start of program {}: {}", in_.turns.current().name, run.what.id, why.what());
    return false;
  }
}

/// The same key finds the same run; with another input it is refused.
void clients::start_again(connection& by, wanted_run& run) {
  for (const bool other_input : {false, true}) {
    program asked = run.what;
    asked.depth += other_input ? 1 : 0;
    start_options how;
    how.key = run.key;
    std::string code;
    std::string got;
    try {
      got = by.journal->start({run_program.name(), detail::encode<program>(asked), std::move(how)});
    } catch (const error& why) {
      code = why.code();
    }
    const bool conflict = code == codes::key_conflict.code;
    if (got.empty() && !conflict) continue;  // the store didn't answer
    if (other_input != conflict || (!got.empty() && got != run.started->text()))
      in_.seen.complain("keys", fmt::format("key {} of {} with {} input gave '{}' {}", run.key,
                                            run.started->text(),
                                            other_input ? "another" : "the same", got, code));
  }
}

/// With the same id until it is answered: however often it arrives, it is one message.
void clients::send(connection& by, wanted_run& run, engine::message what) {
  what.id = engine::new_message_id(*in_.time, *by.chance);
  what.to = *run.started;
  const std::size_t nth = run.signals.size();
  const bool counts = what.kind == engine::message_kind::signal;
  if (counts) run.signals.push_back({.id = what.id});
  while (!in_.over) {
    engine::batch batch;
    batch.messages.push_back(what);
    const auto answer = by.store->commit(std::move(batch));
    if (answer.ok()) {
      using outcome = engine::message_result::outcome;
      const outcome how = answer->messages.at(0).how;
      const bool acked = how == outcome::accepted || how == outcome::repeated;
      if (acked) ++in_.seen.total.acked;
      if (counts) run.signals[nth].acked = acked;
      if (counts) run.signals[nth].refused = how == outcome::ended;
      if (how == outcome::unknown)
        in_.seen.complain("lost start",
                          fmt::format("{} was acknowledged, and isn't known", run.started->text()));
      return;
    }
    in_.turns.sleep(again_after);
  }
}

void clients::send_all(connection& by, wanted_run& run, bool also_maybe) {
  const auto signal = [&](std::string_view name, int value) {
    engine::message one;
    one.kind = engine::message_kind::signal;
    one.name = name;
    one.value = detail::to_engine(detail::encode(value));
    send(by, run, std::move(one));
  };
  for (const int value : signals_of(run.what)) {
    in_.turns.sleep(
        static_cast<micros>(in_.by.fixed(5'000 + static_cast<std::uint64_t>(value)) % 5) * second);
    signal(must.name(), value);
  }
  if (also_maybe) signal(maybe.name(), 1);
}

void clients::stop(connection& by, wanted_run& run, bool at_once) {
  if (!at_once) {
    run.cancelled = true;
    engine::message one;
    one.kind = engine::message_kind::cancel;
    one.details.mutable_cancel()->set_by("client");
    one.details.mutable_cancel()->set_why("the client has changed its mind");
    return send(by, run, std::move(one));
  }
  run.terminated = true;
  while (!in_.over) {
    const absl::Status done =
        engine::terminate(*by.store, *run.started, {.who = "client", .why = "at once"});
    if (!absl::IsUnavailable(done) && !absl::IsResourceExhausted(done) && !absl::IsAborted(done))
      return;
    in_.turns.sleep(again_after);
  }
}

}  // namespace fermata::simulation
