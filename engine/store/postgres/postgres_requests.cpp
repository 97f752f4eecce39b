// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/journal_parts.hpp"
#include "engine/store/postgres/postgres_store.hpp"
#include "engine/store/start_groups.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine {

namespace {

using postgres::column;
using postgres::connection;
using postgres::params;
using postgres::rows;
using postgres::transaction;
using postgres::turn;
using postgres::type;

absl::Status no_events(const run_id& run) {
  return coded(absl::StatusCode::kInvalidArgument, "FER-2104",
               fmt::format("run {}: a journal begins with at least one event", run.text()));
}

#define FERMATA_CHILD_OF_PARENT                                           \
  " r ON r.parent IS NOT NULL AND coalesce(r.parent_chain, r.parent) IN " \
  "(p.run, coalesce(p.chain, p.run)) WHERE r.close_policy <> 2 AND NOT r.told "

constexpr const char* runs_to_close_sql =
    "SELECT " FERMATA_RUN_COLUMNS
    " FROM fermata.closing k JOIN fermata.runs p ON p.run = k.parent JOIN "
    "fermata.runs" FERMATA_CHILD_OF_PARENT "AND r.state < 3 LIMIT $1";
constexpr const char* requests_to_close_sql =
    "SELECT " FERMATA_REQUEST_COLUMNS
    " FROM fermata.closing k JOIN fermata.runs p ON p.run = k.parent JOIN "
    "fermata.start_requests" FERMATA_CHILD_OF_PARENT "LIMIT $1";
/// Parents whose children are all told leave the list.
constexpr const char* forget_parents_sql =
    "DELETE FROM fermata.closing k USING fermata.runs p WHERE p.run = k.parent AND "
    "NOT EXISTS(SELECT 1 FROM fermata.runs c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (p.run, coalesce(p.chain, p.run)) AND c.state < 3 AND "
    "  c.close_policy <> 2 AND NOT c.told) AND "
    "NOT EXISTS(SELECT 1 FROM fermata.start_requests c WHERE c.parent IS NOT NULL AND "
    "  coalesce(c.parent_chain, c.parent) IN (p.run, coalesce(p.chain, p.run)) AND "
    "  c.close_policy <> 2 AND NOT c.told)";

/// What a run's row and events need to be known.
batch names_of(const start_request& request, const std::vector<encoded_event>& events,
               const std::vector<message>& messages) {
  batch all;
  append& one = all.appends.emplace_back();
  one.run = request.run;
  one.events = events;
  one.children.push_back(request);
  all.messages = messages;
  return all;
}

std::optional<start_request> find(const postgres::dictionary& in, const run_id& run) {
  rows found =
      in.db.run("SELECT " FERMATA_REQUEST_COLUMNS " FROM fermata.start_requests r WHERE r.run = $1",
                params(run));
  if (!found.next()) return std::nullopt;
  return read_request(in, found);
}

}  // namespace

absl::StatusOr<std::vector<run_row>> postgres_store::children_to_close(std::size_t at_most) {
  using result = absl::StatusOr<std::vector<run_row>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      std::vector<run_row> found;
      if (db.run("SELECT 1 FROM fermata.closing LIMIT 1").count() == 0) return found;
      rows runs = db.run(runs_to_close_sql, params(at_most));
      while (runs.next()) found.push_back(read_run(parts_->names(db), runs));
      rows requests = db.run(requests_to_close_sql, params(at_most - found.size()));
      while (requests.next())
        found.push_back(row_of_request(read_request(parts_->names(db), requests)));
      return found;
    });
  });
}

