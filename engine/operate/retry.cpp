// SPDX-License-Identifier: Apache-2.0
// Retry of an ended run: a new run of its chain that begins with a part of its journal.
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/operate/copy.hpp"
#include "engine/operate/reopen.hpp"
#include "engine/operate/taking.hpp"
#include "engine/planted.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/projection.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace fermata::engine {
namespace {

constexpr std::size_t page = 1'000;
constexpr int tries_when_raced = 3;  // whoever was faster left an open run, which ends this

/// A journal, as stored and as read.
struct journal {
  std::vector<encoded_event> stored;
  std::vector<event> events;
};

absl::Status has_no_end(const run_id& run) {
  return absl::DataLossError(fmt::format(
      "run {} has ended, but its journal has no end; `fermata verify` says more", run.text()));
}

absl::StatusOr<journal> read_journal(const store& where, const run_id& run) {
  journal all;
  for (position_t from = 1;; from += page) {
    auto some = where.read_events(run, from, page);
    if (!some.ok()) return some.status();
    const std::size_t count = some->size();
    for (encoded_event& one : *some) {
      absl::StatusOr<event> what = decode(run, one);
      if (!what.ok()) return what.status();
      all.events.push_back(*std::move(what));
      all.stored.push_back(std::move(one));
    }
    if (count < page) break;
  }
  if (all.events.empty() || class_of(all.events.back().kind) != event_class::end)
    return has_no_end(run);
  return all;
}

run_id make_run_id(time_us now) {
  real_random chance;
  std::array<std::uint8_t, 10> bytes;
  chance.fill(bytes.data(), bytes.size());
  return run_id::of(ulid::make(now, bytes));
}

/// The journal of the new run, as it grows.
struct copied {
  start_request request;
  std::vector<encoded_event> events;
  run_changes changes;
  std::vector<chain_id> in_flight;  // children that may still end

  chain_hash last() const { return events.empty() ? chain_hash{} : events.back().chain; }

