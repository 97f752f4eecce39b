// SPDX-License-Identifier: Apache-2.0
// How a client starts runs: checked here, written in one transaction, taken at once by a worker of
// the same process that has room.
#include "engine/event/checks.hpp"
#include "engine/limits.hpp"
#include "engine/planted.hpp"
#include "engine/ports/make_id.hpp"
#include "src/bounds.hpp"
#include "src/convert.hpp"
#include "src/journal_impl.hpp"

#include <fermata/transaction.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace fermata::detail {

namespace {

void check(const std::optional<refusal>& why) {
  if (why) throw error(why->code, why->text);
}

void check_tags(const std::map<std::string, std::string>& tags) {
  if (tags.size() > engine::limits::tags_per_run)
    throw error(codes::text_too_long,
                fmt::format("a run has at most {} tags, these are {} [{}]",
                            engine::limits::tags_per_run, tags.size(), codes::text_too_long.code));
  for (const auto& [name, value] : tags) check(refuse_tag(name, value));
}

/// Throws for the first that was refused.
void check_keys(const std::vector<engine::start_item>& items,
                const std::vector<engine::start_result>& answers) {
  using outcome = engine::start_result::outcome;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const engine::start_result& answer = answers[i];
    if (answer.how != outcome::conflict && answer.how != outcome::exists) continue;
    const engine::start_request& r = items[i].request;
    const std::string run = answer.run.empty() ? "" : answer.run.text();
    std::string text = fmt::format("key '{}' of workflow '{}' ", r.key, r.workflow);
    if (run.empty())
      text += "comes twice in this call";
    else
      text += fmt::format("is bound to {}", run);
    text += answer.how == outcome::conflict ? " with another input" : " already";
    if (items.size() > 1)
      text = fmt::format("input {} of {}: {}; none was started", i + 1, items.size(), text);
    throw error(codes::key_conflict, fmt::format("{} [{}]", text, codes::key_conflict.code), run);
  }
}

/// Beyond it times are typing mistakes, and microseconds soon don't fit.
constexpr duration furthest = std::chrono::hours(24) * 36'525;

void check_span(std::string_view what, const std::optional<duration>& span) {
  if (!span || *span <= furthest) return;
  throw error(codes::too_far, fmt::format("the {} is more than 100 years ({} days at most) [{}]",
                                          what, 36'525, codes::too_far.code));
}

}  // namespace

void check_size(const payload& value, std::string_view what) {
  if (value.bytes.size() <= engine::limits::payload_max) return;
  throw error(codes::payload_too_large,
              fmt::format("{} has {} bytes, the limit is {}: store it elsewhere and pass its "
                          "address [{}]",
                          what, value.bytes.size(), engine::limits::payload_max,
                          codes::payload_too_large.code));
}

engine::start_item journal_impl::make_item(start_request&& what) {
  if (!what.options.key.empty()) check(refuse_key(what.options.key));
  check_utf8("the workflow's name", what.workflow);
  check_utf8("the queue's name", what.options.queue);
  check_tags(what.options.tags);
  check_size(what.input, fmt::format("the input of workflow '{}'", what.workflow));
  check_span("delay", what.options.delay);
  check_span("deadline", what.options.deadline);
  engine::start_item item;
  engine::start_request& r = item.request;
  const engine::time_us now = store_->now();
  r.run = r.chain = r.origin = engine::new_run_id(*time_, *chance_);
  const auto seed = chance_->salt16();
  r.seed.assign(seed.data(), seed.size());
  r.space = ns_;
  r.workflow = std::string(what.workflow);
  const auto digest = engine::sha256(what.input.bytes);
  item.input_digest.assign(reinterpret_cast<const char*>(digest.data()), 16);
  r.input = to_engine(std::move(what.input));
  start_options& o = what.options;
  r.queue = o.queue.empty() ? "default" : std::move(o.queue);
  r.priority = o.priority;
  r.requested = now;
  r.not_before = o.delay ? now + o.delay->count() * 1000 : now;
  r.not_after = o.not_after ? micros(*o.not_after) : 0;
  r.deadline = o.deadline ? r.not_before + o.deadline->count() * 1000 : 0;
  r.key = std::move(o.key);
  r.tags = std::move(o.tags);
  item.on_duplicate = static_cast<engine::on_duplicate>(o.on_duplicate);
  return item;
}

std::string journal_impl::start(start_request&& what) {
  std::vector<engine::start_item> items;
  items.push_back(make_item(std::move(what)));
  return commit_starts(std::move(items)).front();
}

/// No worker of this process admits it: nobody knows yet whether it will have been started.
start_answer journal_impl::start_within(const caller_transaction& where, start_request&& what) {
  std::vector<engine::start_item> items;
  items.push_back(make_item(std::move(what)));
  engine::batch batch;
  batch.starts = items;
  const auto answer =
      store_->write_within({.sqlite = where.sqlite, .postgres = where.postgres}, batch);
  raise(answer.status());
  check_keys(items, answer->starts);
  const engine::start_result& how = answer->starts.front();
  return {how.run.text(), how.how == engine::start_result::outcome::started};
}

std::vector<std::string> journal_impl::start_many(std::vector<start_request>&& what) {
  std::vector<engine::start_item> items;
  items.reserve(what.size());
  for (start_request& one : what) items.push_back(make_item(std::move(one)));
  // Without keys nothing can be refused, and nothing need be asked before.
  const bool keyed = std::ranges::any_of(
      items, [](const engine::start_item& one) { return !one.request.key.empty(); });
  for (std::size_t i = 0; keyed && i + 1 < items.size(); ++i) items[i].with_next = true;
  return commit_starts(std::move(items));
}

/// While it lasts, the worker of this process stays.
class journal_impl::visit {
 public:
  explicit visit(journal_impl& where) : where_(where) {
    const std::lock_guard lock(where_.mutex_);
    worker_ = where_.worker_;
    if (worker_ != nullptr) ++where_.visits_;
  }
  ~visit() {
    if (worker_ == nullptr) return;
    const std::lock_guard lock(where_.mutex_);
    if (--where_.visits_ == 0) where_.visits_over_.notify_all();
  }
  visit(const visit&) = delete;

  local_worker* worker() const noexcept { return worker_; }

 private:
  journal_impl& where_;
  local_worker* worker_ = nullptr;
};

std::vector<std::string> journal_impl::commit_starts(std::vector<engine::start_item>&& items) {
  if (items.empty()) return {};
  const visit here(*this);
  local_worker* const worker = here.worker();
  engine::batch batch;
  std::vector<bool> asked(items.size());
  for (std::size_t i = 0; i < items.size(); ++i)
    asked[i] = worker != nullptr && worker->admit(items[i]);
  if (worker != nullptr) batch.worker = worker->row();
  batch.starts = items;
  auto answer = writer_.commit(std::move(batch));
  if (!answer.ok() && engine::planted("start_answered_unwritten"))
    return {items[0].request.run.text()};
  std::vector<std::string> ids;
  bool queued = false;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const bool in = answer.ok() && answer->starts[i].admitted;
    if (asked[i] && in) worker->admitted(items[i], answer->starts[i]);
    if (asked[i] && !in) worker->admission_failed(items[i], answer.status());
    if (!answer.ok()) continue;
    queued = queued || (!in && answer->starts[i].how == engine::start_result::outcome::started);
    ids.push_back(answer->starts[i].run.text());
  }
  raise(answer.status());
  if (queued && worker != nullptr) worker->poke_for(store_->wake_count());
  check_keys(items, answer->starts);
  return ids;
}

}  // namespace fermata::detail
