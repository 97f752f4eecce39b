// SPDX-License-Identifier: Apache-2.0
#include "src/bounds.hpp"

#include "engine/limits.hpp"
#include "engine/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::detail {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_plain(std::string_view text) {
  return engine::is_utf8(text) && std::ranges::none_of(text, is_control);
}

/// " 'order-42'"; how long it is where it can't be shown.
std::string shown(std::string_view text) {
  constexpr std::size_t shown_max = 40;
  if (!is_plain(text)) return fmt::format(" of {} bytes", text.size());
  if (text.size() <= shown_max) return fmt::format(" '{}'", text);
  std::size_t length = 0;
  while (length < shown_max) length += engine::utf8_length(text.substr(length));
  return fmt::format(" '{}…'", text.substr(0, length));
}

std::optional<refusal> because(const code_info& code, std::string_view text) {
  return refusal{code, fmt::format("{} [{}]", text, code.code)};
}

}  // namespace

std::optional<refusal> refuse_key(std::string_view key) {
  const bool fits = !key.empty() && key.size() <= engine::limits::key_max;
  if (fits && !key.starts_with("run_") && is_plain(key)) return std::nullopt;
  return because(codes::bad_key,
                 fmt::format("the key{} isn't allowed: a key is 1 to {} bytes of UTF-8 without "
                             "control characters and doesn't start with run_",
                             shown(key), engine::limits::key_max));
}

std::optional<refusal> refuse_tag(std::string_view name, std::string_view value) {
  using namespace engine::limits;
  if (name.empty() || name.size() > name_max || value.size() > tag_value_max)
    return because(codes::text_too_long,
                   fmt::format("tag{}: a tag's name has 1 to {} bytes and its value at most {}; "
                               "these have {} and {}",
                               shown(name), name_max, tag_value_max, name.size(), value.size()));
  if (!is_plain(name) || !is_plain(value))
    return because(codes::bad_key,
                   fmt::format("tag{}: a tag's name and value are UTF-8 without control characters",
                               shown(name)));
  return std::nullopt;
}

std::optional<refusal> refuse_options(std::string_view whose, const step_options& options) {
  if (options.isolation == isolation::own_process)
    return because(codes::not_in_this_version,
                   fmt::format("{}: isolation is own_process, and this version can't give a step a "
                               "process of its own: leave it out",
                               whose));
  if (!engine::is_utf8(options.queue) || options.queue.size() > engine::limits::name_max)
    return because(codes::text_too_long,
                   fmt::format("{}: the queue{} isn't allowed: a queue's name is at most {} bytes "
                               "of UTF-8",
                               whose, shown(options.queue), engine::limits::name_max));
  return std::nullopt;
}

std::optional<refusal> refuse_queue(std::string_view whose, const step_options& options) {
  if (options.queue.empty()) return std::nullopt;
  return because(
      codes::not_in_this_version,
      fmt::format("{}: queue is '{}', and its body is part of the workflow's code: call a "
                  "step that other workers serve, or leave the queue out",
                  whose, options.queue));
}

}  // namespace fermata::detail
