// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/interner.hpp"

#include "engine/store/sqlite/connection.hpp"

namespace fermata::engine::sqlite {

namespace {

// A program that makes names from data must not make the process grow without end.
constexpr std::size_t remembered_max = 100'000;

}  // namespace

std::int64_t interner::id_of(std::string_view text) {
  if (const auto known = find(text)) return *known;
  std::int64_t id = 0;
  {
    use add = db_.sql(sql_.add);
    add.with(text);
    add.next();
    id = add.integer(0);
    add.next();
  }
  remember(id, text);
  added_.push_back(id);
  return id;
}

std::int64_t interner::id_of_shared(const interned& text) {
  if (text.empty()) return 0;
  if (const auto known = shared_ids_.find(&text.str()); known != shared_ids_.end())
    return known->second;
  const std::int64_t id = id_of(std::string_view(text.str()));
  shared_ids_.emplace(&text.str(), id);
  return id;
}

std::optional<std::int64_t> interner::find(std::string_view text) {
  if (text.empty()) return 0;
  if (const auto known = ids_.find(text); known != ids_.end()) return known->second;
  use look = db_.sql(sql_.find_id);
  if (!look.with(text).next()) return std::nullopt;
  const std::int64_t id = look.integer(0);
  remember(id, text);
  return id;
}

std::string interner::text(std::int64_t id) {
  if (id == 0) return {};
  if (const auto known = texts_.find(id); known != texts_.end()) return known->second;
  use look = db_.sql(sql_.find_text);
  // Damage: not the empty text, which would pass for an id that was 0.
  if (!look.with(id).next()) return "?" + std::to_string(id);
  std::string found{look.text(0)};
  remember(id, found);
  return found;
}

interned interner::shared(std::int64_t id) {
  if (id == 0) return {};
  if (const auto known = shared_.find(id); known != shared_.end()) return known->second;
  interned found = text(id);
  if (texts_.contains(id)) shared_.emplace(id, found);
  return found;
}

void interner::remember(std::int64_t id, std::string_view text) {
  if (added_.empty() && ids_.size() >= remembered_max) {
    ids_.clear();
    texts_.clear();
    shared_ids_.clear();
    shared_.clear();
  }
  ids_.emplace(text, id);
  texts_.emplace(id, text);
}

void interner::rolled_back() {
  if (!added_.empty()) {
    shared_ids_.clear();
    shared_.clear();
  }
  for (const std::int64_t id : added_) {
    if (const auto known = texts_.find(id); known != texts_.end()) {
      ids_.erase(known->second);
      texts_.erase(known);
    }
  }
  added_.clear();
}

}  // namespace fermata::engine::sqlite
