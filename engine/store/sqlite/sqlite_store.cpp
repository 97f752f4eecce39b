// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/sqlite_store.hpp"

#include "engine/store/sqlite/journal_file.hpp"

#include <algorithm>
#include <utility>

namespace fermata::engine {

namespace {

/// Sleeps in virtual time end soon, so that the caller can move it.
constexpr std::int64_t virtual_wait_us = 1'000;

}  // namespace

sqlite_store::sqlite_store(std::unique_ptr<sqlite::journal_file> file) : file_(std::move(file)) {}

sqlite_store::~sqlite_store() = default;

absl::StatusOr<batch_result> sqlite_store::commit(batch&& what) {
  using result = absl::StatusOr<batch_result>;
  // A body runs a user's statements, whose own tables may have triggers.
  const bool plain = std::ranges::none_of(
      what.appends, [](const append& one) { return static_cast<bool>(one.body); });
  return guarded<result>([&]() -> result {
    const auto work = [&](sqlite::turn& turn) {
      batch_result done;
      // By copy: a batch that failed is sent again by its caller, who still has it.
      done.appends.reserve(what.appends.size());
      for (append& one : what.appends) done.appends.push_back(apply_append(turn, std::move(one)));
      sqlite::insert_pending(turn);
      done.starts = apply_starts(turn, what.starts);
      for (const message& one : what.messages)
        done.messages.push_back(put_message(turn, one, sqlite::bound::checked));
      for (const task_finish& one : what.finish) done.finished.push_back(finish_task(turn, one));
      if (what.claim) {
        sqlite::claim(turn, *what.claim, done);
        sqlite::claim_tasks(turn, *what.claim, done);
      }
      return done;
    };
    return file_->write(what.worker, work, plain ? sqlite::guards::off : sqlite::guards::on);
  });
}

// ---- clock and wake-ups ----

time_us sqlite_store::now() const { return file_->now(); }

std::int64_t sqlite_store::boot_now() const { return file_->time->boot_now_us(); }

std::uint32_t sqlite_store::wake_count() const { return file_->wake.count(); }

std::uint32_t sqlite_store::wakes_of_own_ends() const { return file_->wake.bumps_for_ends(); }

void sqlite_store::wait(std::uint32_t seen, std::int64_t timeout_us) {
  file_->wake.wait(seen, file_->virtual_time ? std::min(timeout_us, virtual_wait_us) : timeout_us);
}

void sqlite_store::interrupt() { file_->wake.bump(); }

}  // namespace fermata::engine
