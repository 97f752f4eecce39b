// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/interner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fermata::engine::postgres {

namespace {

// A program that makes names from data must not make the process grow without end.
constexpr std::size_t remembered_max = 100'000;

}  // namespace

bool interner::knows(std::string_view text) const {
  const std::lock_guard guard(mutex_);
  return text.empty() || ids_.contains(text);
}

void interner::learn(connection& db, std::vector<std::string_view> texts) {
  std::ranges::sort(texts);
  texts.erase(std::ranges::unique(texts).begin(), texts.end());
  {
    const std::lock_guard guard(mutex_);
    std::erase_if(texts,
                  [&](std::string_view text) { return text.empty() || ids_.contains(text); });
    if (texts.empty()) return;
    if (ids_.size() + texts.size() > remembered_max) {
      ids_.clear();
      texts_.clear();
    }
  }
  column all(type::text);
  for (const std::string_view text : texts) all.add(text);
  db.run(sql_.add, params(all));
  rows found = db.run(sql_.find_ids, params(all));
  while (found.next()) remember(db, found.integer(1), found.text(0));
}

std::int64_t interner::id_of(std::string_view text) const {
  if (text.empty()) return 0;
  const std::lock_guard guard(mutex_);
  const auto known = ids_.find(text);
  if (known == ids_.end())
    fail(absl::StatusCode::kUnavailable, "FER-2106",
         fmt::format("the name '{}' was forgotten before it was used; it may be sent again", text),
         failure::again);
  return known->second;
}

std::optional<std::int64_t> interner::find(connection& db, std::string_view text) {
  if (text.empty()) return 0;
  {
    const std::lock_guard guard(mutex_);
    if (const auto known = ids_.find(text); known != ids_.end()) return known->second;
  }
  column one(type::text);
  one.add(text);
  rows found = db.run(sql_.find_ids, params(one));
  if (!found.next()) return std::nullopt;
  remember(db, found.integer(1), text);
  return found.integer(1);
}

std::string interner::text(connection& db, std::int64_t id) {
  if (id == 0) return {};
  {
    const std::lock_guard guard(mutex_);
    if (const auto known = texts_.find(id); known != texts_.end()) return known->second;
  }
  rows found = db.run(sql_.find_text, params(id));
  // Damage: not the empty text, which would pass for an id that was 0.
  if (!found.next()) return "?" + std::to_string(id);
  remember(db, id, found.text(0));
  return std::string(found.text(0));
}

void interner::forget(std::string_view timeline) {
  const std::lock_guard guard(mutex_);
  ids_.clear();
  texts_.clear();
  timeline_ = timeline;
}

void interner::remember(const connection& from, std::int64_t id, std::string_view text) {
  const std::lock_guard guard(mutex_);
  // Hexadecimal, of one length; a replica doesn't say.
  const std::string& whose = from.server().timeline;
  if (!whose.empty() && whose < timeline_) return;
  ids_.emplace(text, id);
  texts_.emplace(id, text);
}

}  // namespace fermata::engine::postgres
