// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/texts.hpp"
#include "engine/store/postgres/connection.hpp"

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fermata::engine::postgres {

/// Texts that repeat, as small integers: a table (id, text), and what is known of it in memory. Rows
/// are never changed or removed, so what is known stays true; 0 is the empty text. New ones are
/// written in a transaction of their own, before the one that needs them: nobody waits for a name.
/// Threads: any.
class interner {
 public:
  struct statements {
    const char* add;        // $1: texts
    const char* find_ids;   // $1: texts → text, id
    const char* find_text;  // $1: id
  };
  explicit interner(const statements& sql) : sql_(sql) {}

  /// Makes all of these known; `db` is in no transaction.
  void learn(connection& db, std::vector<std::string_view> texts);
  /// Of a text that was learned.
  std::int64_t id_of(std::string_view text) const;
  /// The id, if the journal knows the text.
  std::optional<std::int64_t> find(connection& db, std::string_view text);
  std::string text(connection& db, std::int64_t id);
  interned shared(connection& db, std::int64_t id) { return interned(text(db, id)); }
  bool knows(std::string_view text) const;
  /// A server was promoted, on this timeline: what it hasn't got is not known any more, nor is what
  /// an older one says after all.
  void forget(std::string_view timeline);

 private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  void remember(const connection& from, std::int64_t id, std::string_view text);

  const statements sql_;
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::unordered_map<std::string, std::int64_t, hash, std::equal_to<>> ids_;
  std::unordered_map<std::int64_t, std::string> texts_;
  std::string timeline_;  // of the latest promotion; empty: none was seen
};

}  // namespace fermata::engine::postgres
