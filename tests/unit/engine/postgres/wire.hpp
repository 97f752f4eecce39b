// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fermata::postgres_tests {

/// A line to the server that knows round trips (what a client sends until it waits for the answers), and
/// breaks at one of them. Addresses over it need `options`: the client's bytes must be readable.
/// Threads: any.
class wire {
 public:
  static constexpr std::string_view options = "sslmode=disable&gssencmode=disable";

  enum class loses {
    question,  // the server never gets it, and hears a little later that its client is gone
    answer,    // the server has done it, and the client isn't told
    order,     // the client's end breaks first, and the server does it a little later
  };

  /// `before_each` is called before a round trip is sent, and may take its time.
  explicit wire(int server_port, std::function<void()> before_each = {});
  ~wire();
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  int port() const { return port_; }
  /// Breaks once, at the next round trip that has a statement with these words in it; `meanwhile` is
  /// done before the client sees its end closed.
  void break_at(std::string words, loses what, std::function<void()> meanwhile = {});
  /// The same at the COMMIT of a transaction that has a statement with these words.
  void break_commit_of(std::string words, loses what, std::function<void()> meanwhile = {});
  bool broke() const { return broke_; }
  /// So many round trips with a statement with these words were sent since `break_at`.
  int asked(std::string_view words) const;
  /// The server is away: no question reaches it any more, all lines are closed, new ones at once.
  void refuse(bool all) { refuses_ = all; }

 private:
  struct conversation;
  void listen();
  void carry(int client);
  /// It is the one to break at.
  bool is_due(conversation& on);
  void break_next(std::string words, std::string of, loses what, std::function<void()> meanwhile);
  void break_now(conversation& on, const std::string& question);

  // Set once.
  int server_port_;
  std::function<void()> before_each_;
  int listening_ = -1;
  int port_ = 0;

  std::atomic<bool> over_ = false;
  std::atomic<bool> refuses_ = false;
  std::atomic<bool> broke_ = false;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::string words_;  // empty: it isn't to break
  std::string of_;     // of a transaction that has these
  loses what_ = loses::answer;
  std::function<void()> meanwhile_;
  std::vector<std::string> statements_;  // of each round trip

  std::vector<std::thread> carriers_;  // touched only by the listening thread, until it has ended
  std::thread listener_;
};

}  // namespace fermata::postgres_tests
