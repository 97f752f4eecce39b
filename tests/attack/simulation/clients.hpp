// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"
#include "tests/attack/simulation/process.hpp"
#include "tests/attack/simulation/workload.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::simulation {

/// What a client knows of one run: what it asked for, and what it was told.
struct wanted_run {
  program what;
  std::string key;  // empty: none
  bool tried = false;
  std::optional<engine::run_id> started;  // it was acknowledged
  bool unknown = false;                   // its start may have been carried out or not

  struct sent {
    engine::message_id id;
    bool acked = false;
    bool refused = false;  // the run had ended
  };
  std::vector<sent> signals;
  bool cancelled = false;   // it was tried
  bool terminated = false;  // it was tried
  bool over = false;        // the client is done
};

/// Clients, one an actor for each run that somebody wants. Where a process of workers is named, the start
/// is made there, so that its worker may take the run at once.
class clients {
 public:
  using worker_process = std::function<std::shared_ptr<process>(std::size_t nth)>;
  clients(world& in, worker_process in_which);

  const std::vector<std::unique_ptr<wanted_run>>& all() const noexcept { return all_; }
  bool over() const;

 private:
  struct connection;
  void want(std::size_t nth);
  void act(std::size_t nth, wanted_run& run);
  bool try_start(connection& by, std::size_t nth, wanted_run& run, bool elsewhere);
  void start_again(connection& by, wanted_run& run);
  void send_all(connection& by, wanted_run& run, bool also_maybe);
  void send(connection& by, wanted_run& run, engine::message what);
  void stop(connection& by, wanted_run& run, bool at_once);

  world& in_;
  const worker_process in_which_;
  std::vector<std::unique_ptr<wanted_run>> all_;
};

}  // namespace fermata::simulation
