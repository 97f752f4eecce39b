// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/start_groups.hpp"
#include "engine/store/status.hpp"

#include <algorithm>

namespace fermata::engine {
namespace {

using memory::key_name;
using memory::run_record;
using memory::tables;
using memory::writing;

/// A run whose whole journal is given: nobody's.
run_record& insert_whole(tables& data, const start_request& request,
                         const std::vector<encoded_event>& events, const run_changes& changes) {
  event start;
  start.at = events.front().at;
  start.epoch = events.back().epoch;
  run_record& run = data.insert_run(row_of_start(request, start));
  data.append_events(run, events);
  data.apply(run, changes);
  data.link_previous(request.previous_run, request.run);
  data.woke = true;
  return run;
}

absl::Status no_events(const run_id& run) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               "run " + run.text() + ": a journal begins with at least one event");
}

}  // namespace

absl::StatusOr<std::vector<run_row>> memory_store::children_to_close(std::size_t at_most) {
  const std::lock_guard lock(world_->mutex);
  std::vector<run_row> rows;
  for (const run_id& id : world_->data.to_close) {
    if (rows.size() == at_most) break;
    const auto row = world_->data.row_of(id);
    if (row && !ended(row->state)) rows.push_back(*row);
  }
  return rows;
}

absl::Status memory_store::closed(const std::vector<run_id>& children) {
  writing writing(*world_);
  std::erase_if(writing.data().to_close, [&](const run_id& id) {
    return std::ranges::find(children, id) != children.end();
  });
  return absl::OkStatus();
}

absl::StatusOr<std::vector<start_request>> memory_store::overdue_requests(time_us now,
                                                                          std::size_t at_most) {
  const std::lock_guard lock(world_->mutex);
  std::vector<start_request> overdue;
  for (const auto& [id, request] : world_->data.requests) {
    if (overdue.size() == at_most) break;
    if (request.not_after != 0 && request.not_after < now) overdue.push_back(request);
  }
  return overdue;
}

absl::StatusOr<bool> memory_store::end_request(const run_id& run,
                                               const std::vector<encoded_event>& events,
                                               const run_changes& changes,
                                               const std::vector<message>& messages) {
  if (events.empty()) return no_events(run);
  writing writing(*world_);
  const std::optional<start_request> request = writing.data().take_request(run);
  if (!request) return false;
  insert_whole(writing.data(), *request, events, changes);
  memory::turn turn = world_->make_turn(0);
  for (const message& one : messages) put_message(turn, one, memory::bound::ignored);
  return true;
}

absl::Status memory_store::begin_copy(const start_request& request,
                                      const std::vector<encoded_event>& events,
                                      const run_changes& changes,
                                      const std::vector<chain_id>& in_flight) {
  if (events.empty()) return no_events(request.run);
  writing writing(*world_);
  tables& data = writing.data();
  if (data.find(request.run) != nullptr) return absl::OkStatus();
  if (data.accepts_messages(request.chain)) {
    return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
                 "run " + request.run.text() + ": its chain " + request.chain.text() +
                     " has an open run; only one may be open");
  }
  const auto key = data.keys.find(key_name{request.space, request.workflow, request.key});
  if (!request.key.empty() && key != data.keys.end() && key->second.chain != request.chain)
    return key_is_taken(request, key->second.chain);
  for (const chain_id& child : in_flight)
    if (const auto now = data.current(child); now && ended(now->state))
      return child_has_ended(request, child);
  run_record& run = insert_whole(data, request, events, changes);
  if (!ended(run.row.state)) data.mark_ready(run, writing.now());
  return absl::OkStatus();
}

}  // namespace fermata::engine
