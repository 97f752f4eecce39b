// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "src/bounds.hpp"
#include "src/convert.hpp"
#include "worker/log.hpp"
#include "worker/runtime/session.hpp"
#include "worker/worker_impl.hpp"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <optional>
#include <utility>

namespace fermata {

worker::worker(worker_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
worker::worker(journal where, worker_options options) : worker(std::move(options)) {
  impl_->open(std::move(where));
}
worker::worker(worker&&) noexcept = default;
worker& worker::operator=(worker&&) noexcept = default;
worker::~worker() = default;

detail::worker_port& worker::port() const noexcept { return impl_->serves(); }
void worker::run() { impl_->run(); }
void worker::stop() noexcept { impl_->stop(); }

void worker::impl::check() const {
  if (!journal_)
    throw error(codes::worker_misuse,
                "this worker has no journal: give one to its constructor, or run it by "
                "fermata::main [FER-3001]");
  if (const auto why = detail::refuse_options("this worker's options", options_.steps))
    throw error(why->code, why->text);
  detail::check_utf8("the worker's namespace", options_.ns);
  if (options_.build) detail::check_utf8("the worker's build", *options_.build);
  for (const served_queue& queue : options_.queues)
    detail::check_utf8("a queue's name", queue.name);
  for (const auto& [name, workflow] : serves_->workflows())
    detail::check_utf8("a workflow's name", name);
  for (const auto& [name, step] : serves_->steps()) detail::check_utf8("a step's name", name);
  for (const auto& [name, step] : serves_->steps()) {
    const auto* body = std::get_if<detail::transactional_body>(&step.body);
    if (body != nullptr && serves_->database(body->database) == nullptr)
      throw error(codes::not_connected, "step '" + name + "' is in database '" + body->database +
                                            "': call worker.connect for it before run [FER-3003]");
    if (const auto why = detail::refuse_options("step '" + name + "'", step.defaults))
      throw error(why->code, why->text);
    // Tables of the journal's own database: one transaction with the outcome, by the run's owner.
    if (body != nullptr && !step.defaults.queue.empty() && !*serves_->database(body->database))
      throw error(codes::not_in_this_version,
                  "step '" + name + "': queue is '" + std::string(step.defaults.queue) +
                      "', and a transaction in the journal is made by the worker of its run: leave "
                      "the queue out [FER-3004]");
  }
  const auto written_with = detail::inside(*journal_).store().body_handle();
  for (const auto& [name, tables] : serves_->in_journal())
    if (static_cast<int>(tables) != static_cast<int>(written_with))
      throw error(
          codes::not_connected,
          "database '" + name +
              "' is said to lie in the journal, whose connection isn't of its type: " +
              "declare it as database<sqlite3> in a journal on SQLite, database<PGconn> on " +
              "Postgres, or connect it on its own [FER-3003]");
}

void worker::impl::run() {
  check();
  google::protobuf::SetLogHandler(nullptr);  // what it would say of an event, we say better
  for (bool waits = false; stopping_.load() == 0;) {
    std::optional<runtime::session> now;
    try {
      now.emplace(detail::inside(*journal_), serves_, options_, bell_, stopping_);
    } catch (const error& why) {
      // It was there when the journal was opened, or in the session before.
      if (why.code() != codes::database_away.code) throw;
      if (!std::exchange(waits, true))
        detail::say(level::warning, fmt::format("waiting for the database: {}", why.what()));
      bell_->sleep_until(detail::inside(*journal_).time().steady_now_us() +
                         engine::limits::store_retry_ms * 1000);
      continue;
    }
    waits = false;
    if (now->run()) break;
  }
  stopping_ = 0;
}

void worker::impl::stop() noexcept {
  int none = 0;
  stopping_.compare_exchange_strong(none, 1);
  bell_->ring();
}

void worker::impl::stop_now() noexcept {
  stopping_ = 2;
  bell_->ring();
}

}  // namespace fermata
