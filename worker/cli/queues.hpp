// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/records.hpp"
#include "worker/cli/session.hpp"

#include <boost/json.hpp>

#include <string>
#include <string_view>
#include <vector>

/// Steps on queues of their own: who serves them, and what waits.
namespace fermata::cli {

/// Who could take a step from a queue.
struct takers {
  std::vector<engine::worker_row> of_queue;  // alive, and serve the queue
  int of_step = 0;                           // of these, those that serve the step
};
takers takers_of(const std::vector<engine::worker_row>& workers,
                 const std::vector<engine::serving_row>& serving, std::string_view queue,
                 std::string_view step);

/// "no worker serves it", "2 workers serve it, none of them has step 'render'"; empty: somebody could.
std::string nobody_text(const takers& who, std::string_view step);

/// Where an attempt at a remote step is: "waits in queue gpu for 3m; no worker serves it", or "is
/// executed by worker wrk_… (process 4711 on host), attempt 2, for 10s, heartbeat 3s ago".
std::string task_text(session& s, const engine::task_row& task,
                      const std::vector<engine::worker_row>& workers,
                      const std::vector<engine::serving_row>& serving);
boost::json::object task_json(const engine::task_row& task,
                              const std::vector<engine::worker_row>& workers, const showing& how);

/// "3 attempts at step 'render' wait in queue gpu for 3m; no worker serves it", of those that nobody
/// could take.
std::vector<std::string> stranded(session& s, const std::vector<engine::queued_step>& queued,
                                  const std::vector<engine::worker_row>& workers,
                                  const std::vector<engine::serving_row>& serving);

/// "wrk_… (process 4711 on host)".
std::string worker_text(const engine::worker_row& worker);

}  // namespace fermata::cli
