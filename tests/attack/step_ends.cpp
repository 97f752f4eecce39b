// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/step_ends.hpp"

#include "engine/event/encode.hpp"

namespace attack {

using namespace fermata::engine;

void for_each_event(store& store, const std::function<void(const run_id&, const event&)>& what) {
  std::string cursor;
  for (;;) {
    auto some = store.changes(cursor, 1000);
    if (!some.ok() || some->empty()) return;
    for (const stored_event& s : *some) {
      cursor = s.cursor;
      if (auto e = decode(s.run, s.what); e.ok()) what(s.run, *e);  // else verify says so
    }
  }
}

step_ends::step_ends(store& store) {
  for_each_event(store, [&](const run_id& run, const event& e) { add(run, e); });
}

void step_ends::add(const run_id& run, const event& e) {
  if (e.kind == event_kind::run_started)
    origins_[run] = run_id::of(ulid::from_view(e.details.started().origin())).text();
  if (e.kind == event_kind::step_completed || e.kind == event_kind::step_failed)
    ends_[origins_[run] + "/" + e.operation + "/" + e.name] = {
        .at_us = e.at, .attempt = e.details.step().attempts(), .epoch = e.epoch};
}

step_ends::verdict step_ends::judge(const beginning& b) {
  constexpr std::int64_t slack_us = 2000;
  const bool first = ++begun_[{b.key, b.attempt}] == 1;
  const auto known = ends_.find(b.key);
  if (known == ends_.end()) return verdict::open;
  const end& e = known->second;
  // An outcome's time is that of its owner's look at the inbox, which may begin before it came there:
  // the attempt whose outcome it is may seem to be later.
  if (first && b.attempt == e.attempt) return verdict::fine;
  if (b.at_us <= e.at_us + slack_us) return verdict::fine;
  // The epochs of a step on a queue of its own are of another kind; its attempts' numbers rise instead.
  return b.attempt < e.attempt || b.epoch < e.epoch ? verdict::stale : verdict::repeated;
}

}  // namespace attack
