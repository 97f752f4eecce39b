// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/faulty_store.hpp"

#include "engine/store/status.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::simulation {

namespace {

/// 1 … 12: from what a thread waits for another to what a disk takes that hangs.
micros delay_of(std::uint32_t drawn) {
  constexpr std::array<micros, 4> about = {150, 4'000, 90'000, 2'500'000};
  return about[drawn % 4] * (1 + drawn / 4);
}

}  // namespace

absl::Status faulty_store::status_of(fault is, const char* call) const {
  if (is == fault::full)
    return engine::coded(absl::StatusCode::kResourceExhausted, "FER-2101",
                         fmt::format("{}: there is no room", call));
  return engine::coded(absl::StatusCode::kUnavailable, "FER-2102",
                       fmt::format("{}: no answer", call));
}

faulty_store::fault faulty_store::before(const char* call, bool writes) const {
  if (!in_.turns.inside()) return fault::none;
  if (at_->dead) return fault::gone;
  const std::uint32_t who = in_.turns.current().who;
  if (const auto drawn = in_.by.ask(choice::before, who, in_.sky.delays, 12); drawn != 0) {
    const micros takes = delay_of(drawn);
    in_.tell_decision("{}: {} begins {} µs later", in_.turns.current().name, call, takes);
    in_.turns.sleep(takes);
    if (at_->dead) return fault::gone;
  }
  if (in_.turns.now() < in_.away_until) {
    in_.turns.sleep(50'000);  // it isn't known at once
    return fault::refused;
  }
  const auto drawn = in_.by.ask(choice::refusal, who, in_.sky.refusals, writes ? 4 : 1);
  if (drawn == 0) return fault::none;
  const fault is = drawn == 1 ? fault::refused : drawn == 2 ? fault::full : fault::unseen;
  in_.tell_decision("{}: {} {}", in_.turns.current().name, call,
                    is == fault::refused ? "is refused"
                    : is == fault::full  ? "finds no room"
                                         : "is done, and its answer is lost");
  return is;
}

void faulty_store::after(const char* call, bool done) const {
  if (const std::uint32_t wakes = inner_->wake_count(); std::exchange(wakes_seen_, wakes) != wakes)
    if (in_.woken) in_.woken();
  if (!in_.turns.inside()) return;
  in_.turns.note(static_cast<std::uint64_t>(*call) << 1 | (done ? 1 : 0));
  if (at_->dead) return;
  in_.tell("{}: {}{}", in_.turns.current().name, call, done ? "" : " (no)");
  const std::uint32_t who = in_.turns.current().who;
  if (const auto drawn = in_.by.ask(choice::after, who, in_.sky.delays, 12); drawn != 0) {
    const micros takes = delay_of(drawn);
    in_.tell_decision("{}: the answer to {} comes {} µs later", in_.turns.current().name, call,
                      takes);
    in_.turns.sleep(takes);
  }
}

absl::StatusOr<engine::batch_result> faulty_store::commit(engine::batch&& what) {
  ++commits_;
  const fault is = before("commit", true);
  absl::StatusOr<engine::batch_result> answer = status_of(is, "commit");
  if (is == fault::none || is == fault::unseen) {
    // Who gets an error has it as it was.
    engine::batch copy = is == fault::unseen ? what : engine::batch{};
    answer = inner_->commit(std::move(what));
    if (answer.ok()) in_.seen.committed(what, *answer);  // the memory store leaves the events there
    if (is == fault::unseen) what = std::move(copy);
    after("commit", answer.ok());
    if (is == fault::unseen || at_->dead) answer = status_of(fault::gone, "commit");
  }
  --commits_;
  return answer;
}

absl::StatusOr<std::vector<engine::worker_row>> faulty_store::rescue(std::int64_t me) {
  return through<true>("rescue", [&] {
    auto dead = inner_->rescue(me);
    if (dead.ok())
      for (const engine::worker_row& one : *dead) in_.seen.marked_dead(one.row);
    return dead;
  });
}

absl::StatusOr<std::vector<engine::run_place>> faulty_store::whereabouts(
    std::int64_t worker, const std::vector<id>& runs) const {
  return through<false>("whereabouts", [&]() -> or_status<std::vector<engine::run_place>> {
    engine::run_query open;
    open.at_most = 100'000;
    open.states = {engine::run_state::running, engine::run_state::compensating};
    auto rows = inner_->list(open);
    if (!rows.ok()) return rows.status();
    std::vector<engine::run_place> found;
    for (const engine::run_row& row : *rows) {
      const bool asked = std::find(runs.begin(), runs.end(), row.run) != runs.end();
      if (row.owner != worker && !asked) continue;
      const auto last = inner_->read_head(row.run);
      if (!last.ok()) return last.status();
      found.push_back({row.run, row.owner, row.epoch, *last});
    }
    return found;
  });
}

}  // namespace fermata::simulation
