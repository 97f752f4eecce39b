// SPDX-License-Identifier: Apache-2.0
// Plain appends: an event after its predecessor, and nothing else.
#include "engine/failpoint.hpp"
#include "engine/store/postgres/load_statements.hpp"
#include "engine/store/postgres/turn.hpp"

#include <algorithm>
#include <numeric>

namespace fermata::engine::postgres {

params plain_appends(const server& at, const batch& what, const std::vector<std::size_t>& which) {
  event_rows all(at);
  for (const std::size_t i : which) {
    const append& one = what.appends[i];
    all.add(one.run, one.events.front(), one.after_hash, one.epoch);
  }
  return params(all.rows(), what.worker);
}

absl::flat_hash_set<std::size_t> landed_of(const batch& what, const std::vector<std::size_t>& which,
                                           rows& row) {
  absl::flat_hash_set<run_id> landed;
  while (row.next()) landed.insert(row.id<run_id>(0));
  absl::flat_hash_set<std::size_t> places;
  for (const std::size_t i : which)
    if (landed.contains(what.appends[i].run)) places.insert(i);
  return places;
}

bool all_plain(const batch& what) {
  if (!is_plain(what)) return false;
  absl::flat_hash_set<run_id> runs;
  return std::ranges::all_of(what.appends,
                             [&](const append& one) { return runs.insert(one.run).second; });
}

absl::flat_hash_set<std::size_t> append_plain(server& at, const batch& what) {
  std::vector<std::size_t> all(what.appends.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  bool all_new = true;
  return at.read_beside([&](connection& db) {
    // Behind a pool the settings go with each transaction, which is one more statement anyway.
    if (!db.durable()) return absl::flat_hash_set<std::size_t>{};
    learn_names(at, what);
    const std::int64_t asked = at.clock.boot_now();
    db.send(fence_and_time_sql, params(what.worker));
    db.send(all_new ? append_new_sql : append_sql, plain_appends(at, what, all));
    std::vector<rows> answers;
    try {
      failpoint("postgres.before_plain");
      answers = db.finish();
      if (failpoint("postgres.after_plain"))
        fail(absl::StatusCode::kUnavailable, "FER-2105", "a failpoint lost the answer to appends",
             failure::lost);
    } catch (const server_failure& why) {
      // One of them is there: sent before by ourselves, or another was faster.
      if (why.how == failure::again) all_new = false;
      throw;
    }
    if (answers[0].next()) at.clock.learn(answers[0].integer(0), asked, at.clock.boot_now());
    return landed_of(what, all, answers[1]);
  });
}

}  // namespace fermata::engine::postgres
