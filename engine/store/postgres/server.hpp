// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/postgres/clock.hpp"
#include "engine/store/postgres/connection.hpp"
#include "engine/store/postgres/interner.hpp"
#include "engine/store/postgres/transaction.hpp"
#include "engine/store/store.hpp"

#include <atomic>
#include <concepts>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace fermata::engine::postgres {

/// What people should hear of: who calls adds the time and the place.
using warn = std::function<void(std::string_view)>;

/// The database: its connections, made when they are needed and again when they broke, and its clock.
/// Two verbs: `write` runs a transaction, `read` statements that change nothing. Both wait for a
/// database that is away for as long as `patience`, then fail with UNAVAILABLE.
/// Threads: any.
class server {
 public:
  server(address where, const open_options& options, warn say);
  ~server();

  /// At most `readers_max` at once: who comes later waits.
  template <class Work>
  auto read(Work&& work) -> decltype(work(std::declval<connection&>())) {
    const std::lock_guard one_of_few(readers_);
    return read_beside(std::forward<Work>(work));
  }

  /// The same for who holds a connection already, and would wait for itself.
  template <class Work>
  auto read_beside(Work&& work) -> decltype(work(std::declval<connection&>())) {
    attempts again(*this);
    for (;;) {
      lease on = take(again);
      try {
        return work(*on);
      } catch (const server_failure& why) {
        on.roll_back();
        if (!again.worth_another(why)) throw;
      }
    }
  }

  /// Durable when it returns. A commit whose answer was lost is settled by looking for what it wrote.
  template <class Work>
  auto write(Work&& work) -> decltype(work(std::declval<transaction&>())) {
    using result = decltype(work(std::declval<transaction&>()));
    check_may_write();
    attempts again(*this);
    for (;;) {
      lease on = take(again);
      transaction now(*on, clock);
      if constexpr (std::same_as<result, void>) {
        try {
          work(now);
          now.commit();
          return;
        } catch (const server_failure& why) {
          on.roll_back();
          if (settled(now, why, again)) return;
        }
      } else {
        std::optional<result> answer;
        try {
          answer.emplace(work(now));
          now.commit();
          return *std::move(answer);
        } catch (const server_failure& why) {
          on.roll_back();
          if (settled(now, why, again)) return *std::move(answer);
        }
      }
    }
  }

  /// Throws when the journal was opened for reading only.
  void check_may_write() const;

  /// Whom we talk to. Rises with each promotion that was seen: leases of the time before aren't
  /// believed to have ended.
  identity known() const;
  bool leases_count();
  /// Rises with each promotion that was seen.
  std::uint32_t lineage() const noexcept { return lineage_; }
  /// Since when nobody who can be written to has answered (steady µs); 0: one does.
  std::int64_t away_since() const noexcept { return away_since_; }
  /// A connection of its own, to whom may be written to: for who listens.
  std::unique_ptr<connection> connect();
  /// When a ready mark is put: marks of one moment keep their order.
  std::int64_t next_mark(time_us now);

  const address where;
  const std::shared_ptr<engine::clock> time;
  const std::shared_ptr<random> chance;
  database_clock clock;
  interner names;
  interner spaces;
  std::uint32_t event_row = 0;  // the type's object id; of this database for ever (prepare_schema)
  const warn say;

 private:
  /// How often and how long something is tried.
  class attempts {
   public:
    explicit attempts(const server& of);
    /// False when it is no use, or took too long. Waits a little before it says yes.
    bool worth_another(const server_failure& why);

   private:
    const std::int64_t until_;
    int conflicts_ = 0;
    int losses_ = 0;
  };

  /// A connection, until it is given back; a broken one is dropped.
  class lease {
   public:
    lease(server& of, std::unique_ptr<connection> held, std::uint64_t generation)
        : of_(&of), held_(std::move(held)), generation_(generation) {}
    ~lease() {
      if (held_) of_->give_back(std::move(held_), generation_);
    }
    lease(lease&&) = default;
    connection& operator*() const noexcept { return *held_; }
    connection* operator->() const noexcept { return held_.get(); }
    void roll_back() {
      if (!held_->roll_back()) held_.reset();
    }

   private:
    server* of_;
    std::unique_ptr<connection> held_;
    std::uint64_t generation_;
  };

  lease take(attempts& again);
  void give_back(std::unique_ptr<connection> back, std::uint64_t generation);
  /// True: the transaction is committed. False: nothing of it is there, try again. Throws when neither
  /// is known, or when it is no use.
  bool settled(const transaction& what, const server_failure& why, attempts& again);
  std::uint64_t meet(const identity& who);
  /// With the generation of who answered: another may be promoted at any time.
  std::pair<std::unique_ptr<connection>, std::uint64_t> connect_and_meet();
  void note_away(const server_failure& why);
  void say_who_holds(int process);
  void meet_first(const identity& who);

  /// A lock that so many may hold.
  class few {
   public:
    void lock() {
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [this] { return left_ > 0; });
      --left_;
    }
    void unlock() {
      {
        const std::lock_guard guard(mutex_);
        ++left_;
      }
      changed_.notify_one();
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int left_ = readers_max;
  };

  static constexpr int readers_max = 6;
  const std::int64_t patience_us_;
  const bool read_only_;  // a replica will do
  std::atomic<std::int64_t> last_mark_ = 0;
  std::atomic<std::uint32_t> lineage_ = 0;
  mutable std::mutex mutex_;
  few readers_;
  std::mutex connecting_;  // one at a time: a server that comes back isn't stormed
  // Guarded by connecting_.
  std::size_t first_host_ = 0;  // of several in the address
  // Guarded by mutex_.
  std::vector<std::unique_ptr<connection>> idle_;
  std::uint64_t generation_ = 0;  // of the timeline: older connections are dropped
  std::optional<identity> known_;
  std::int64_t distrust_until_ = INT64_MIN;  // steady µs

  std::atomic<std::int64_t> away_since_ = 0;
};

}  // namespace fermata::engine::postgres
