// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/attempt_host.hpp"

#include "src/convert.hpp"

#include <fmt/format.h>

#include <utility>

namespace fermata::runtime {

std::shared_ptr<void> attempt_host::io() {
  const std::lock_guard lock(mutex_);
  if (!io_ && !closed_) io_ = parts_.make_io();
  return io_;
}

void attempt_host::keep(std::unique_ptr<detail::live_run> frames) {
  const std::lock_guard lock(mutex_);
  kept_.push_back(std::move(frames));
}

void attempt_host::close() {
  std::shared_ptr<void> last;  // its threads are joined without the lock
  const std::lock_guard lock(mutex_);
  closed_ = true;
  last.swap(io_);
}

void attempt_host::execute(live_attempt& a, attempt_done& to) const {
  const engine::attempt_start& start = a.start();
  a.enter_box(box());
  auto in_database = [&](std::string_view database, const detail::type_facts& result,
                         const std::function<std::string(void*)>& body) {
    const detail::connector* how = serves().database(database);
    if (how == nullptr)
      throw failure(fmt::format("step '{}' is in database '{}', which this worker isn't connected "
                                "to: call worker.connect before run [{}]",
                                start.name, database, codes::not_connected.code),
                    {.type = "not_connected"});
    const std::string origin = start.key.substr(0, start.key.find('/'));
    to.value = detail::to_engine(result.wrap((*how)(origin, start.operation, body)));
  };
  try {
    if (start.kind == engine::operation_kind::local) {
      to.value = detail::to_engine(a.local.body->run(a.context(), nullptr));
    } else if (start.kind == engine::operation_kind::transaction) {
      in_database(a.local.database, *a.local.result,
                  [&](void* handle) { return a.local.body->run(a.context(), handle).bytes; });
    } else {
      const detail::step_entry& entry = *serves().step(start.name);
      const detail::payload input = detail::to_sdk(a.take_input());
      if (const auto* body = std::get_if<detail::transactional_body>(&entry.body))
        in_database(body->database, entry.result,
                    [&](void* handle) { return body->run(handle, input).bytes; });
      else
        to.value = detail::to_engine(std::get<detail::sync_body>(entry.body)(input, a.context()));
    }
  } catch (...) {
    to.problem = std::current_exception();
  }
  a.leave_box();
}

absl::Status attempt_host::write_heartbeat(const live_attempt& a,
                                           const detail::payload& details) const {
  engine::heartbeat_row beat{.run = a.run(),
                             .operation = a.start().operation,
                             .attempt = a.attempt(),
                             .at = parts_.store->now()};
  if (!details.bytes.empty()) beat.details = detail::to_engine(details);
  if (a.task() != nullptr) beat.epoch = a.task()->epoch;
  return parts_.store->put_heartbeat(beat);
}

}  // namespace fermata::runtime
