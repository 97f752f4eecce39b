// SPDX-License-Identifier: Apache-2.0
// Ends from outside: terminate, children of an ended parent, starts that came too late.
#include "engine/operate/left_behind.hpp"
#include "engine/operate/taking.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::engine {
namespace {

constexpr int tries_to_catch = 20;  // a request may begin, a run may end, between two looks

event terminated(const act& by) {
  event end;
  end.kind = event_kind::run_terminated;
  pb::ended& details = *end.details.mutable_ended();
  details.set_by(as_utf8(by.who));
  details.mutable_why()->set_type("terminated");
  details.mutable_why()->set_code("FER-1104");
  details.mutable_why()->set_message(as_utf8(by.why));
  return end;
}

std::string span_text(std::int64_t us) {
  const std::int64_t ms = (us + 999) / 1'000;
  if (ms < 10'000) return fmt::format("{} ms", ms);
  const std::int64_t s = (ms + 500) / 1'000;
  if (s < 600) return fmt::format("{} s", s);
  if (s < 4 * 3'600) return fmt::format("{} min", (s + 30) / 60);
  if (s < 4 * 86'400) return fmt::format("{} h", (s + 1'800) / 3'600);
  return fmt::format("{} days", (s + 43'200) / 86'400);
}

event expired(const start_request& request) {
  event end;
  end.kind = event_kind::run_expired;
  pb::failure& why = *end.details.mutable_ended()->mutable_why();
  why.set_type("expired");
  why.set_code("FER-1105");
  why.set_message(request.not_after > request.requested
                      ? fmt::format("no worker began it in the {} until its not_after",
                                    span_text(request.not_after - request.requested))
                      : "its not_after had passed before it was asked for");
  return end;
}

/// owner_changed, run_terminated; the inbox is consumed and listed, the parent is told.
absl::StatusOr<std::optional<append>> terminate_begun(const store& where, const run_row& row,
                                                      const act& by) {
  absl::StatusOr<taking> taken = take(where, row, fmt::format("terminate by {}", by.who));
  if (!taken.ok()) return taken.status();
  const absl::StatusOr<left_behind> left = fold_left_behind(where, row.run);
  if (!left.ok()) return left.status();
  const absl::StatusOr<std::vector<message>> inbox = where.inbox(row.chain);
  if (!inbox.ok()) return inbox.status();

  append& what = taken->what();
  event end = terminated(by);
  end.name = row.workflow;
  end.at = what.events.front().at;
  pb::ended& details = *end.details.mutable_ended();
  for (const std::string& operation : left->abandoned) details.add_abandoned(operation);
  for (const std::string& one : left->compensations) details.add_left(one);
  for (const message& unread : *inbox) {
    details.add_unread(std::string(unread.id.view()));
    what.consumed.push_back(unread.seq);
  }
  taken->add(end);
  what.then = then::end;
  if (auto told = end_message(row, end, run_state::terminated)) {
    what.messages.push_back(*std::move(told));
  }
  return std::move(what);
}

/// True when it was ended; false when it isn't a request any more.
absl::StatusOr<bool> terminate_unbegun(store& where, const run_id& run, const act& by) {
  const auto request = where.find_request(run);
  if (!request.ok()) return request.status();
  if (!request->has_value()) return false;
  return end_unbegun(where, **request, terminated(by), run_state::terminated);
}

message cancel_by_parent(const run_row& child) {
  message told;
  // The same at every sweep, so that a repeated one is known.
  told.id = message_id::of(child_run_id(child.run, "close", child.requested));
  told.to = child.chain;
  told.kind = message_kind::cancel;
  told.sender = child.parent;
  told.details.mutable_cancel()->set_by("parent");
  told.details.mutable_cancel()->set_why("its parent has ended");
  return told;
}

bool is_over(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

absl::Status terminate(store& where, const run_id& run, const act& by) {
  bool waiting = false;
  for (int tried = 0; tried < tries_to_catch; ++tried) {
    waiting = false;
    const absl::Status status =
        until_landed(where, run, [&]() -> absl::StatusOr<std::optional<append>> {
          const absl::StatusOr<run_row> row = find_row(where, run);
          if (!row.ok()) return row.status();
          if (ended(row->state)) return ended_already(*row);
          waiting = row->state == run_state::waiting_to_start;
          if (waiting) return std::optional<append>();
          return terminate_begun(where, *row, by);
        });
    if (!status.ok() || !waiting) return status;
    const absl::StatusOr<bool> done = terminate_unbegun(where, run, by);
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
  }
  return not_allowed(run, "begins at this very moment; try again");
}

absl::StatusOr<bool> close_children(store& where, std::size_t at_most) {
  const absl::StatusOr<std::vector<run_row>> children = where.children_to_close(at_most);
  if (!children.ok()) return children.status();
  batch cancels;
  std::vector<run_id> told;
  for (const run_row& child : *children) {
    told.push_back(child.run);
    if (child.close_policy == 1) cancels.messages.push_back(cancel_by_parent(child));
    if (child.close_policy != 0) continue;
    const absl::Status status =
        terminate(where, child.run, {.who = "parent", .why = "its parent has ended"});
    if (!status.ok() && !is_over(status)) return status;
  }
  if (!cancels.empty()) {
    if (const auto sent = commit_surely(where, cancels); !sent.ok()) return sent.status();
  }
  if (!told.empty()) {
    const absl::Status status = surely([&] { return where.closed(told); });
    if (!status.ok()) return status;
  }
  return at_most != 0 && children->size() >= at_most;
}

absl::Status expire_requests(store& where, std::size_t at_most) {
  const auto overdue = where.overdue_requests(where.now(), at_most);
  if (!overdue.ok()) return overdue.status();
  for (const start_request& request : *overdue) {
    // False: it was terminated meanwhile; nothing is left to do.
    const auto done = end_unbegun(where, request, expired(request), run_state::expired);
    if (!done.ok()) return done.status();
  }
  return absl::OkStatus();
}

}  // namespace fermata::engine
