// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/client_options.hpp>
#include <fermata/detail/payload.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {
struct caller_transaction;
}

/// What a client needs of a journal: bytes, numbers and text. Implemented in src/; a worker of the
/// same process meets the client behind it.
namespace fermata::detail {

struct start_request {
  std::string_view workflow;
  payload input = no_value();
  start_options options = {};
};

/// What became of a start within it.
struct start_answer {
  std::string run;
  bool is_new = true;  // false: the key was bound to it already
};

/// Every `chain` is the id of any run of the chain; requests reach its newest run. All throw
/// `error` FER-1302 when it is unknown, and those that write throw FER-1303 when it has ended.
/// Threads: any.
class engine_port {
 public:
  virtual ~engine_port() = default;

  /// Durable when it returns. Gives the run's id; with a bound key that of the chain's newest run.
  virtual std::string start(start_request&& what) = 0;
  /// All of them or none, in as few commits as limits allow; ids in the order of the requests.
  virtual std::vector<std::string> start_many(std::vector<start_request>&& what) = 0;
  /// As a part of the caller's transaction: durable when that commits.
  virtual start_answer start_within(const caller_transaction& where, start_request&& what) = 0;
  virtual void signal_within(const caller_transaction& where, std::string_view chain,
                             std::string_view name, payload&& value) = 0;
  /// The id of the newest run of the chain that the key is bound to.
  virtual std::string attach(std::string_view workflow, std::string_view key) = 0;
  /// A full id for a unique prefix of one. Throws FER-1306 when several fit.
  virtual std::string find(std::string_view id) = 0;

  /// Waits for the chain's end. Throws what the run ended with (`failure`, `cancelled`, `error`
  /// FER-1104, FER-1105), or `timed_out` with code FER-1103 when `limit` has passed.
  virtual payload result(std::string_view chain, std::optional<duration> limit) = 0;
  virtual void signal(std::string_view chain, std::string_view name, payload&& value) = 0;
  virtual void cancel(std::string_view chain) = 0;
  virtual void terminate(std::string_view chain, std::string_view why) = 0;
  virtual run_info describe(std::string_view chain) = 0;
  virtual run_page list(const run_filter& filter) = 0;
  /// The newest published value of that name; empty when there is none yet.
  virtual std::optional<payload> published(std::string_view chain, std::string_view name) = 0;
};

}  // namespace fermata::detail
