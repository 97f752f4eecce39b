// SPDX-License-Identifier: Apache-2.0
#include "engine/store/store.hpp"

#include "engine/store/status.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine {

absl::StatusOr<batch_result> store::write_within(const caller_transaction&, const batch&) {
  return coded(
      absl::StatusCode::kFailedPrecondition, "FER-3001",
      "this journal is in no database: no transaction of yours can be on it; start the run "
      "without one");
}

absl::StatusOr<std::vector<std::vector<encoded_event>>> store::read_beginnings(
    const std::vector<run_id>&, std::size_t) const {
  return std::vector<std::vector<encoded_event>>{};
}

absl::StatusOr<chain_ends> store::ends_of(const std::vector<chain_id>& chains) const {
  chain_ends found;
  for (const chain_id& chain : chains) {
    const auto row = find_chain(chain);
    if (absl::IsNotFound(row.status())) {
      found.unknown.push_back(chain);
      continue;
    }
    if (!row.ok()) return row.status();
    if (!ended(row->state)) continue;
    const auto last = read_head(row->run);
    if (!last.ok()) return last.status();
    auto events = read_events(row->run, last->position, 1);
    if (!events.ok()) return events.status();
    if (!events->empty() && events->front().kind != event_kind::run_continued)
      found.ended.push_back({chain, row->run, std::move(events->front())});
  }
  return found;
}

absl::StatusOr<care> store::needs_care(std::int64_t me) {
  const auto all = workers();
  if (!all.ok()) return all.status();
  care found;
  for (const worker_row& one : *all) {
    if (one.row == me || one.dead || one.gone || one.lease_until == 0) continue;
    found.next_lease =
        found.next_lease == 0 ? one.lease_until : std::min(found.next_lease, one.lease_until);
  }
  return found;
}

}  // namespace fermata::engine