  void add_stored(encoded_event stored, const event& what) {
    stored.position = events.size() + 1;
    seal(request.run, last(), stored);
    event moved = what;
    moved.position = stored.position;
    events.push_back(std::move(stored));
    fold_changes(request.run, moved, changes);
  }
  void add(event what) {
    what.position = events.size() + 1;
    what.epoch = events.back().epoch;
    what.at = std::max(what.at, events.back().at);
    events.push_back(encode(request.run, last(), what, random_salt()));
    fold_changes(request.run, what, changes);
  }
};

std::string serialise(const pb::details& details) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  details.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

start_request request_of(const run_row& row, const event& start, const head& last, time_us now) {
  const pb::started& started = start.details.started();
  start_request request;
  request.run = make_run_id(now);
  request.chain = row.chain;
  request.origin =
      planted("retry_under_new_keys") ? request.run : run_id::of(ulid::from_view(started.origin()));
  request.seed = started.seed();
  request.space = row.space;
  request.workflow = row.workflow;
  request.input = start.value;
  request.queue = row.queue;
  request.priority = row.priority;
  request.requested = row.requested;
  // A deadline that has passed would cancel the new run at once.
  request.deadline = started.deadline_us() > now ? started.deadline_us() : 0;
  request.key = row.key;
  for (const auto& [name, value] : started.tags()) request.tags[name] = value;
  request.parent = row.parent;
  request.parent_operation = row.parent_operation;
  // parent_chain stays empty: a parent that was told isn't told again.
  request.close_policy = row.close_policy;
  request.traceparent = started.traceparent();
  request.previous_run = row.run;
  request.previous_hash = last.hash;
  return request;
}

/// Event 1 of the new run: what its request says differently; all else stays, also what this version
/// doesn't know.
void add_start(copied& to, const journal& from) {
  event start = from.events.front();
  pb::started& started = *start.details.mutable_started();
  const start_request& request = to.request;
  started.set_origin(std::string(request.origin.view()));
  started.set_seed(request.seed);
  started.set_deadline_us(request.deadline);
  started.clear_parent_chain();
  started.set_previous_run(std::string(request.previous_run.view()));
  started.set_previous_hash(request.previous_hash.data(), request.previous_hash.size());
  start.epoch = 1;
  encoded_event stored = from.stored.front();
  stored.epoch = start.epoch;
  stored.details = serialise(start.details);
  to.add_stored(std::move(stored), start);
}

/// The end of a child that came while no run of the chain could take it.
absl::StatusOr<std::optional<event>> missed_end(const store& where, const kept_child& child) {
  const absl::StatusOr<run_row> row = where.find_chain(child.chain);
  if (absl::IsNotFound(row.status())) return std::optional<event>();
  if (!row.ok()) return row.status();
  if (row->state != run_state::completed) return std::optional<event>();
  const absl::StatusOr<head> last = where.read_head(row->run);
  if (!last.ok()) return last.status();
  const auto stored = where.read_events(row->run, last->position, 1);
  if (!stored.ok()) return stored.status();
  if (stored->empty()) return has_no_end(row->run);
  const absl::StatusOr<event> end = decode(row->run, stored->front());
  if (!end.ok()) return end.status();

  event told;
  told.kind = event_kind::child_completed;
  told.at = end->at;
  told.operation = child.operation;
  told.name = child.name;
  told.value = end->value;
  pb::child_ended& details = *told.details.mutable_child_end();
  details.set_child(std::string(child.chain.view()));
  details.set_state(static_cast<int>(run_state::completed));
  details.set_result_type(end->value.type);
  return std::optional<event>(std::move(told));
}

absl::Status add_history(copied& to, const store& where, const journal& from,
                         const copy_plan& plan) {
  for (const position_t p : plan.kept) {
    const event& what = from.events[p - 1];
    if (is_erased(from.stored[p - 1])) {
      return not_allowed(to.request.previous_run,
                         fmt::format("can't be retried: the payload of event {} was erased", p));
    }
    if (p == 1) {
      add_start(to, from);
    } else {
      to.add_stored(from.stored[p - 1], what);
    }
  }
  for (const kept_child& child : plan.children) {
    absl::StatusOr<std::optional<event>> end = missed_end(where, child);
    if (!end.ok()) return end.status();
    if (end->has_value()) {
      to.add(std::move(**end));
    } else if (!planted("retry_forgets_children_in_flight")) {
      to.in_flight.push_back(child.chain);
    }
  }
  return absl::OkStatus();
}

absl::Status add_plan(copied& to, const store& where, const journal& from, bool from_start,
                      std::vector<run_id>& children) {
  const bool compensated = has_compensated(from.events);
  if (compensated && !from_start) {
    return not_allowed(to.request.previous_run,
                       "has compensated, so what its steps did is undone already; "
                       "`fermata retry --from-start` does everything again");
  }
  if (compensated) {
    // Under the old keys the undone effects would count as done.
    to.request.origin = to.request.run;
    to.request.seed = random_salt();
  }
  copy_plan plan;
  plan.kept = {1};
  if (!from_start && !planted("retry_repeats_finished_steps")) {
    plan = plan_copy(from.events, [&](const chain_id& child) -> std::optional<run_state> {
      const absl::StatusOr<run_row> row = where.find_chain(child);
      if (!row.ok() || !ended(row->state)) return std::nullopt;
      return row->state;
    });
  }
  for (const kept_child& child : plan.children) children.push_back(child.chain);
  return add_history(to, where, from, plan);
}

/// Why an ended run can't be retried; OK when it can.
absl::Status check_retry(const store& where, const run_row& row) {
  const bool may = row.state == run_state::failed || row.state == run_state::cancelled ||
                   row.state == run_state::terminated;
  if (!may) {
    return not_allowed(row.run, fmt::format("is {}: there is nothing to retry; start a new run",
                                            text_of(row.state)));
  }
  const absl::StatusOr<run_row> current = where.find_chain(row.chain);
  if (!current.ok()) return current.status();
  if (current->run != row.run) {
    return not_allowed(row.run, fmt::format("was continued as run {}, which is {}; see that one",
                                            current->run.text(), text_of(current->state)));
  }
  if (row.key.empty()) return absl::OkStatus();
  const auto named = where.find_key(row.space, row.workflow, row.key);
  if (!named.ok()) return named.status();
  if (!named->empty() && named->front().chain != row.chain) {
    return not_allowed(
        row.run, fmt::format("lost its key '{}' to run {}, which was started with it "
                             "since and is {}; see that one",
                             row.key, named->front().run.text(), text_of(named->front().state)));
  }
  return absl::OkStatus();
}

absl::StatusOr<run_id> copy_run(store& where, const run_row& row, const act& by, bool from_start) {
  const absl::StatusOr<journal> from = read_journal(where, row.run);
  if (!from.ok()) return from.status();
  copied to;
  const head last{from->events.back().position, from->stored.back().chain};
  const time_us now = where.now();
  to.request = request_of(row, from->events.front(), last, now);
  std::vector<run_id> children;
  if (absl::Status status = add_plan(to, where, *from, from_start, children); !status.ok()) {
    return status;
  }
  event noted = act_event("retry", by);
  noted.at = now;
  to.add(std::move(noted));

  absl::Status status =
      surely([&] { return where.begin_copy(to.request, to.events, to.changes, to.in_flight); });
  if (!status.ok()) return status;
  // They aren't to be closed: their parent goes on.
  if (!children.empty()) {
    if (status = surely([&] { return where.closed(children); }); !status.ok()) return status;
  }
  return to.request.run;
}

}  // namespace

absl::StatusOr<run_id> retry(store& where, const run_id& run, const act& by, bool from_start) {
  absl::StatusOr<run_id> begun = absl::UnknownError("nothing was tried");
  for (int tried = 0; tried < tries_when_raced;) {
    const absl::StatusOr<run_row> row = find_row(where, run);
    if (!row.ok()) return row.status();
    if (!ended(row->state)) {
      if (from_start) {
        return not_allowed(run, "is open; `fermata terminate` it first, then start it over");
      }
      if (absl::Status status = reopen(where, run, by); !status.ok()) return status;
      return run;
    }
    if (absl::Status status = check_retry(where, *row); !status.ok()) return status;
    begun = copy_run(where, *row, by, from_start);
    // A child ended: one less that may.
    if (absl::IsAborted(begun.status())) continue;
    ++tried;
    // The refusal of a store whose chain has got an open run meanwhile has no code of ours.
    if (!absl::IsFailedPrecondition(begun.status())) return begun;
    if (absl::Status raced = check_retry(where, *row); raced.ok()) return begun;
  }
  return begun;
}

}  // namespace fermata::engine
