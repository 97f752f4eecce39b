// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/tables.hpp"

#include "engine/store/projection.hpp"
#include "engine/store/tasks.hpp"

#include <algorithm>

namespace fermata::engine::memory {

run_record* tables::find(const run_id& run) {
  const auto at = runs.find(run);
  return at == runs.end() ? nullptr : &at->second;
}

const run_record* tables::find(const run_id& run) const {
  const auto at = runs.find(run);
  return at == runs.end() ? nullptr : &at->second;
}

const chain_record* tables::find_chain(const chain_id& chain) const {
  const auto at = chains.find(chain);
  return at == chains.end() ? nullptr : &at->second;
}

run_record* tables::open_run(const chain_id& chain) {
  const chain_record* known = find_chain(chain);
  if (known == nullptr || known->runs.empty()) return nullptr;
  run_record* last = find(known->runs.back());
  return ended(last->row.state) ? nullptr : last;
}

bool tables::accepts_messages(const chain_id& chain) {
  const chain_record* known = find_chain(chain);
  return known != nullptr && (known->request || open_run(chain) != nullptr);
}

std::optional<run_row> tables::current(const chain_id& chain) const {
  const chain_record* known = find_chain(chain);
  if (known == nullptr) return std::nullopt;
  if (known->request) return row_of(*known->request);
  if (known->runs.empty()) return std::nullopt;
  return row_of(known->runs.back());
}

std::optional<run_row> tables::row_of(const run_id& run) const {
  if (const run_record* begun = find(run)) return begun->row;
  const auto request = requests.find(run);
  if (request == requests.end()) return std::nullopt;
  return row_of_request(request->second);
}

const worker_record* tables::find_worker(std::int64_t worker) const {
  const auto at = workers.find(worker);
  return at == workers.end() ? nullptr : &at->second;
}

worker_record* tables::find_worker(std::int64_t worker) {
  const auto at = workers.find(worker);
  return at == workers.end() ? nullptr : &at->second;
}

bool tables::alive(std::int64_t worker) const {
  const worker_record* known = find_worker(worker);
  return known != nullptr && known->alive();
}

run_record& tables::insert_run(run_row row) {
  row.row = ++last_run_row;
  chains[row.chain].runs.push_back(row.run);
  link_parents(row.parent, row.parent_chain, row.run);
  run_record& record = runs[row.run];
  record.row = std::move(row);
  return record;
}

void tables::append_events(run_record& run, const std::vector<encoded_event>& events) {
  for (const encoded_event& event : events) {
    log.emplace_back(run.row.run, run.events.size());
    latest = std::max(latest, event.at);
    run.events.push_back(event);
  }
}

void tables::apply(run_record& run, const run_changes& changes) {
  if (changes.state) run.row.state = *changes.state;
  if (changes.ended) run.row.ended = *changes.ended;
  if (changes.error) run.row.error = *changes.error;
  if (changes.all_timers_removed) {
    while (!run.timers.empty()) remove_timer(run, std::string(run.timers.begin()->first));
  }
  for (const std::string& operation : changes.timers_removed) remove_timer(run, operation);
  for (const timer_row& timer : changes.timers_set) set_timer(run, timer);
  for (const auto& [name, value] : changes.tags) run.row.tags[name] = value;
  for (const auto& [name, position] : changes.published) run.published[name] = position;
}

void tables::mark_ready(run_record& run, time_us now) {
  woke = true;
  if (run.mark) return;
  run.mark = ++last_mark;
  run.ready_since = now;
  ready[run.row.owner].insert({-run.row.priority, *run.mark, run.row.run});
}

void tables::unmark(run_record& run) {
  if (!run.mark) return;
  ready[run.row.owner].erase({-run.row.priority, *run.mark, run.row.run});
  run.mark.reset();
}

void tables::set_owner(run_record& run, std::int64_t worker) {
  if (run.mark) {
    const ready_mark mark{-run.row.priority, *run.mark, run.row.run};
    ready[run.row.owner].erase(mark);
    ready[worker].insert(mark);
  }
  run.row.owner = worker;
}

void tables::give_up(run_record& run, time_us now) {
  set_owner(run, 0);
  ++run.row.epoch;
  run.row.updated = now;
  mark_ready(run, now);
}

void tables::insert_request(const start_request& request) {
  woke = true;
  requests[request.run] = request;
  request_index.emplace(-request.priority, request.not_before, request.run);
  chains[request.chain].request = request.run;
  link_parents(request.parent, request.parent_chain, request.run);
}

std::optional<start_request> tables::take_request(const run_id& run) {
  const auto at = requests.find(run);
  if (at == requests.end()) return std::nullopt;
  start_request request = std::move(at->second);
  request_index.erase({-request.priority, request.not_before, request.run});
  chains[request.chain].request.reset();
  requests.erase(at);
  return request;
}

void tables::link_parents(const run_id& parent, const chain_id& parent_chain, const run_id& child) {
  if (!parent.empty()) children[parent].insert(child);
  if (!parent_chain.empty()) children[parent_chain].insert(child);
}

void tables::link_previous(const run_id& previous, const run_id& next) {
  if (previous.empty()) return;
  if (run_record* before = find(previous)) before->row.next_run = next;
}

void tables::set_timer(run_record& run, const timer_row& timer) {
  remove_timer(run, timer.operation);
  timer_row row = timer;
  row.run = run.row.run;
  timer_index.emplace(row.due, row.run, row.operation);
  run.timers[timer.operation] = {std::move(row), 0};
}

void tables::remove_timer(run_record& run, const std::string& operation) {
  const auto at = run.timers.find(operation);
  if (at == run.timers.end()) return;
  timer_index.erase({at->second.row.due, run.row.run, operation});
  run.timers.erase(at);
}

namespace {
task_place place_of(const task_row& task) {
  return {task.queue, -task.priority, task.not_before, task.run, task.operation};
}
}  // namespace

void tables::set_task(run_record& run, task_row task) {
  remove_task(run, task.operation);
  if (task.owner == 0)
    waiting_tasks.insert(place_of(task));
  else
    held_tasks[task.owner].emplace(task.run, task.operation);
  if (const time_us due = due_of(task); due != 0)
    set_timer(run, {task.run, task.operation, due, timer_purpose::give_up});
  run.tasks[task.operation] = std::move(task);
}

bool tables::remove_task(run_record& run, const std::string& operation) {
  const auto at = run.tasks.find(operation);
  if (at == run.tasks.end()) return false;
  const task_row& task = at->second;
  waiting_tasks.erase(place_of(task));
  if (task.owner != 0) held_tasks[task.owner].erase({task.run, operation});
  const auto timer = run.timers.find(operation);
  if (timer != run.timers.end() && timer->second.row.purpose == timer_purpose::give_up)
    remove_timer(run, operation);
  run.tasks.erase(at);
  return true;
}

bool by_due(const timer_row& left, const timer_row& right) {
  return std::tie(left.due, left.operation) < std::tie(right.due, right.operation);
}

head head_of(const run_record& run) {
  if (run.events.empty()) return {};
  return {run.events.back().position, run.events.back().chain};
}

}  // namespace fermata::engine::memory