absl::Status postgres_store::closed(const std::vector<run_id>& children) {
  return guarded<absl::Status>([&]() -> absl::Status {
    std::vector<run_id> sorted = children;
    std::ranges::sort(sorted);
    column all(type::uuid);
    for (const run_id& child : sorted) all.add(child);
    parts_->at.write([&](transaction& in) {
      in.send("SELECT 1 FROM fermata.start_requests WHERE run = ANY($1) ORDER BY run FOR UPDATE",
              params(all));
      in.send("SELECT 1 FROM fermata.runs WHERE run = ANY($1) ORDER BY run FOR NO KEY UPDATE",
              params(all));
      in.send("UPDATE fermata.start_requests SET told = true WHERE run = ANY($1)", params(all));
      in.send("UPDATE fermata.runs SET told = true WHERE run = ANY($1)", params(all));
      in.send(forget_parents_sql);
    });
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<start_request>> postgres_store::overdue_requests(time_us now,
                                                                            std::size_t at_most) {
  using result = absl::StatusOr<std::vector<start_request>>;
  return guarded<result>([&]() -> result {
    return parts_->at.read([&](connection& db) {
      rows found = db.run("SELECT " FERMATA_REQUEST_COLUMNS
                          " FROM fermata.start_requests r WHERE r.not_after <> 0 AND "
                          "r.not_after < $1 ORDER BY r.not_after LIMIT $2",
                          params(now, at_most));
      std::vector<start_request> all;
      while (found.next()) all.push_back(read_request(parts_->names(db), found));
      return all;
    });
  });
}

absl::StatusOr<bool> postgres_store::end_request(const run_id& run,
                                                 const std::vector<encoded_event>& events,
                                                 const run_changes& changes,
                                                 const std::vector<message>& messages) {
  using result = absl::StatusOr<bool>;
  if (events.empty()) return no_events(run);
  return guarded<result>([&]() -> result {
    postgres::journal_parts& parts = *parts_;
    const auto known = parts.at.read([&](connection& db) { return find(parts.names(db), run); });
    if (!known) return false;
    const batch touched = names_of(*known, events, messages);
    learn_names(parts.at, touched);
    std::optional<turn> last;
    const bool was_there = parts.at.write([&](transaction& in) {
      last.emplace(parts.at, in, parts.handed, 0);
      batch only_messages;
      only_messages.messages = messages;
      // Its own chain is addressed, so that the request is locked, and nobody claims it.
      message& own = only_messages.messages.emplace_back();
      own.to = known->chain;
      load(*last, only_messages);
      const auto request = find(last->names(), run);
      if (!request) return false;
      last->write.remove_request(run);
      last->chains[request->chain].request = {};
      insert_whole(*last, *request, events, changes);
      for (const message& one : messages) put_message(*last, one, postgres::bound::ignored);
      last->write.send(in, last->now);
      return true;
    });
    if (was_there) parts.tell(*last);
    return was_there;
  });
}

absl::Status postgres_store::begin_copy(const start_request& request,
                                        const std::vector<encoded_event>& events,
                                        const run_changes& changes,
                                        const std::vector<chain_id>& in_flight) {
  if (events.empty()) return no_events(request.run);
  return guarded<absl::Status>([&]() -> absl::Status {
    postgres::journal_parts& parts = *parts_;
    learn_names(parts.at, names_of(request, events, {}));
    std::optional<turn> last;
    absl::Status answer = parts.at.write([&](transaction& in) -> absl::Status {
      last.emplace(parts.at, in, parts.handed, 0);
      const chain_id chain = request.chain.empty() ? chain_id(request.run) : request.chain;
      // Two at once: the run that the chain ended with is locked by whoever is first.
      in.run("SELECT 1 FROM fermata.runs WHERE run = $1 OR run = $2 ORDER BY run FOR UPDATE",
             params(chain, request.previous_run));
      batch touched;
      touched.starts.emplace_back().request = request;
      touched.starts.back().request.chain = chain;
      touched.messages.emplace_back().to = chain;
      // Locked as if they were written to: none ends until this is there, and gets its message.
      for (const chain_id& child : in_flight) touched.messages.emplace_back().to = child;
      load(*last, touched);
      if (const auto there = last->ids.find(request.run);
          there != last->ids.end() && there->second.begun)
        return absl::OkStatus();
      const auto known = last->chains.find(chain);
      if (known != last->chains.end() && !known->second.empty() && !known->second.has_ended())
        return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
                     fmt::format("run {}: its chain {} has an open run; only one may be open",
                                 request.run.text(), chain.text()));
      for (const chain_id& child : in_flight)
        if (const auto one = last->chains.find(child);
            one != last->chains.end() && one->second.has_ended())
          return child_has_ended(request, child);
      // Its row is locked: who starts with it waits, and finds the open run. Who has a snapshot of before
      // would find the ended one: the row changes, though it says the same.
      for (const auto& [name, key] : last->keys) {
        if (!key.bound) continue;
        if (key.chain != chain) return key_is_taken(request, key.chain);
        last->write.bind_key(std::get<0>(name), std::get<1>(name), std::get<2>(name), chain,
                             key.input_type, key.input_digest);
      }
      postgres::known_run& run = insert_whole(*last, request, events, changes);
      if (!ended(run.state)) mark_ready(*last, run);
      last->write.send(in, last->now);
      return absl::OkStatus();
    });
    if (answer.ok()) parts.tell(*last);
    return answer;
  });
}

}  // namespace fermata::engine
