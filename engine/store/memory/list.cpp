// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/memory/world.hpp"
#include "engine/store/projection.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <utility>

namespace fermata::engine {
namespace {

using memory::run_record;
using memory::tables;

bool has_tags(const run_row& row, const std::map<std::string, std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& tag) {
    const auto at = row.tags.find(tag.first);
    return at != row.tags.end() && at->second == tag.second;
  });
}

bool fits(const run_row& row, const run_query& query) {
  if (row.space != query.space) return false;
  if (!query.workflow.empty() && row.workflow != query.workflow) return false;
  if (!query.states.empty() && std::ranges::find(query.states, row.state) == query.states.end()) {
    return false;
  }
  if (query.attention && row.attention != *query.attention) return false;
  if (!query.key.empty() && row.key != query.key) return false;
  if (!query.chain.empty() && row.chain != query.chain) return false;
  if (!query.parent.empty() && row.parent != query.parent) return false;
  if (query.since != 0 && row.requested < query.since) return false;
  if (query.until != 0 && row.requested >= query.until) return false;
  if (!query.before.empty() && !(row.run < query.before)) return false;
  return has_tags(row, query.tags);
}

/// Runs and requests together, newest first, until `visit` answers false.
void newest_first(const tables& data, const std::function<bool(const run_row&)>& visit) {
  auto run = data.runs.rbegin();
  auto request = data.requests.rbegin();
  while (run != data.runs.rend() || request != data.requests.rend()) {
    const bool take_run =
        request == data.requests.rend() || (run != data.runs.rend() && request->first < run->first);
    const bool go_on =
        take_run ? visit((run++)->second.row) : visit(row_of_request((request++)->second));
    if (!go_on) return;
  }
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  });
  return result;
}

void count_ready(store_counts& counts, time_us since) {
  ++counts.ready;
  if (counts.oldest_ready == 0 || since < counts.oldest_ready) counts.oldest_ready = since;
}

void count_run(store_counts& counts, const run_record& run) {
  ++counts.by_state[run.row.state];
  if (ended(run.row.state)) return;
  if (run.row.attention != attention::none) ++counts.by_attention[run.row.attention];
  if (run.mark && run.row.attention == attention::none) count_ready(counts, run.ready_since);
  for (const auto& [operation, timer] : run.timers) {
    ++counts.timers;
    if (counts.next_timer == 0 || timer.row.due < counts.next_timer) {
      counts.next_timer = timer.row.due;
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<run_row>> memory_store::list(const run_query& query) const {
  const std::lock_guard lock(world_->mutex);
  std::vector<run_row> rows;
  if (query.at_most == 0) return rows;
  newest_first(world_->data, [&](const run_row& row) {
    if (fits(row, query)) rows.push_back(row);
    return rows.size() < query.at_most;
  });
  return rows;
}

absl::StatusOr<std::vector<run_row>> memory_store::find_prefix(std::string_view run_id_prefix,
                                                               std::size_t at_most) const {
  const std::string prefix = upper(run_id_prefix);
  const std::string wanted = prefix.starts_with("RUN_") ? prefix : "RUN_" + prefix;
  const std::lock_guard lock(world_->mutex);
  std::vector<run_row> rows;
  if (at_most == 0) return rows;
  newest_first(world_->data, [&](const run_row& row) {
    if (upper(row.run.text()).starts_with(wanted)) rows.push_back(row);
    return rows.size() < at_most;
  });
  return rows;
}

absl::StatusOr<store_counts> memory_store::counts(std::string_view space) const {
  const std::lock_guard lock(world_->mutex);
  const tables& data = world_->data;
  const time_us now = world_->now();
  store_counts counts;
  for (const auto& [id, run] : data.runs) {
    if (run.row.space == space) count_run(counts, run);
  }
  for (const auto& [id, request] : data.requests) {
    if (request.space != space) continue;
    ++counts.by_state[run_state::waiting_to_start];
    if (request.not_before <= now) {
      count_ready(counts, std::max(request.requested, request.not_before));
    }
  }
  for (const auto& [id, chain] : data.chains) {
    const auto row = data.current(id);
    if (row && row->space == space) counts.inbox += static_cast<std::int64_t>(chain.inbox.size());
  }
  return counts;
}

}  // namespace fermata::engine
