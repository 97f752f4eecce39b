// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/payload.hpp>
#include <fermata/error.hpp>
#include <fermata/step.hpp>
#include <fermata/task.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

struct pg_conn;
struct sqlite3;

/// What the templates of `worker` need of the process behind them: a registry. It exists without a
/// journal; `run` (or `fermata::main`) brings the two together.
namespace fermata::detail {

/// The input of a step can't be read as the type the worker serves: the run becomes blocked. A
/// `decode_error` that the step's own code throws isn't one of these, but a failure as any other.
class undecodable_input final : public decode_error {
 public:
  using decode_error::decode_error;
};

/// Called on a thread of the pool. Throws what the step throws, or `undecodable_input`.
using sync_body = std::function<payload(const payload& input, step_context& attempt)>;

/// Starts the step on `io_context` (a boost::asio::io_context*; the header stays out of here) and
/// returns; `done` is called once, on one of its threads. The attempt lives until then. The
/// awaitable is cancelled through the attempt's stop token.
using async_done = std::function<void(std::exception_ptr problem, payload result)>;
using async_body =
    std::function<void(void* io_context, payload input, step_context& attempt, async_done done)>;

/// Called inside a transaction of the database of that name.
struct transactional_body {
  std::string database;
  std::function<payload(void* handle, const payload& input)> run;
};

using step_body = std::variant<sync_body, async_body, transactional_body>;

/// Lifetime: `defaults.queue` is as the step's: a literal, or it outlives the worker.
struct step_entry {
  std::string name;
  type_facts input, result;
  step_options defaults;
  step_body body;
};

/// The root of a run's frames, not begun: the user's own coroutine, whoever holds it destroys it.
struct root_frame {
  promise_base* frame;
  payload (*result_of)(promise_base& ended);  // throws what the code threw
};

/// Makes the root of a run's frames. The input's decoding is part of it (see run_port::undecodable).
using workflow_function = std::function<root_frame(context&, const payload& input)>;

struct workflow_entry {
  std::string name;
  type_facts input, result;
  workflow_function function;
};

/// `transactor<Handle>::commit` with the handle's type erased. Empty: the tables lie in the
/// journal's own database.
using connector = std::function<std::string(std::string_view origin, std::string_view operation,
                                            const std::function<std::string(void* handle)>& body)>;

/// Of which journal tables a database's handle can be: the connection that it is written with.
enum class tables_of : std::uint8_t { none, sqlite, postgres };
template <class Handle>
constexpr tables_of tables_by_handle() noexcept {
  if constexpr (std::is_same_v<Handle, sqlite3>) return tables_of::sqlite;
  if constexpr (std::is_same_v<Handle, pg_conn>) return tables_of::postgres;
  return tables_of::none;
}

/// Serving a name again replaces what was served, which the testing kit relies on.
/// Threads: as the worker's `serve`: before `run`.
class worker_port {
 public:
  virtual void serve_step(step_entry&& what) = 0;
  virtual void serve_workflow(workflow_entry&& what) = 0;
  virtual void connect(std::string_view database, connector how) = 0;
  /// Its tables lie in the journal's own database.
  virtual void connect(std::string_view database, tables_of where) = 0;

 protected:
  ~worker_port() = default;
};

}  // namespace fermata::detail
