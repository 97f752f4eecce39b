// SPDX-License-Identifier: Apache-2.0
#include "engine/operate/verify.hpp"

#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/operate/check_row.hpp"
#include "engine/operate/check_run.hpp"
#include "engine/planted.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>

namespace fermata::engine {
namespace {

constexpr std::size_t page = 4'096;
constexpr int tries_to_catch = 20;  // a live run's row and journal are read in two calls

class checker {
 public:
  checker(const store& where, const verify_options& options)
      : where_(where), options_(options), parents_(where), orphans_(where) {}

  absl::StatusOr<verify_summary> check() {
    absl::Status status = options_.only.empty() ? check_all() : check_one();
    if (status.ok() && options_.pages) status = check_pages();
    if (!status.ok()) return status;
    tell_progress();
    return summary_;
  }

 private:
  // ---- reading ----
  absl::Status check_all();
  absl::Status check_one();
  absl::Status check_pages();
  absl::Status take(const run_id& run, const encoded_event& stored);
  absl::StatusOr<bool> follows_end(const run_id& run, const encoded_event& stored);
  absl::StatusOr<bool> ends_before(const run_id& run, position_t position);

  // ---- at a run's end, and at the end of all ----
  absl::Status finish(run_check& run);
  absl::Status settle_open();
  absl::Status settle(run_check& run);
  absl::StatusOr<bool> catch_up(run_check& run);
  absl::Status check_beside(const run_check& run, const run_row& row);
  absl::Status check_open(const run_row& row);
  absl::Status check_inbox(const run_row& row);
  absl::Status check_parent(const run_check& run);
  absl::Status check_rows(const std::string& space);

  report report_of(const run_id& run) {
    return [this, run](position_t position, std::string what) {
      found({run, position, std::move(what)});
    };
  }
  void found(finding what) {
    ++summary_.findings;
    // What decoding says begins with the place, which the finding has beside.
    const std::string place = fmt::format("run {}, position {}: ", what.run.text(), what.position);
    if (what.what.starts_with(place)) what.what.erase(0, place.size());
    if (options_.found) options_.found(what);
  }
  void tell_progress() {
    if (options_.progress) options_.progress(summary_);
  }

