// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/texts.hpp"

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fermata::engine::sqlite {

class connection;

/// Texts that repeat, as small integers: a table (id, text) and what is known of it in memory.
/// Rows are never changed or removed, so what is known stays true; 0 is the empty text.
/// Threads: those of its connection.
class interner {
 public:
  struct statements {
    const char* find_id;
    const char* find_text;
    const char* add;
  };
  interner(connection& db, const statements& sql) : db_(db), sql_(sql) {}

  /// The id; the text is added when it is new. Only within a write transaction.
  std::int64_t id_of(std::string_view text);
  std::int64_t id_of_shared(const interned& text);
  /// The id, if the text is known to the journal.
  std::optional<std::int64_t> find(std::string_view text);
  std::string text(std::int64_t id);
  interned shared(std::int64_t id);

  void committed() { added_.clear(); }
  /// Forgets what the transaction added: the ids will go to other texts.
  void rolled_back();

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  void remember(std::int64_t id, std::string_view text);

  connection& db_;
  statements sql_;
  std::unordered_map<std::string, std::int64_t, hash, std::equal_to<>> ids_;
  std::unordered_map<std::int64_t, std::string> texts_;
  // Of texts that are shared: found by address.
  absl::flat_hash_map<const std::string*, std::int64_t> shared_ids_;
  absl::flat_hash_map<std::int64_t, interned> shared_;
  std::vector<std::int64_t> added_;  // by the open transaction
};

}  // namespace fermata::engine::sqlite
