// SPDX-License-Identifier: Apache-2.0
// What a client asks of runs that exist: messages, results, looks.
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "engine/operate/operate.hpp"
#include "engine/planted.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"
#include "src/journal_impl.hpp"

#include <fermata/transaction.hpp>

#include <fmt/format.h>

#include <unistd.h>

namespace fermata::detail {

void check_size(const payload& value, std::string_view what);

namespace {

[[noreturn]] void unknown(std::string_view id) {
  throw error(codes::unknown_run,
              fmt::format("no run '{}' in this journal [{}]", id, codes::unknown_run.code),
              std::string(id));
}

}  // namespace

engine::run_id id_of(std::string_view text) {
  const auto id = engine::run_id::parse(text);
  if (!id) unknown(text);
  return *id;
}

engine::event journal_impl::last_event(const engine::run_row& row) const {
  auto head = store_->read_head(row.run);
  raise(head.status(), row.run.text());
  auto events = store_->read_events(row.run, head->position, 1);
  raise(events.status(), row.run.text());
  auto event = engine::decode(row.run, events->at(0));
  raise(event.status(), row.run.text());
  return std::move(*event);
}

engine::run_row journal_impl::row_of(std::string_view id) {
  auto row = store_->find_run(id_of(id));
  if (absl::IsNotFound(row.status())) unknown(id);
  raise(row.status(), std::string(id));
  return std::move(*row);
}

engine::run_row journal_impl::newest_of(std::string_view id) {
  if (engine::planted("result_of_an_earlier_run")) return row_of(id);
  auto row = store_->find_chain(id_of(id));
  if (absl::IsNotFound(row.status())) row = store_->find_chain(row_of(id).chain);
  raise(row.status(), std::string(id));
  return std::move(*row);
}

std::string journal_impl::attach(std::string_view workflow, std::string_view key) {
  if (engine::planted("attach_to_any_workflow")) workflow = {};
  auto rows = store_->find_key(ns_, workflow, key);
  raise(rows.status());
  if (rows->empty())
    throw error(codes::unknown_run, fmt::format("no run of workflow '{}' has the key '{}' [{}]",
                                                workflow, key, codes::unknown_run.code));
  return rows->front().run.text();
}

std::string journal_impl::find(std::string_view id) {
  if (engine::run_id::parse(id)) return row_of(id).run.text();
  auto rows = store_->find_prefix(id, 2);
  raise(rows.status());
  if (rows->empty()) unknown(id);
  if (rows->size() > 1)
    throw error(codes::ambiguous_id,
                fmt::format("several runs begin with '{}' [{}]", id, codes::ambiguous_id.code));
  return rows->front().run.text();
}

// ---- messages ----

void journal_impl::send(std::string_view chain, engine::message&& what, const put& commit) {
  what.id = engine::new_message_id(*time_, *chance_);
  what.to = id_of(chain);
  for (int round = 0;; ++round) {
    engine::batch batch;
    batch.messages.push_back(what);
    auto answer = commit(std::move(batch));
    raise(answer.status(), std::string(chain));
    using outcome = engine::message_result::outcome;
    switch (answer->messages.front().how) {
      case outcome::accepted:
      case outcome::repeated:
        return;
      case outcome::ended:
        throw error(codes::run_ended,
                    fmt::format("run {} has ended [{}]", chain, codes::run_ended.code),
                    std::string(chain));
      case outcome::full:
        throw error(codes::inbox_full,
                    fmt::format("{} messages wait for run {} already [{}]",
                                engine::limits::inbox_per_chain, chain, codes::inbox_full.code),
                    std::string(chain));
      case outcome::unknown:
        if (round > 0) unknown(chain);
        what.to = row_of(chain).chain;  // a later run of its chain was named
        break;
    }
  }
}

void journal_impl::send(std::string_view chain, engine::message&& what) {
  send(chain, std::move(what),
       [this](engine::batch&& batch) { return writer_.commit(std::move(batch)); });
  const std::lock_guard lock(mutex_);
  if (worker_ != nullptr) worker_->poke_for(store_->wake_count());
}

namespace {

engine::message signal_message(std::string_view name, payload&& value) {
  check_utf8("the signal's name", name);
  check_size(value, fmt::format("signal '{}'", name));
  engine::message m;
  m.kind = engine::message_kind::signal;
  m.name = std::string(name);
  m.value = to_engine(std::move(value));
  return m;
}

}  // namespace

void journal_impl::signal(std::string_view chain, std::string_view name, payload&& value) {
  send(chain, signal_message(name, std::move(value)));
}

void journal_impl::signal_within(const caller_transaction& where, std::string_view chain,
                                 std::string_view name, payload&& value) {
  send(chain, signal_message(name, std::move(value)), [&](engine::batch&& batch) {
    return store_->write_within({.sqlite = where.sqlite, .postgres = where.postgres}, batch);
  });
}

void journal_impl::cancel(std::string_view chain) {
  engine::message m;
  m.kind = engine::message_kind::cancel;
  m.details.mutable_cancel()->set_by("client");
  m.details.mutable_cancel()->set_why(fmt::format("run {} was cancelled", chain));
  send(chain, std::move(m));
}

void journal_impl::terminate(std::string_view chain, std::string_view why) {
  check_utf8("why it is terminated", why);
  const engine::run_row row = newest_of(chain);
  raise(engine::terminate(
            *store_, row.run,
            {.who = fmt::format("client (pid {})", ::getpid()), .why = std::string(why)}),
        row.run.text());
  run_ended(row.chain);
  const std::lock_guard lock(mutex_);
  if (worker_ != nullptr) worker_->poke();
}

// ---- looks ----

run_info journal_impl::info_of(const engine::run_row& row, bool whole) {
  run_info info;
  info.id = row.run.text();
  info.key = row.key;
  info.workflow = row.workflow;
  info.state = static_cast<run_state>(row.state);
  info.attention = static_cast<attention>(row.attention);
  info.status = row.status;
  info.waiting_for = engine::ended(row.state) ? "" : row.waits;
  info.error = row.attention == engine::attention::none ? row.error : row.report;
  info.build = row.build;
  info.queue = row.queue;
  info.priority = row.priority;
  info.chain = row.chain.text();
  if (!row.parent.empty()) info.parent = row.parent.text();
  info.created_at = instant(row.requested);
  if (row.started != 0) info.started_at = instant(row.started);
  if (row.ended != 0) info.ended_at = instant(row.ended);
  info.tags = row.tags;
  if (!whole || row.started == 0) return info;
  auto head = store_->read_head(row.run);
  raise(head.status(), info.id);
  info.events = head->position;
  if (row.state == engine::run_state::failed)
    info.error_type = last_event(row).details.ended().why().type();
  return info;
}

run_info journal_impl::describe(std::string_view chain) { return info_of(newest_of(chain), true); }

run_page journal_impl::list(const run_filter& filter) {
  engine::run_query query;
  query.space = ns_;
  query.workflow = filter.workflow;
  if (filter.state) query.states.push_back(static_cast<engine::run_state>(*filter.state));
  query.tags = filter.tags;
  query.key = filter.key;
  query.since = filter.since ? micros(*filter.since) : 0;
  query.until = filter.until ? micros(*filter.until) : 0;
  query.at_most = filter.at_most;
  if (!filter.cursor.empty()) query.before = id_of(filter.cursor);
  auto rows = store_->list(query);
  raise(rows.status());
  run_page page;
  for (const engine::run_row& row : *rows) page.runs.push_back(info_of(row, false));
  if (page.runs.size() == filter.at_most && !page.runs.empty()) page.next = page.runs.back().id;
  return page;
}

std::optional<payload> journal_impl::published(std::string_view chain, std::string_view name) {
  const engine::run_row row = newest_of(chain);
  if (row.started == 0) return std::nullopt;
  auto value = store_->published(row.run, name);
  if (absl::IsNotFound(value.status())) return std::nullopt;
  raise(value.status(), row.run.text());
  return to_sdk(*value);
}

}  // namespace fermata::detail
