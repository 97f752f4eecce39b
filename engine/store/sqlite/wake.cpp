// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/wake.hpp"

#include "engine/store/sqlite/errors.hpp"
#include "engine/store/sqlite/futex.hpp"

#include <poll.h>
#include <sqlite3.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>

namespace fermata::engine::sqlite {

namespace {

// Measured: all of 300 inotify wake-ups on the WAL came before the commit was visible.
constexpr std::array<int, 4> looks_ms{1, 4, 16, 64};
constexpr int again_ms = 1'000;

class descriptor {
 public:
  explicit descriptor(int value) : value_(value) {}
  ~descriptor() {
    if (value_ >= 0) close(value_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return value_; }

 private:
  int value_;
};

/// True when `stop` became readable.
bool stopped(int stop, int also, int timeout_ms) {
  std::array<pollfd, 2> wanted{pollfd{stop, POLLIN, 0}, pollfd{also, POLLIN, 0}};
  poll(wanted.data(), also >= 0 ? 2 : 1, timeout_ms);
  return (wanted[0].revents & POLLIN) != 0;
}

/// Reads what inotify has to say. True when it is about the database, or its log.
bool touched(int inotify, const std::string& database) {
  alignas(inotify_event) std::array<char, 8192> events;
  bool found = false;
  while (true) {
    const ssize_t size = read(inotify, events.data(), events.size());
    if (size <= 0) return found;
    for (ssize_t at = 0; at < size;) {
      const auto* one = reinterpret_cast<const inotify_event*>(events.data() + at);
      const std::string_view name = one->len != 0 ? std::string_view(one->name) : "";
      if (name == database || name == database + "-wal") found = true;
      at += static_cast<ssize_t>(sizeof(inotify_event)) + one->len;
    }
  }
}

std::uint32_t counter_of(sqlite3* db) {
  constexpr int region_bytes = 32'768;
  constexpr std::size_t counter_at = 8;
  sqlite3_file* file = nullptr;
  volatile void* header = nullptr;
  sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) return 0;
  if (file->pMethods->xShmMap(file, 0, region_bytes, 0, &header) != SQLITE_OK) return 0;
  if (header == nullptr) return 0;
  const volatile auto* bytes = static_cast<const volatile unsigned char*>(header);
  return *reinterpret_cast<const volatile std::uint32_t*>(bytes + counter_at);
}

}  // namespace

log_state log_of(sqlite3* db) { return {counter_of(db), sqlite3_total_changes(db)}; }

struct wake_file::page {
  std::atomic<std::uint32_t> count;
  std::atomic<std::uint32_t>
      waiters;                       // a hint: a killed waiter stays in it, and costs a system call
  std::atomic<std::uint32_t> known;  // the log's counter: all commits up to it were told of
};

wake_file::wake_file(const std::string& journal)
    : journal_(journal),
      file_(journal + "-wake"),
      mapping_(file_, journal + "-wake"),
      page_(static_cast<page*>(mapping_.at())) {
  stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

wake_file::~wake_file() {
  if (watcher_.joinable()) {
    const std::uint64_t one = 1;
    if (write(stop_, &one, sizeof one) == sizeof one) watcher_.join();
  }
  if (stop_ >= 0) close(stop_);
}

std::uint32_t wake_file::count() const { return page_->count.load(); }

void wake_file::bump() {
  page_->count.fetch_add(1);
  if (page_->waiters.load() != 0) futex_wake(page_->count, INT_MAX);
}

void wake_file::bump_for_ends() {
  for_ends_.fetch_add(1);  // first: who sees the count sees why
  bump();
}

bool wake_file::follows_foreign(const log_state& begun) const {
  return page_->known.load() != begun.counter;
}

void wake_file::committed(const log_state& begun, sqlite3* by) {
  // Another program may have committed since: only our own step is known.
  const log_state now = log_of(by);
  const bool wrote = now.counter != begun.counter && now.changes != begun.changes;
  page_->known.store(begun.counter + (wrote ? 1 : 0));
}

void wake_file::wait(std::uint32_t seen, std::int64_t timeout_us) {
  std::call_once(watching_, [this] { watcher_ = std::thread([this] { watch(); }); });
  if (page_->count.load() != seen) return;
  page_->waiters.fetch_add(1);
  futex_wait(page_->count, seen, timeout_us);
  page_->waiters.fetch_sub(1);
}

/// One process tells of it for all. A commit of ours is known a moment after it is there: a second
/// look keeps it from being told of twice, mostly.
bool wake_file::foreign_commit(sqlite3* db) {
  if (page_->known.load() == counter_of(db)) return false;
  stopped(stop_, -1, 1);
  std::uint32_t known = page_->known.load();
  const std::uint32_t counter = counter_of(db);
  return counter != known && page_->known.compare_exchange_strong(known, counter);
}

/// Without this thread everything works, only later: so it doesn't complain, it tries again.
void wake_file::watch() {
  do {
    try {
      return watch_commits();
    } catch (const store_failure&) {
    }
  } while (!stopped(stop_, -1, again_ms));
}

void wake_file::watch_commits() {
  const descriptor inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  std::string folder = std::filesystem::path(journal_).parent_path().string();
  if (folder.empty()) folder = ".";
  if (inotify_add_watch(inotify.get(), folder.c_str(), IN_MODIFY) < 0) return;
  connection db(journal_, {.read_only = true});
  db.pragma("PRAGMA schema_version");
  if (foreign_commit(db.handle())) bump();
  const std::string name = std::filesystem::path(journal_).filename().string();
  while (!stopped(stop_, inotify.get(), -1)) {
    if (!touched(inotify.get(), name)) continue;
    for (const int look : looks_ms) {
      if (stopped(stop_, -1, look)) return;
      if (foreign_commit(db.handle())) bump();
    }
    touched(inotify.get(), name);
    if (foreign_commit(db.handle())) bump();
  }
}

}  // namespace fermata::engine::sqlite
