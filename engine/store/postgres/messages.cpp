// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/store/postgres/turn.hpp"
#include "engine/utf8.hpp"

#include <algorithm>

namespace fermata::engine::postgres {

namespace {

/// There is some room more for cancels: a run that is flooded with signals can still be stopped.
bool is_full(const known_chain& known, message_kind kind) {
  constexpr auto most = static_cast<std::int64_t>(limits::inbox_per_chain);
  return known.unread >= (kind == message_kind::cancel ? most + most / 100 : most);
}

void insert_message(turn& turn, known_chain& chain, message what) {
  what.seq = static_cast<std::uint64_t>(++chain.last_seq);
  what.accepted = turn.now;
  make_utf8(what.details);
  turn.write.message(what, what.details.SerializeAsString());
  ++chain.unread;
  chain.ids.insert(what.id);
  turn.latest = std::max(turn.latest, turn.now);
  if (turn.in.proof.what == proof::kind::none)
    turn.in.proof = {.what = proof::kind::message, .run = what.to, .message = what.id};
}

}  // namespace

message_result put_message(turn& turn, const message& what, bound inbox_bound) {
  using outcome = message_result::outcome;
  message_result result;
  const auto found = turn.chains.find(what.to);
  if (found == turn.chains.end() || found->second.empty()) {
    result.how = outcome::unknown;
    return result;
  }
  known_chain& chain = found->second;
  known_run* open = chain.run.empty() || chain.ended ? nullptr : turn.find(chain.run);
  if (open != nullptr) {
    result.run = open->run;
    result.owner = open->owner;
  }

  if (chain.ids.contains(what.id)) {
    result.how = outcome::repeated;
  } else if (chain.has_ended()) {
    result.how = outcome::ended;
  } else if (inbox_bound == bound::checked && is_full(chain, what.kind)) {
    result.how = outcome::full;
  } else {
    insert_message(turn, chain, what);
    if (open != nullptr) mark_ready(turn, *open);
    result.how = outcome::accepted;
  }
  return result;
}

}  // namespace fermata::engine::postgres
