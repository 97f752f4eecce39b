// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/acknowledged.hpp"

#include "engine/limits.hpp"
#include "engine/store/postgres/params.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace fermata::engine::postgres {

namespace {

// What retention has removed isn't lost.
constexpr const char* lost_starts_sql =
    "SELECT u.run FROM unnest($1::uuid[]) AS u(run) WHERE "
    "NOT EXISTS(SELECT 1 FROM fermata.runs r WHERE r.run = u.run) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.start_requests s WHERE s.run = u.run) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.retention_log l WHERE l.run = u.run) ORDER BY u.run";
constexpr const char* lost_messages_sql =
    "SELECT u.id, u.chain FROM unnest($1::uuid[], $2::uuid[]) AS u(chain, id) WHERE "
    "NOT EXISTS(SELECT 1 FROM fermata.inbox i WHERE i.chain = u.chain AND i.id = u.id) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.ledger l WHERE l.chain = u.chain AND l.id = u.id) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.retention_log l WHERE coalesce(l.chain, l.run) = u.chain) "
    "ORDER BY u.id";
constexpr const char* lost_ends_sql =
    "SELECT u.run FROM unnest($1::uuid[], $2::int8[], $3::bytea[]) AS u(run, position, chain) "
    "WHERE "
    "NOT EXISTS(SELECT 1 FROM fermata.events e WHERE e.run = u.run AND e.position = u.position AND "
    "  e.chain = u.chain) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.retention_log l WHERE l.run = u.run) ORDER BY u.run";

void say_lost(const server& at, int count, std::string_view what, const std::string& names) {
  if (count == 0 || !at.say) return;
  const int unnamed = count - static_cast<int>(std::min<std::size_t>(
                                  static_cast<std::size_t>(count), limits::lost_named));
  at.say(fmt::format(
      "the promoted server lacks {} of {} that this process was told: {}{} [FER-2110]", count, what,
      names, unnamed > 0 ? fmt::format(" and {} more", unnamed) : std::string()));
}

template <class Name>
void say_lost(const server& at, rows& found, std::string_view what, Name&& name) {
  std::string names;
  const int count = found.count();
  for (std::size_t i = 0; i < limits::lost_named && found.next(); ++i)
    names += (i == 0 ? "" : ", ") + name(found);
  say_lost(at, count, what, names);
}

}  // namespace

void acknowledged::add(const thing& one) {
  if (ring_.size() < limits::acknowledged_kept) {
    ring_.push_back(one);
    return;
  }
  ring_[next_] = one;
  next_ = (next_ + 1) % ring_.size();
}

void acknowledged::note(const batch& what, const batch_result& done) {
  using kind = thing::kind;
  const std::lock_guard guard(mutex_);
  for (const start_result& one : done.starts)
    if (one.how == start_result::outcome::started) add({.what = kind::start, .run = one.run});
  for (std::size_t i = 0; i < what.messages.size(); ++i)
    if (done.messages[i].how == message_result::outcome::accepted)
      add({.what = kind::message, .run = what.messages[i].to, .message = what.messages[i].id});
  for (std::size_t i = 0; i < what.appends.size(); ++i) {
    const append& one = what.appends[i];
    if (one.then != then::end || one.events.empty() || done.appends[i].how != landing::landed)
      continue;
    const encoded_event& last = one.events.back();
    add({.what = kind::end, .run = one.run, .position = last.position, .hash = last.chain});
  }
}

std::vector<acknowledged::thing> acknowledged::all() const {
  const std::lock_guard guard(mutex_);
  return ring_;
}

void acknowledged::compare(server& at) {
  const std::uint32_t lineage = at.lineage();
  if (lineage == lineage_) return;
  const std::lock_guard one_at_a_time(comparing_);
  if (lineage == lineage_) return;
  if (tell(at)) lineage_ = lineage;
}

/// False: it has to be asked again.
bool acknowledged::tell(server& at) {
  column started(type::uuid), chain(type::uuid), message(type::uuid), ended(type::uuid),
      position(type::int8), hash(type::bytes);
  for (const thing& one : all()) {
    switch (one.what) {
      case thing::kind::start:
        started.add(one.run);
        break;
      case thing::kind::message:
        chain.add(one.run);
        message.add(one.message);
        break;
      case thing::kind::end:
        ended.add(one.run);
        position.add(static_cast<std::int64_t>(one.position));
        hash.add(std::string_view(reinterpret_cast<const char*>(one.hash.data()), one.hash.size()));
        break;
    }
  }
  try {
    at.read_beside([&](connection& db) {
      db.send(lost_starts_sql, params(started));
      db.send(lost_messages_sql, params(chain, message));
      db.send(lost_ends_sql, params(ended, position, hash));
      std::vector<rows> found = db.finish();
      const auto run = [](const rows& row) { return row.id<run_id>(0).text(); };
      say_lost(at, found[0], "the starts", run);
      say_lost(at, found[1], "the messages", [](const rows& row) {
        return fmt::format("{} to {}", row.id<message_id>(0).text(), row.id<chain_id>(1).text());
      });
      say_lost(at, found[2], "the ends of runs", run);
    });
  } catch (const server_failure&) {
    return false;
  }
  return true;
}

}  // namespace fermata::engine::postgres
