// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/office.hpp"

#include "tests/attack/power/disk.hpp"
#include "tests/attack/power/order.hpp"

#include "engine/event/checks.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::attack::power {

using namespace fermata::engine;

namespace {

constexpr time_us second = 1'000'000;
constexpr time_us begin = 1'704'067'200 * second;
constexpr int claims_in_vain_at_most = 12;  // each lets time pass

std::uint64_t mixed(std::uint64_t seed, std::uint64_t with) {
  return dice(seed ^ dice(with).next()).next();
}

absl::Status refused(std::string what) { return absl::AbortedError(what); }

}  // namespace

office::office(std::uint64_t seed, int generation, int orders, std::size_t asked)
    : seed_(seed),
      generation_(generation),
      orders_(orders),
      time_(std::make_shared<manual_clock>(begin + generation * 3'600 * second)),
      asked_(asked) {}

open_options office::options() const {
  open_options made;
  made.time = time_;
  made.chance = chance_;
  made.warn = [](std::string_view) {};
  return made;
}

call office::named(std::string name, work what) {
  const std::uint64_t seed = mixed(seed_ + static_cast<std::uint64_t>(generation_), calls_);
  return {std::move(name), [this, seed, what = std::move(what)] {
            chance_->begin(seed);
            return what();
          }};
}

std::optional<call> office::next() {
  ++calls_;
  if (auto first = begin_worker()) return first;
  const std::uint64_t every = 3 + seed_ % 4;
  if (calls_ % every == 0) {
    if (auto asks = ask()) return asks;
  }
  if (calls_ % 11 == 0) return chores();
  if (auto works = work_on_runs()) return works;
  if (auto asks = ask()) return asks;
  if (idle_ >= claims_in_vain_at_most) return std::nullopt;
  return claim();
}

// ---- the worker's life ----

std::optional<call> office::begin_worker() {
  if (worker_.row == 0) {
    return named("register_worker", [this]() -> absl::Status {
      worker_row who;
      who.id = worker_id::of(id_of(mixed(seed_, 1'000 + static_cast<std::uint64_t>(generation_))));
      who.host = "host-1";
      who.pid = 42;
      who.build = "build-1";
      who.queues = {"", "gpu"};
      auto made = store_->register_worker(who);
      if (made.ok()) worker_ = *made;
      return made.status();
    });
  }
  if (!serves_) {
    return named("put_serving", [this] {
      const std::vector<serving_row> rows{{.kind = "workflow", .name = "order"},
                                          {.kind = "workflow", .name = "ship"},
                                          {.kind = "step", .name = "render"}};
      const absl::Status done = store_->put_serving(worker_.row, rows);
      serves_ = done.ok();
      return done;
    });
  }
  if (!rescued_) {
    return named("rescue", [this] {
      auto found = store_->rescue(worker_.row);
      rescued_ = found.ok();
      if (found.ok())
        for (const worker_row& one : *found) dead_.push_back(one.row);
      return found.status();
    });
  }
  if (dead_.empty()) return std::nullopt;
  return named("release_dead", [this] {
    auto done = store_->release_dead(dead_.front());
    if (done.ok()) dead_.pop_front();
    return done.status();
  });
}

call office::chores() {
  return named("renew",
               [this] { return store_->renew(worker_.row, time_->boot_now_us() + 15 * second); });
}

// ---- the client's wishes ----

/// All orders, the first of them again, then what each of them waits for.
std::optional<call> office::ask() {
  const int wish = static_cast<int>(asked_);
  if (wish < orders_) return start_order(wish);
  if (wish == orders_) return start_order(0);
  if (wish <= 2 * orders_) return signal_order(wish - orders_ - 1);
  return std::nullopt;
}

start_request office::order_request(int number) const {
  start_request what;
  what.run = order_id(seed_, number);
  what.chain = what.run;
  what.origin = what.run;
  what.seed = std::string(16, 's');
  what.workflow = "order";
  what.input = text_payload(fmt::format("order {}", number));
  what.requested = begin;
  what.key = fmt::format("order-{}", number);
  what.tags = {{"customer", fmt::format("c{}", number)}};
  return what;
}

call office::start_order(int number) {
  auto what = std::make_shared<batch>();
  start_item item;
  item.request = order_request(number);
  const auto digest = sha256(item.request.input.bytes);
  item.input_digest = {digest.begin(), digest.begin() + 16};
  what->starts.push_back(item);
  return named(fmt::format("start {}", number), [this, what] {
    auto done = store_->commit(std::move(*what));
    if (!done.ok()) return done.status();
    const auto how = done->starts.at(0).how;
    if (how != start_result::outcome::started && how != start_result::outcome::attached)
      return refused("a start was answered as a conflict");
    ++asked_;
    return absl::OkStatus();
  });
}

call office::signal_order(int number) {
  auto what = std::make_shared<batch>();
  message told;
  told.id = message_id::of(id_of(mixed(seed_, 500 + static_cast<std::uint64_t>(number))));
  told.to = order_id(seed_, number);
  told.name = "go";
  told.value = text_payload(fmt::format("go {}", number));
  what->messages.push_back(told);
  return named(fmt::format("signal {}", number), [this, what] {
    auto done = store_->commit(std::move(*what));
    if (!done.ok()) return done.status();
    const auto how = done->messages.at(0).how;
    if (how != message_result::outcome::accepted && how != message_result::outcome::repeated)
      return refused("a signal was refused");
    ++asked_;
    return absl::OkStatus();
  });
}

// ---- the worker's work ----

std::optional<call> office::work_on_runs() {
  if (!unread_.empty()) return read(unread_.front());
  if (!todo_.empty()) return append(pens_.at(todo_.front()));
  if (!tasks_.empty()) return finish_task();
  return std::nullopt;
}

call office::claim() {
  auto what = std::make_shared<batch>();
  what->worker = worker_.row;
  claim_request& wanted = what->claim.emplace();
  wanted.at_most = 2;
  wanted.queues = {""};
  wanted.workflows = {"order", "ship"};
  wanted.build = "build-1";
  wanted.now = time_->wall_now();
  wanted.rooms = {{.queues = {"gpu"}, .at_most = 2}};
  wanted.steps = {"render"};
  return named("claim", [this, what] {
    auto done = store_->commit(std::move(*what));
    if (!done.ok()) return done.status();
    for (claimed& one : done->claimed) unread_.push_back(std::move(one));
    for (task_row& one : done->tasks) tasks_.push_back(std::move(one));
    idle_ = done->claimed.empty() && done->tasks.empty() ? idle_ + 1 : 0;
    if (idle_ != 0) time_->advance(2 * second);
    return absl::OkStatus();
  });
}

call office::read(const claimed& run) {
  return named("read " + run.run.run.text(), [this] {
    claimed& one = unread_.front();
    auto events = store_->read_events(one.run.run, 1, 1'000);
    if (!events.ok()) return events.status();
    pen made(one);
    for (const encoded_event& stored : *events) {
      auto event = decode(one.run.run, stored);
      if (!event.ok()) return event.status();
      made.known.take(*event);
    }
    if (events->empty() || events->back().position != one.head.position ||
        events->back().chain != one.head.hash)
      return refused("a run's journal doesn't end where its claim says");
    todo_.push_back(one.run.run);
    pens_.insert_or_assign(one.run.run, std::move(made));
    unread_.pop_front();
    return absl::OkStatus();
  });
}

call office::append(pen& run) {
  chance_->begin(mixed(seed_ + static_cast<std::uint64_t>(generation_), ~calls_));
  auto what = std::make_shared<batch>();
  what->worker = worker_.row;
  what->appends.push_back(next_append(run, {.now = time_->wall_now(), .chance = *chance_}));
  const bool moves = !what->appends[0].events.empty();
  const then how = what->appends[0].then;
  return named("append to " + run.run.text(), [this, what, &run, moves, how] {
    const std::vector<encoded_event> events = what->appends[0].events;
    const std::vector<std::uint64_t> consumed = what->appends[0].consumed;
    auto done = store_->commit(std::move(*what));
    if (!done.ok()) return done.status();
    const append_result& result = done->appends.at(0);
    if (result.how != landing::landed)
      return refused(fmt::format("an append was answered as {}", engine::text_of(result.how)));
    run.went_on(events, consumed);
    const bool gone = how == then::end || result.parked;
    const run_id id = run.run;
    todo_.pop_front();
    if (gone)
      pens_.erase(id);
    else if (how == then::keep && moves)
      todo_.push_back(id);
    return absl::OkStatus();
  });
}

call office::finish_task() {
  auto what = std::make_shared<batch>();
  what->worker = worker_.row;
  message told = outcome_of(tasks_.front(), task_end::value);
  told.value = text_payload("picture");
  what->finish.push_back({name_of(tasks_.front()), told});
  return named("finish_task", [this, what] {
    auto done = store_->commit(std::move(*what));
    if (!done.ok()) return done.status();
    if (done->finished.at(0) == finish_result::gone) return refused("a held task was gone");
    tasks_.pop_front();
    return absl::OkStatus();
  });
}

}  // namespace fermata::attack::power
