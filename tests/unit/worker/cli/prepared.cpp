// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include "engine/event/checks.hpp"
#include "engine/event/encode.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/store/projection.hpp"

#include <doctest/doctest.h>

#include <atomic>

namespace fermata::cli {

using namespace fermata::engine;
using engine::attention;
using engine::run_state;
using engine::start_request;

namespace {

event of(event_kind kind, std::string operation = "", std::string name = "",
         std::string place = "") {
  event what;
  what.kind = kind;
  what.operation = std::move(operation);
  what.name = std::move(name);
  what.place = std::move(place);
  return what;
}

std::string fresh_address() {
  static std::atomic<int> n = 0;
  return "memory:cli" + std::to_string(++n);
}

template <class T>
T must_be(absl::StatusOr<T> value) {
  REQUIRE_MESSAGE(value.ok(), value.status().ToString());
  return *std::move(value);
}

}  // namespace

payload json_payload(std::string_view text, bool sensitive) {
  payload out{.bytes = std::string(text), .content_type = "application/json", .type = 7};
  out.sensitive = sensitive;
  return out;
}

event step_done(std::string operation, std::string name, std::string_view in, std::string_view out,
                std::string place) {
  event what =
      of(event_kind::step_completed, std::move(operation), std::move(name), std::move(place));
  what.input = json_payload(in);
  what.value = json_payload(out);
  pb::step_outcome& d = *what.details.mutable_step();
  d.set_operation_kind(1);
  d.set_attempts(1);
  return what;
}

event attempt_failed(std::string operation, std::string step, int number, std::string why,
                     time_us next_due) {
  event what = of(event_kind::attempt_failed, std::move(operation), step, "orders.cpp:31");
  pb::attempt& d = *what.details.mutable_attempt();
  d.set_number(number);
  d.set_step(step);
  d.set_next_due_us(next_due);
  d.mutable_why()->set_type("carrier_down");
  d.mutable_why()->set_message(why);
  return what;
}

event step_failed(std::string operation, std::string name, int attempts, std::string why) {
  event what = of(event_kind::step_failed, std::move(operation), std::move(name), "orders.cpp:31");
  pb::step_outcome& d = *what.details.mutable_step();
  d.set_operation_kind(1);
  d.set_attempts(attempts);
  d.mutable_why()->set_type("carrier_down");
  d.mutable_why()->set_message(why);
  return what;
}

event waits_for(std::string operation, std::string signal, time_us due) {
  event what = of(event_kind::timer_set, std::move(operation), std::move(signal), "orders.cpp:25");
  what.details.mutable_timer()->set_due_us(due);
  what.details.mutable_timer()->set_purpose(1);
  return what;
}

event sleeps(std::string operation, time_us due) {
  event what = of(event_kind::timer_set, std::move(operation), "sleep", "orders.cpp:27");
  what.details.mutable_timer()->set_due_us(due);
  return what;
}

event signal_came(std::string name, std::string_view value) {
  event what = of(event_kind::signal_received, "", std::move(name));
  what.value = json_payload(value);
  what.details.mutable_signal();
  return what;
}

event run_completed(std::string_view result) {
  event what = of(event_kind::run_completed);
  what.value = json_payload(result);
  what.details.mutable_ended();
  return what;
}

event run_failed(std::string type, std::string why) {
  event what = of(event_kind::run_failed);
  what.details.mutable_ended()->mutable_why()->set_type(std::move(type));
  what.details.mutable_ended()->mutable_why()->set_message(std::move(why));
  return what;
}

prepared::prepared(std::string where)
    : address(where.empty() ? fresh_address() : std::move(where)) {
  engine::open_options options;
  options.time = time;
  options.chance = chance;
  journal = must_be(open_store(address, options));
}

worker_row prepared::join(const std::vector<std::string>& workflows, std::string_view shape,
                          std::uint64_t input_type) {
  worker_row who;
  who.id = new_worker_id(*time, *chance);
  who.host = "host-1";
  who.pid = 4711;
  who.build = "build-1";
  who.boot_id = "boot-1";
  who.started = journal->now();
  who = must_be(journal->register_worker(who));
  std::vector<serving_row> rows;
  for (const std::string& name : workflows)
    rows.push_back({.kind = "workflow",
                    .name = name,
                    .input_type = input_type,
                    .input_shape = std::string(shape),
                    .result_shape = "{}",
                    .build = "build-1",
                    .worker = who.id});
  CHECK(journal->put_serving(who.row, rows).ok());
  return who;
}

start_request prepared::request(std::string workflow, std::string key, std::string_view input) {
  start_request what;
  what.run = what.chain = what.origin = new_run_id(*time, *chance);
  what.seed = std::string(16, 's');
  what.workflow = std::move(workflow);
  what.key = std::move(key);
  what.input = json_payload(input);
  what.queue = "default";
  what.requested = journal->now();
  return what;
}

run_id prepared::ask(start_request what) {
  start_item item;
  const auto digest = sha256(what.input.bytes);
  item.input_digest = {digest.begin(), digest.begin() + 16};
  const run_id run = what.run;
  item.request = std::move(what);
  batch one;
  one.starts.push_back(std::move(item));
  must_be(journal->commit(std::move(one)));
  return run;
}

run_id prepared::ask(std::string workflow, std::string key, std::string_view input) {
  return ask(request(std::move(workflow), std::move(key), input));
}

void prepared::claim(const worker_row& worker) {
  batch one;
  one.worker = worker.row;
  claim_request wanted;
  wanted.at_most = 1'000;
  wanted.queues = {"default"};
  wanted.workflows = {"place_order", "bill", "send_report"};
  wanted.build = worker.build;
  wanted.now = journal->now();
  one.claim = wanted;
  must_be(journal->commit(std::move(one)));
}

engine::task_row prepared::put_task(const run_id& run, std::string step, std::string queue,
                                    int attempt) {
  event started;
  started.kind = event_kind::attempt_started;
  started.operation = "1";
  started.name = step;
  started.place = "orders.cpp:18";
  started.details.mutable_attempt()->set_number(attempt);
  started.details.mutable_attempt()->set_step(step);
  started.details.mutable_attempt()->set_queue(queue);
  task_.emplace();
  task_->operation = "1";
  task_->attempt = attempt;
  task_->step = std::move(step);
  task_->queue = std::move(queue);
  task_->not_before = journal->now();
  append(run, {started}, then::park, "step in a queue");
  return must_be(journal->tasks(run)).at(0);
}

worker_row prepared::join_queue(std::string queue, const std::vector<std::string>& steps) {
  worker_row who;
  who.id = engine::new_worker_id(*time, *chance);
  who.host = "gpu-host";
  who.pid = 4'711;
  who.build = "gpu-build";
  who.queues = {std::move(queue)};
  const worker_row joined = must_be(journal->register_worker(who));
  std::vector<serving_row> rows;
  for (const std::string& step : steps) rows.push_back({.kind = "step", .name = step});
  REQUIRE(journal->put_serving(joined.row, rows).ok());
  return joined;
}

run_row prepared::row(const run_id& run) const { return must_be(journal->find_run(run)); }

void prepared::append(const run_id& run, std::vector<event> events, then how, std::string waits,
                      attention why, std::string report) {
  const run_row at = row(run);
  head last = must_be(journal->read_head(run));
  engine::append what;
  what.run = run;
  what.chain = at.chain;
  what.row = at.row;
  what.epoch = at.epoch;
  what.after = last.position;
  what.after_hash = last.hash;
  what.then = how;
  for (event& one : events) {
    time->advance(1'000);
    one.position = ++last.position;
    one.epoch = at.epoch;
    one.at = journal->now();
    if (one.details.has_step() && one.details.step().started_us() == 0)
      one.details.mutable_step()->set_started_us(one.at - 800);
    fold_changes(run, one, what.changes);
    const auto salt = chance->salt16();
    what.events.push_back(encode(run, last.hash, one, {salt.data(), salt.size()}));
    last.hash = what.events.back().chain;
  }
  if (task_) {
    task_->epoch = last.position;
    what.tasks.push_back(*std::exchange(task_, std::nullopt));
  }
  if (!waits.empty()) what.waits = waits;
  if (why != attention::none) {
    what.attention = why;
    what.report = std::move(report);
  }
  batch one;
  one.worker = at.owner;
  one.appends.push_back(std::move(what));
  const batch_result done = must_be(journal->commit(std::move(one)));
  REQUIRE(std::string(text_of(done.appends.at(0).how)) == "landed");
}

namespace {

ran run_in(std::vector<std::string> arguments, std::size_t width, std::string in) {
  std::istringstream input(std::move(in));
  std::ostringstream out;
  std::ostringstream err;
  world where{input, out, err};
  where.out_is_terminal = width != 0;
  where.width = width;
  where.height = 24;
  where.variable = [](const char* name) -> std::optional<std::string> {
    if (std::string_view(name) == "NO_COLOR") return "1";
    if (std::string_view(name) == "USER") return "ada";
    return std::nullopt;
  };
  ran result;
  result.code = cli::run(arguments, where);
  result.out = out.str();
  result.err = err.str();
  return result;
}

}  // namespace

ran prepared::call(std::vector<std::string> arguments, std::size_t width, std::string in) {
  arguments.insert(arguments.end(), {"--journal", address});
  return run_in(std::move(arguments), width, std::move(in));
}

ran run_alone(std::vector<std::string> arguments, std::size_t width) {
  return run_in(std::move(arguments), width, "");
}

}  // namespace fermata::cli
