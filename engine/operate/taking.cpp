// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/taking.hpp"

#include "engine/event/encode.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/status.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine {
namespace {

constexpr int tries_when_raced = 20;       // an owner appends often, but not for ever
constexpr int tries_when_unavailable = 4;  // an ambiguous commit is settled by sending it again

}  // namespace

absl::Status unknown_run(const run_id& run) {
  return coded(
      absl::StatusCode::kNotFound, "FER-1302",
      fmt::format("run {} isn't in this journal; `fermata list` shows what there is", run.text()));
}

absl::Status ended_already(const run_row& row) {
  return coded(
      absl::StatusCode::kFailedPrecondition, "FER-1303",
      fmt::format("run {} has ended already: it is {}", row.run.text(), text_of(row.state)));
}

absl::Status not_allowed(const run_id& run, std::string_view sentence) {
  return coded(absl::StatusCode::kFailedPrecondition, "FER-1308",
               fmt::format("run {} {}", run.text(), sentence));
}

absl::StatusOr<run_row> find_row(const store& where, const run_id& run) {
  absl::StatusOr<run_row> row = where.find_run(run);
  if (absl::IsNotFound(row.status())) return unknown_run(run);
  return row;
}

taking::taking(const run_row& row, const head& last, time_us now)
    : hash_(last.hash), position_(last.position), now_(now) {
  append_.run = row.run;
  append_.chain = row.chain;
  append_.row = row.row;
  append_.epoch = row.epoch + 1;
  append_.after = last.position;
  append_.after_hash = last.hash;
  append_.by_operator = true;
}

void taking::take_from(std::string_view from, std::string_view why) {
  event taken;
  taken.kind = event_kind::owner_changed;
  pb::owner_changed& owner = *taken.details.mutable_owner();
  owner.set_epoch(append_.epoch);
  owner.set_from(as_utf8(from));
  owner.set_why(as_utf8(why));
  add(std::move(taken));
}

void taking::add(event what) {
  what.position = ++position_;
  what.epoch = append_.epoch;
  what.at = now_;
  append_.events.push_back(encode(append_.run, hash_, what, random_salt()));
  hash_ = append_.events.back().chain;
  fold_changes(append_.run, what, append_.changes);
}

absl::StatusOr<taking> take(const store& where, const run_row& row, std::string_view why) {
  const absl::StatusOr<head> last = where.read_head(row.run);
  if (!last.ok()) return last.status();
  std::string from;
  if (row.owner != 0) {
    const absl::StatusOr<std::vector<worker_row>> workers = where.workers();
    if (!workers.ok()) return workers.status();
    const auto owner = std::ranges::find(*workers, row.owner, &worker_row::row);
    if (owner != workers->end()) from = owner->id.text();
  }
  taking begun(row, *last, where.now());
  begun.take_from(from, why);
  return begun;
}

absl::Status surely(const std::function<absl::Status()>& call) {
  absl::Status status;
  for (int tried = 0; tried < tries_when_unavailable; ++tried) {
    status = call();
    if (!absl::IsUnavailable(status)) break;
  }
  return status;
}

absl::StatusOr<batch_result> commit_surely(store& where, const batch& what) {
  absl::StatusOr<batch_result> result = absl::UnknownError("nothing was committed");
  const absl::Status status = surely([&] {
    result = where.commit(batch(what));
    return result.status();
  });
  if (!status.ok()) return status;
  return result;
}

absl::Status until_landed(store& where, const run_id& run, const one_try& make) {
  landing how = landing::stale;
  for (int tried = 0; tried < tries_when_raced; ++tried) {
    absl::StatusOr<std::optional<append>> made = make();
    if (!made.ok()) return made.status();
    if (!made->has_value()) return absl::OkStatus();
    batch one;
    one.appends.push_back(*std::move(*made));
    const absl::StatusOr<batch_result> result = commit_surely(where, one);
    if (!result.ok()) return result.status();
    how = result->appends.front().how;
    if (how == landing::landed) return absl::OkStatus();
  }
  return coded(absl::StatusCode::kAborted, "FER-1308",
               fmt::format("run {} changed at each of {} tries (the last was {}); try again",
                           run.text(), tries_when_raced, text_of(how)));
}

event act_event(std::string_view name, const act& by) {
  event done;
  done.kind = event_kind::operator_act;
  pb::operator_act& details = *done.details.mutable_act();
  details.set_act(std::string(name));
  details.set_who(as_utf8(by.who));
  details.set_why(as_utf8(by.why));
  return done;
}

std::optional<message> end_message(const run_row& row, const event& end, run_state how) {
  if (row.parent_chain.empty()) return std::nullopt;
  message told;
  told.id = message_id::of(child_run_id(row.run, "end", end.at));
  told.to = row.parent_chain;
  told.kind = message_kind::child_ended;
  told.name = row.workflow;
  told.operation = row.parent_operation;
  told.sender = row.run;
  pb::child_ended& details = *told.details.mutable_child_end();
  details.set_child(std::string(row.chain.view()));
  details.set_state(static_cast<int>(how));
  *details.mutable_why() = end.details.ended().why();
  return told;
}

std::vector<encoded_event> encode_all(const run_id& run, const std::vector<event>& events) {
  std::vector<encoded_event> encoded;
  chain_hash before{};
  for (const event& what : events) {
    encoded.push_back(encode(run, before, what, random_salt()));
    before = encoded.back().chain;
  }
  return encoded;
}

std::string random_salt() {
  real_random chance;
  const std::array<char, 16> salt = chance.salt16();
  return {salt.data(), salt.size()};
}

absl::StatusOr<bool> end_unbegun(store& where, const start_request& request, event end,
                                 run_state how) {
  const event start = make_start_event(request, where.now(), 1, "");
  end.position = 2;
  end.epoch = start.epoch;
  end.at = start.at;
  end.name = request.workflow;
  const std::vector<encoded_event> events = encode_all(request.run, {start, end});
  run_changes changes;
  fold_changes(request.run, start, changes);
  fold_changes(request.run, end, changes);

  std::vector<message> telling;
  if (auto told = end_message(row_of_start(request, start), end, how))
    telling.push_back(*std::move(told));

  bool removed = false;
  const absl::Status status = surely([&] {
    const absl::StatusOr<bool> answer = where.end_request(request.run, events, changes, telling);
    removed = answer.ok() && *answer;
    return answer.status();
  });
  if (!status.ok()) return status;
  if (removed) return true;
  // Gone: by somebody else, or by our own call whose answer was lost.
  const absl::StatusOr<head> last = where.read_head(request.run);
  return last.ok() && last->hash == events.back().chain;
}

}  // namespace fermata::engine
