// SPDX-License-Identifier: Apache-2.0
#include "worker/log.hpp"

#include "engine/ports/real.hpp"

#include <fermata/detail/json.hpp>

#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>

namespace fermata::detail {

namespace {

std::atomic<log_sink*> current{nullptr};

struct level_name {
  level of;
  std::string_view name;
  std::string_view colour;
};
constexpr level_name names[] = {{level::debug, "debug", "\x1b[2m"},
                                {level::info, "info", "\x1b[32m"},
                                {level::warning, "warning", "\x1b[33m"},
                                {level::error, "error", "\x1b[31m"}};

const level_name& about(level how_urgent) {
  for (const level_name& one : names)
    if (one.of == how_urgent) return one;
  return names[3];
}

std::string time_text(std::int64_t at_us) {
  const std::chrono::microseconds since(at_us);
  return text_of(time_point(std::chrono::floor<duration>(since)));
}

void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      to += "\\n";
    else if (byte < 0x20 || byte == 0x7F)
      fmt::format_to(std::back_inserter(to), "\\x{:02x}", byte);
    else
      to += c;
  }
}

void append_fields(std::string& to, std::span<const log_field> fields) {
  for (const log_field& one : fields) {
    to += ' ';
    to += one.name;
    to += '=';
    const bool quoted = one.value.empty() || one.value.find(' ') != std::string_view::npos;
    if (quoted) to += '"';
    append_escaped(to, one.value);
    if (quoted) to += '"';
  }
}

/// How many bytes the character at the front has; 0: it is none of UTF-8.
std::size_t character_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xC2 ? 0
                           : first < 0xE0 ? 2
                           : first < 0xF0 ? 3
                           : first < 0xF5 ? 4
                                          : 0;
  if (size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  return size;
}

/// JSON is UTF-8, which a message needn't be: what() of anything may be in it.
std::string quoted(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    clean += size == 0 ? "\uFFFD" : text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return boost::json::serialize(boost::json::string_view(clean));
}

void write_line(int descriptor, std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

log_sink* set_log_sink(log_sink* sink) noexcept { return current.exchange(sink); }

bool is_said(level how_urgent) noexcept {
  const log_sink* sink = current.load(std::memory_order_acquire);
  return sink != nullptr ? sink->wants(how_urgent) : how_urgent >= level::warning;
}

void say(level how_urgent, std::string_view message,
         std::initializer_list<log_field> fields) noexcept {
  log_sink* sink = current.load(std::memory_order_acquire);
  if (!is_said(how_urgent)) return;
  const log_record what{.at_us = engine::real_clock().wall_now(),
                        .level = how_urgent,
                        .message = message,
                        .fields = {fields.begin(), fields.size()}};
  if (sink != nullptr)
    sink->write(what);
  else
    line_sink(STDERR_FILENO, log_format::text, level::warning).write(what);
}

std::string text_line(const log_record& what, bool colour) {
  const level_name& how = about(what.level);
  std::string line = time_text(what.at_us);
  line += colour ? fmt::format(" {}{:<7}\x1b[0m ", how.colour, how.name)
                 : fmt::format(" {:<7} ", how.name);
  append_escaped(line, what.message);
  append_fields(line, what.fields);
  return line;
}

std::string json_line(const log_record& what) {
  std::string line = fmt::format(R"({{"at":"{}","level":"{}","message":{})", time_text(what.at_us),
                                 about(what.level).name, quoted(what.message));
  for (const log_field& one : what.fields)
    line += fmt::format(",{}:{}", quoted(one.name), quoted(one.value));
  return line += '}';
}

std::string_view name_of(level how_urgent) noexcept { return about(how_urgent).name; }

std::optional<level> level_named(std::string_view text) noexcept {
  for (const level_name& one : names)
    if (one.name == text) return one.of;
  return std::nullopt;
}

line_sink::line_sink(int descriptor, log_format format, level least)
    : descriptor_(descriptor),
      format_(format),
      least_(least),
      colour_(::isatty(descriptor) == 1 && std::getenv("NO_COLOR") == nullptr) {}

void line_sink::write(const log_record& what) noexcept {
  try {
    write_line(descriptor_,
               format_ == log_format::json ? json_line(what) : text_line(what, colour_));
  } catch (...) {  // no memory: nobody to tell
  }
}

void captured_log::write(const log_record& what) noexcept {
  try {
    std::string line = fmt::format("{}: {}", name_of(what.level), what.message);
    append_fields(line, what.fields);
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  } catch (...) {  // no memory: the test will miss it
  }
}

std::vector<std::string> captured_log::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

}  // namespace fermata::detail