  const store& where_;
  const verify_options& options_;
  verify_summary summary_;
  std::unordered_map<run_id, std::unique_ptr<run_check>> open_;  // their end wasn't seen yet
  std::map<chain_id, run_id> open_chains_;
  std::set<std::string> spaces_ = {"default"};
  parent_check parents_;
  orphan_check orphans_;
};

absl::Status checker::check_all() {
  for (std::string cursor;;) {
    const absl::StatusOr<std::vector<stored_event>> events = where_.changes(cursor, page);
    if (!events.ok()) return events.status();
    if (events->empty()) break;
    for (const stored_event& one : *events) {
      if (absl::Status status = take(one.run, one.what); !status.ok()) return status;
    }
    cursor = events->back().cursor;
    tell_progress();
  }
  if (absl::Status status = settle_open(); !status.ok()) return status;
  for (const std::string& space : spaces_) {
    if (absl::Status status = check_rows(space); !status.ok()) return status;
  }
  return orphans_.tell(
      [this](const run_id& run, std::string what) { found({run, 0, std::move(what)}); });
}

absl::Status checker::check_one() {
  for (position_t from = 1;; from += page) {
    const auto events = where_.read_events(options_.only, from, page);
    if (!events.ok()) return events.status();
    for (const encoded_event& stored : *events) {
      if (absl::Status status = take(options_.only, stored); !status.ok()) return status;
    }
    if (events->size() < page) break;
  }
  if (absl::Status status = settle_open(); !status.ok()) return status;
  return orphans_.tell(
      [this](const run_id& run, std::string what) { found({run, 0, std::move(what)}); });
}

absl::Status checker::check_pages() {
  const absl::StatusOr<std::vector<std::string>> damage = where_.check_pages();
  if (!damage.ok()) return damage.status();
  for (const std::string& one : *damage) found({{}, 0, one});
  return absl::OkStatus();
}

absl::Status checker::take(const run_id& run, const encoded_event& stored) {
  ++summary_.events;
  if ((stored.flags & flag::value_erased) != 0) ++summary_.payloads_erased;
  if ((stored.flags & flag::input_erased) != 0) ++summary_.payloads_erased;
  auto known = open_.find(run);
  if (known == open_.end()) {
    const absl::StatusOr<bool> follows = follows_end(run, stored);
    if (!follows.ok()) return follows.status();
    if (*follows) {
      if (planted("verify_overlooks_a_second_end")) return absl::OkStatus();
      const absl::StatusOr<bool> ends = ends_before(run, stored.position);
      if (!ends.ok()) return ends.status();
      if (*ends)
        found({run, stored.position, fmt::format("{} follows the end", text_of(stored.kind))});
      else
        found({run, 1, fmt::format("it lies behind position {} in the log", stored.position)});
      return absl::OkStatus();
    }
    known = open_.emplace(run, std::make_unique<run_check>(run)).first;
    ++summary_.runs;
  }
  run_check& check = *known->second;
  check.take(stored, report_of(run));
  if (check.last() == 1 && !check.damaged()) {
    if (absl::Status status = check_parent(check); !status.ok()) return status;
  }
  if (!check.over()) return absl::OkStatus();
  const absl::Status status = finish(check);
  open_.erase(run);
  return status;
}

/// An event of a run whose end was seen, and which was forgotten since.
absl::StatusOr<bool> checker::follows_end(const run_id& run, const encoded_event& stored) {
  if (stored.position <= 1) return false;
  const auto first = where_.read_events(run, 1, 1);
  if (absl::IsNotFound(first.status())) return false;
  if (!first.ok()) return first.status();
  return !first->empty() && first->front().position == 1 && decode(run, stored).ok();
}

absl::StatusOr<bool> checker::ends_before(const run_id& run, position_t position) {
  for (position_t from = 1; from < position; from += page) {
    const auto events = where_.read_events(run, from, std::min<position_t>(page, position - from));
    if (!events.ok()) return events.status();
    for (const encoded_event& one : *events)
      if (class_of(one.kind) == event_class::end) return true;
  }
  return false;
}

/// The parent's journal has this child. Runs that continue others are their business.
absl::Status checker::check_parent(const run_check& run) {
  const folded_run& folded = run.folded();
  if (folded.parent.empty() || !folded.previous.empty()) return absl::OkStatus();
  const absl::StatusOr<bool> has =
      parents_.has_started(folded.parent, folded.parent_operation, folded.chain);
  if (!has.ok()) return has.status();
  if (!*has) {
    found({run.run(), 1,
           fmt::format("its parent {} has no child_started for it at operation '{}'",
                       folded.parent.text(), folded.parent_operation)});
  }
  return absl::OkStatus();
}

/// The end was seen: nothing changes any more.
absl::Status checker::finish(run_check& run) {
  if (run.damaged()) return absl::OkStatus();
  const absl::StatusOr<run_row> row = where_.find_run(run.run());
  if (row.ok()) return check_beside(run, *row);
  if (!absl::IsNotFound(row.status())) return row.status();
  const auto events = where_.read_events(run.run(), 1, 1);
  const bool removed = absl::IsNotFound(events.status()) || (events.ok() && events->empty());
  if (!removed) found({run.run(), 0, "it has events, but no row"});
  return absl::OkStatus();
}

absl::Status checker::check_beside(const run_check& run, const run_row& row) {
  spaces_.insert(row.space);
  const report found_here = report_of(run.run());
  if (absl::Status status = check_row(where_, run, row, found_here); !status.ok()) return status;
  return check_children(where_, run, row, found_here);
}

absl::Status checker::settle_open() {
  for (auto& [run, check] : open_) {
    if (check->damaged()) continue;
    if (absl::Status status = settle(*check); !status.ok()) return status;
  }
  return absl::OkStatus();
}

/// Feeds what was appended meanwhile. True when the head is where the check is.
absl::StatusOr<bool> checker::catch_up(run_check& run) {
  const absl::StatusOr<head> last = where_.read_head(run.run());
  if (!last.ok()) return last.status();
  if (last->position <= run.last() || run.damaged()) return true;
  const auto events = where_.read_events(run.run(), run.last() + 1, page);
  if (!events.ok()) return events.status();
  if (events->empty()) return true;  // the head lies: `settle` says so
  for (const encoded_event& stored : *events) {
    ++summary_.events;
    run.take(stored, report_of(run.run()));
  }
  return false;
}

absl::Status checker::settle(run_check& run) {
  for (int tried = 0; tried < tries_to_catch; ++tried) {
    const absl::StatusOr<bool> caught = catch_up(run);
    if (absl::IsNotFound(caught.status())) {
      found({run.run(), 0, "it has events, but no row"});
      return absl::OkStatus();
    }
    if (!caught.ok()) return caught.status();
    if (run.damaged()) return absl::OkStatus();
    if (!*caught) continue;
    if (run.over()) return finish(run);

    const absl::StatusOr<run_row> row = where_.find_run(run.run());
    if (!row.ok()) return row.status();
    std::vector<finding> findings;
    const report kept = [&](position_t position, std::string what) {
      findings.push_back({run.run(), position, std::move(what)});
    };
    spaces_.insert(row->space);
    absl::Status status = check_row(where_, run, *row, kept);
    if (status.ok()) status = check_children(where_, run, *row, kept);
    if (status.ok()) status = check_unread(where_, run, *row, kept);
    if (!status.ok()) return status;
    // What was read in between counts only if nothing was appended.
    const absl::StatusOr<head> last = where_.read_head(run.run());
    if (!last.ok()) return last.status();
    if (last->position > run.last() && tried + 1 < tries_to_catch) continue;
    if (last->position != run.last() || last->hash != run.hash()) {
      findings.push_back(
          {run.run(), run.last(),
           fmt::format("its journal ends here, the store says at position {}", last->position)});
    }
    for (const finding& one : findings) found(one);
    return check_open(*row);
  }
  return absl::OkStatus();  // too busy to be caught; the next verify may
}

absl::Status checker::check_open(const run_row& row) {
  if (ended(row.state)) return absl::OkStatus();
  const auto [other, only] = open_chains_.emplace(row.chain, row.run);
  if (!only) {
    found({row.run, 0, fmt::format("its chain has another open run, {}", other->second.text())});
  }
  if (!row.key.empty()) {
    const auto bound = where_.find_key(row.space, row.workflow, row.key);
    if (!bound.ok()) return bound.status();
    if (bound->empty() || bound->front().chain != row.chain) {
      found({row.run, 0, fmt::format("its key '{}' isn't bound to its chain", row.key)});
    }
  }
  if (absl::Status status = check_inbox(row); !status.ok()) return status;
  if (planted("verify_overlooks_orphans")) return absl::OkStatus();
  return orphans_.look(row, report_of(row.run));
}

absl::Status checker::check_inbox(const run_row& row) {
  const absl::StatusOr<std::vector<message>> inbox = where_.inbox(row.chain);
  if (!inbox.ok()) return inbox.status();
  for (const message& one : *inbox) {
    if (one.damage.empty()) continue;
    found({row.run, 0,
           fmt::format("message {} in its inbox is damaged: {}; the run can't go on", one.id.text(),
                       one.damage)});
  }
  return absl::OkStatus();
}

/// Rows whose journal is lost. Rows of runs that were seen have been compared.
absl::Status checker::check_rows(const std::string& space) {
  run_query query;
  query.space = space;
  query.at_most = 1'000;
  for (;;) {
    const absl::StatusOr<std::vector<run_row>> rows = where_.list(query);
    if (!rows.ok()) return rows.status();
    for (const run_row& row : *rows) {
      if (row.state == run_state::waiting_to_start) {
        if (absl::Status status = check_inbox(row); !status.ok()) return status;
        continue;
      }
      const absl::StatusOr<head> last = where_.read_head(row.run);
      if (last.ok() && last->position == 0) found({row.run, 0, "it has a row, but no events"});
      if (!last.ok() && !absl::IsNotFound(last.status())) return last.status();
    }
    if (rows->size() < query.at_most) return absl::OkStatus();
    const run_id oldest = rows->back().run;
    if (!query.before.empty() && oldest >= query.before) {
      found(
          {oldest, 0, "whoever lists runs comes back to it from older ones: the store is damaged"});
      return absl::OkStatus();
    }
    query.before = oldest;
  }
}

}  // namespace

absl::StatusOr<verify_summary> verify(const store& where, const verify_options& options) {
  return checker(where, options).check();
}

}  // namespace fermata::engine
