// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/postgres_store.hpp"

#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/prospect.hpp"
#include "engine/store/postgres/schema.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace fermata::engine {

using postgres::claim_places;
using postgres::sweep_times;
using postgres::transaction;
using postgres::turn;

namespace postgres {

const state_folder& journal_parts::folder() {
  const std::lock_guard guard(mutex);
  if (!folder_) folder_ = open_state_folder(at.known(), at.where.schema);
  return *folder_;
}

host::worker_slots& journal_parts::slots() {
  const std::string path = folder().path + "/journal";
  const std::lock_guard guard(mutex);
  if (!slots_) slots_ = std::make_unique<host::worker_slots>(path);
  return *slots_;
}

}  // namespace postgres

postgres_store::postgres_store(std::unique_ptr<postgres::journal_parts> parts)
    : parts_(std::move(parts)) {}

postgres_store::~postgres_store() = default;

namespace {

using postgres::journal_parts;
using postgres::prospect;

batch_result write_batch(turn& now, const batch& what, claim_places& places, const prospect* seen) {
  load(now, what);
  batch_result done;
  done.appends.reserve(what.appends.size());
  for (std::size_t i = 0; i < what.appends.size(); ++i) {
    const append& one = what.appends[i];
    if (now.landed.contains(i)) {
      done.appends.push_back({.how = landing::landed});
      now.latest = std::max(now.latest, one.events.front().at);
    } else {
      done.appends.push_back(apply_append(now, one));
    }
  }
  done.starts = apply_starts(now, what.starts);
  for (const message& one : what.messages)
    done.messages.push_back(put_message(now, one, postgres::bound::checked));
  for (const task_finish& one : what.finish) done.finished.push_back(finish_task(now, one));
  if (what.claim) claim(now, *what.claim, places, seen, done);
  now.write.send(now.in, now.now);
  return done;
}

batch_result nothing_of(const prospect& seen) {
  return {.stopped = seen.stopped,
          .next_timer = seen.next_timer,
          .next_not_before = seen.next_not_before,
          .more_ready = seen.more_ready};
}

/// True: all of it was plain, and has landed.
bool appended_plainly(journal_parts& parts, const batch& what) {
  if (!postgres::all_plain(what)) return false;
  const auto landed = append_plain(parts.at, what);
  for (const append& one : what.appends) parts.at.clock.stored(one.events.front().at);
  return landed.size() == what.appends.size();  // sent again, the others are found by their bytes
}

/// A batch of a claim alone is looked ahead of whenever that is allowed: mostly there is nothing.
bool claims_alone(const batch& what) {
  return what.claim && what.appends.empty() && what.starts.empty() && what.messages.empty() &&
         what.finish.empty();
}

}  // namespace

absl::StatusOr<batch_result> postgres_store::commit(batch&& what) {
  using result = absl::StatusOr<batch_result>;
  journal_parts& parts = *parts_;
  return guarded<result>([&]() -> result {
    parts.at.check_may_write();
    parts.acked.compare(parts.at);
    if (appended_plainly(parts, what)) {
      batch_result done;
      done.appends.resize(what.appends.size(), {.how = landing::landed});
      return done;
    }
    claim_places before = parts.places_of(what);
    const bool alone = claims_alone(what);
    std::optional<prospect> seen;
    const std::int64_t steady = parts.at.clock.steady_now();
    const sweep_times& sweeps = before.sweeps;
    if (what.claim && (alone || before.got_less ? sweeps.allowed(steady) : sweeps.due(steady))) {
      seen = look_ahead(parts.at, what, before);
      before.got_less = true;
      parts.remember(what, before);
      if (alone && !seen->anything()) return nothing_of(*seen);
    }
    claim_places after;
    std::optional<turn> last;
    batch_result answer = parts.at.write([&](transaction& in) {
      learn_names(parts.at, what);  // each time: a server that was promoted may know less
      after = before;
      last.emplace(parts.at, in, parts.handed, what.worker);
      const prospect* has_seen = seen ? &*seen : nullptr;
      if (!alone) return write_batch(*last, what, after, has_seen);
      batch_result taken = claim_alone(*last, *what.claim, after, has_seen);
      last->write.send(in, last->now);
      return taken;
    });
    parts.handed.add(last->handed_now);
    after.got_less = !answer.more_ready;
    parts.remember(what, after);
    parts.acked.note(what, answer);
    parts.tell(*last);
    return answer;
  });
}

std::size_t postgres_store::lanes() const {
  return static_cast<std::size_t>(parts_->at.where.lanes);
}

// ---- clock and wake-ups ----

time_us postgres_store::now() const { return parts_->at.clock.now(); }

std::int64_t postgres_store::boot_now() const { return parts_->at.clock.boot_now(); }

std::uint32_t postgres_store::wake_count() const { return parts_->wake.count(); }

std::uint32_t postgres_store::wakes_of_own_ends() const { return parts_->wake.count_for_ends(); }

void postgres_store::wait(std::uint32_t seen, std::int64_t timeout_us) {
  parts_->wake.wait(seen, timeout_us);
}

void postgres_store::interrupt() { parts_->wake.bump(); }

// ---- opening ----

// A program that asks the linker for this has the whole folder (engine/CMakeLists.txt).
extern "C" {
extern const int fermata_links_postgres;
const int fermata_links_postgres = 1;
}

absl::StatusOr<std::shared_ptr<store>> open_postgres_store(std::string_view address,
                                                           const open_options& options) {
  using result = absl::StatusOr<std::shared_ptr<store>>;
  postgres::warn say = options.warn;
  if (!say)
    say = [](std::string_view sentence) {
      std::fprintf(stderr, "fermata: %.*s\n", static_cast<int>(sentence.size()), sentence.data());
    };
  return guarded<result>([&]() -> result {
    auto parts = std::make_unique<postgres::journal_parts>(postgres::parse_address(address),
                                                           options, std::move(say));
    prepare_schema(parts->at, options);
    parts->at.read([&](postgres::connection& db) {
      // Never before the latest time stored: workers have seen it last.
      const std::int64_t asked = parts->at.clock.boot_now();
      postgres::rows seen = db.run(
          "SELECT coalesce(max(last_seen), 0), "
          "(extract(epoch FROM clock_timestamp()) * 1000000)::int8 FROM fermata.workers");
      const std::int64_t heard = parts->at.clock.boot_now();
      seen.next();
      parts->at.clock.learn(seen.integer(1), asked, heard);
      parts->at.clock.stored(seen.integer(0));
    });
    return std::make_shared<postgres_store>(std::move(parts));
  });
}

}  // namespace fermata::engine
