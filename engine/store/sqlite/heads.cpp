// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/heads.hpp"

#include "engine/store/sqlite/connection.hpp"

namespace fermata::engine::sqlite {

namespace {

// About 10 MB. Runs in flight are some thousands; those parked need not be remembered.
constexpr std::size_t known_max = 65'536;

}  // namespace

run_head* heads::find(connection& db, std::int64_t row) {
  if (const auto known = known_.find(row); known != known_.end()) return &known->second;
  use run = db.sql("SELECT run, chain, owner, epoch, space, state FROM runs WHERE id = ?1");
  if (!run.with(row).next()) return nullptr;
  run_head head;
  head.run = run.id<run_id>(0);
  head.chain = run.null(1) ? head.run : run.id<run_id>(1);
  head.owner = run.integer(2);
  head.epoch = static_cast<epoch_t>(run.integer(3));
  head.space = run.integer(4);
  head.ended = ended(static_cast<run_state>(run.integer(5)));
  use last =
      db.sql("SELECT position, chain FROM events WHERE run = ?1 ORDER BY position DESC LIMIT 1");
  if (last.with(row).next()) {
    head.position = static_cast<position_t>(last.integer(0));
    head.hash = last.hash(1);
  }
  return &put(row, head);
}

run_head& heads::put(std::int64_t row, const run_head& head) {
  if (known_.size() >= known_max) known_.clear();
  return known_[row] = head;
}

}  // namespace fermata::engine::sqlite
