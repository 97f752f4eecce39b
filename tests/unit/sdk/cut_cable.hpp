// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <thread>
#include <vector>

namespace fermata::postgres_tests {

/// A line to the server that breaks when the next COMMIT goes through it, once. The client sees its
/// end closed; the server notices nothing.
class cut_cable {
 public:
  enum class loses { the_question, the_answer };
  cut_cable(int server_port, loses what);
  ~cut_cable();
  cut_cable(const cut_cable&) = delete;
  cut_cable& operator=(const cut_cable&) = delete;

  int port() const { return port_; }
  bool was_cut() const { return cut_; }

 private:
  struct line;
  void carry();
  bool pass(line& on, bool to_server);

  // Set once.
  int server_port_;
  loses what_;
  int listening_ = -1;
  int port_ = 0;

  std::atomic<bool> cut_ = false;
  std::atomic<bool> over_ = false;
  std::thread carrier_;
};

}  // namespace fermata::postgres_tests
