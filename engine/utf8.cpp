// SPDX-License-Identifier: Apache-2.0
#include "engine/utf8.hpp"

#include <algorithm>

namespace fermata::engine {

namespace {

void repair(std::string& text) {
  if (!is_utf8(text)) text = as_utf8(text);
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) > 0x8f;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto* plain = std::ranges::find_if(text, [](char c) { return (c & 0x80) != 0; });
    text.remove_prefix(static_cast<std::size_t>(plain - text.begin()));
    if (text.empty()) break;
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string as_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0)
      out += "\xef\xbf\xbd";
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

void make_utf8(pb::failure& why) {
  for (std::string* text :
       {why.mutable_type(), why.mutable_message(), why.mutable_details(), why.mutable_code()})
    repair(*text);
}

void make_utf8(pb::details& message) {
  if (message.has_cancel()) {
    repair(*message.mutable_cancel()->mutable_why());
    repair(*message.mutable_cancel()->mutable_by());
  }
  if (message.has_task_end()) {
    repair(*message.mutable_task_end()->mutable_backtrace());
    repair(*message.mutable_task_end()->mutable_worker());
    if (message.task_end().has_why()) make_utf8(*message.mutable_task_end()->mutable_why());
  }
  if (message.has_child_end() && message.child_end().has_why())
    make_utf8(*message.mutable_child_end()->mutable_why());
}

}  // namespace fermata::engine
