// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/store/sqlite/rows.hpp"
#include "engine/store/sqlite/turn.hpp"
#include "engine/utf8.hpp"

#include <algorithm>

namespace fermata::engine::sqlite {

namespace {

current_run read_current(use& row) {
  return {.row = row.integer(0),
          .run = row.id<run_id>(1),
          .owner = row.integer(2),
          .ended = ended(static_cast<run_state>(row.integer(3)))};
}

bool is_repeat(connection& db, const message& what) {
  {
    use pending = db.sql("SELECT 1 FROM inbox WHERE chain = ?1 AND id = ?2");
    if (pending.with(what.to, what.id).next()) return true;
  }
  use moved = db.sql("SELECT 1 FROM ledger WHERE chain = ?1 AND id = ?2");
  return moved.with(what.to, what.id).next();
}

/// There is some room more for cancels: a run that is flooded with signals can still be stopped.
bool is_full(connection& db, const message& what) {
  constexpr auto most = static_cast<std::int64_t>(limits::inbox_per_chain);
  use count = db.sql("SELECT count(*) FROM inbox WHERE chain = ?1");
  count.with(what.to).next();
  return count.integer(0) >= (what.kind == message_kind::cancel ? most + most / 100 : most);
}

void insert_message(turn& turn, const message& what) {
  std::int64_t last = 0;
  {
    use pending = turn.db.sql("SELECT max(seq) FROM inbox WHERE chain = ?1");
    pending.with(what.to).next();
    last = pending.integer(0);
  }
  pb::details readable = what.details;
  make_utf8(readable);
  const std::string details = readable.SerializeAsString();
  turn.db
      .sql(
          "INSERT INTO inbox(chain, seq, id, kind, name, operation, accepted, sender, "
          "content_type, type, flags, value, details) "
          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")
      .with(what.to, last + 1, what.id, static_cast<int>(what.kind), turn.db.names.id_of(what.name),
            what.operation, turn.now, what.sender,
            turn.db.names.id_of(what.value.content_type.str()),
            static_cast<std::int64_t>(what.value.type), payload_flags(what.value),
            blob{what.value.bytes}, blob_or_null{details})
      .run();
  turn.latest = std::max(turn.latest, turn.now);
}

}  // namespace

current_run find_current(connection& db, const chain_id& chain) {
  current_run last;
  {
    // Runs that continue the first one, newest first; mostly there are none.
    use later =
        db.sql("SELECT id, run, owner, state FROM runs WHERE chain = ?1 ORDER BY id DESC LIMIT 1");
    if (later.with(chain).next()) last = read_current(later);
  }
  if (last.row == 0) {
    use first = db.sql("SELECT id, run, owner, state FROM runs WHERE run = ?1 AND chain IS NULL");
    if (first.with(chain).next()) last = read_current(first);
  }
  if (last.row != 0 && !last.ended) return last;
  use request = db.sql(
      "SELECT run FROM start_requests WHERE chain = ?1 "
      "UNION ALL SELECT run FROM start_requests WHERE run = ?1 AND chain IS NULL LIMIT 1");
  if (request.with(chain).next()) return {.run = request.id<run_id>(0)};
  return last;
}

message_result put_message(turn& turn, const message& what, bound inbox_bound) {
  using outcome = message_result::outcome;
  message_result result;
  const current_run target = find_current(turn.db, what.to);
  if (target.run.empty()) {
    result.how = outcome::unknown;
    return result;
  }
  const bool open = target.row != 0 && !target.ended;
  if (open) {
    result.run = target.run;
    result.owner = target.owner;
  }

  if (is_repeat(turn.db, what)) {
    result.how = outcome::repeated;
  } else if (target.ended) {
    result.how = outcome::ended;
  } else if (inbox_bound == bound::checked && is_full(turn.db, what)) {
    result.how = outcome::full;
  } else {
    insert_message(turn, what);
    if (open && !planted("sqlite_message_wakes_nobody")) mark_ready(turn, target.row);
    result.how = outcome::accepted;
  }
  return result;
}

}  // namespace fermata::engine::sqlite
