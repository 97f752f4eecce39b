// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/run_port.hpp>

#include <exception>
#include <optional>
#include <vector>

namespace fermata::detail {

struct scope_state {
  run_port* port = nullptr;
  bool cancel_on_failure = true;
  bool expired = false;
  bool stopped = false;
  bool joined = false;
  std::exception_ptr first_failure = {};
  std::optional<slot> timer = {};
  std::vector<slot> members = {};

  void cancel_all() {
    stopped = true;
    for (slot member : members) port->cancel(member, location{});  // its own place
  }
  void failed(std::exception_ptr why) {
    if (first_failure) return;
    first_failure = why;
    if (cancel_on_failure) cancel_all();
  }
};

}  // namespace fermata::detail
