// SPDX-License-Identifier: Apache-2.0
#include "engine/event/texts.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

namespace fermata::engine {
namespace {

const std::string& no_text() {
  static const std::string empty;
  return empty;
}

const std::string* keep_for_all(std::string_view text) {
  static std::mutex mutex;
  static auto& kept = *new std::unordered_set<std::string>;  // never destroyed: others refer to it
  const std::lock_guard lock(mutex);
  return &*kept.emplace(text).first;
}

}  // namespace

interned::interned() noexcept : text_(&no_text()) {}

/// Each thread remembers what it has asked for.
const std::string* interned::keep(std::string_view text) {
  if (text.empty()) return &no_text();
  thread_local std::unordered_map<std::string_view, const std::string*> known;
  if (const auto found = known.find(text); found != known.end()) return found->second;
  const std::string* kept = keep_for_all(text);
  known.emplace(*kept, kept);
  return kept;
}

bytes16::bytes16(std::string_view bytes) noexcept
    : size_(static_cast<std::uint8_t>(bytes.size() <= 16 ? bytes.size() : 15)) {
  std::copy_n(bytes.data(), size_, bytes_.data());
}

}  // namespace fermata::engine
