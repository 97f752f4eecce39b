// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "engine/store/memory/turn.hpp"
#include "engine/utf8.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine::memory {
namespace {

/// There is some room more for cancels: a run that is flooded with signals can still be stopped.
bool is_full(const chain_record& known, message_kind kind) {
  constexpr std::size_t most = limits::inbox_per_chain;
  return known.inbox.size() >= (kind == message_kind::cancel ? most + most / 100 : most);
}

}  // namespace

message_result put_message(turn& turn, message what, bound inbox_bound) {
  using outcome = message_result::outcome;
  tables& data = turn.data;
  message_result result;
  const chain_record* known = data.find_chain(what.to);
  if (known == nullptr) {
    result.how = outcome::unknown;
    return result;
  }
  run_record* open = data.open_run(what.to);
  if (open != nullptr) {
    result.run = open->row.run;
    result.owner = open->row.owner;
  }

  if (known->pending.contains(what.id) || known->ledger.contains(what.id)) {
    result.how = outcome::repeated;
  } else if (!data.accepts_messages(what.to)) {
    result.how = outcome::ended;
  } else if (inbox_bound == bound::checked && is_full(*known, what.kind)) {
    result.how = outcome::full;
  } else {
    chain_record& chain = data.chains[what.to];
    what.accepted = turn.now;
    what.seq = chain.inbox.empty() ? 1 : chain.inbox.rbegin()->first + 1;
    data.latest = std::max(data.latest, what.accepted);
    make_utf8(what.details);
    chain.pending.insert(what.id);
    chain.inbox.emplace(what.seq, std::move(what));
    if (open != nullptr) data.mark_ready(*open, turn.now);
    result.how = outcome::accepted;
  }
  return result;
}

}  // namespace fermata::engine::memory
