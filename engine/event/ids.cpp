// SPDX-License-Identifier: Apache-2.0
#include "engine/event/ids.hpp"

#include "engine/event/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fermata::engine {
namespace {

constexpr std::string_view alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t text_size = 26;

constexpr std::array<std::int8_t, 256> make_digits() {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    const auto upper = static_cast<unsigned char>(alphabet[i]);
    digits[upper] = static_cast<std::int8_t>(i);
    if (upper >= 'A') digits[upper + ('a' - 'A')] = static_cast<std::int8_t>(i);
  }
  return digits;
}
constexpr std::array<std::int8_t, 256> digits = make_digits();

/// The id behind `prefix`, or nothing.
std::optional<ulid> parse_after(std::string_view prefix, std::string_view text) noexcept {
  if (text.substr(0, prefix.size()) != prefix) return std::nullopt;
  return ulid::parse(text.substr(prefix.size()));
}

}  // namespace

ulid ulid::make(time_us now, const std::array<std::uint8_t, 10>& random) noexcept {
  auto ms = static_cast<std::uint64_t>(std::max<time_us>(now, 0) / 1000);
  ulid id;
  for (std::size_t i = 6; i-- > 0; ms >>= 8) id.bytes[i] = static_cast<std::uint8_t>(ms & 0xff);
  std::copy(random.begin(), random.end(), id.bytes.begin() + 6);
  return id;
}

ulid ulid::from_view(std::string_view sixteen_bytes) noexcept {
  ulid id;
  if (sixteen_bytes.size() == id.bytes.size()) {
    std::memcpy(id.bytes.data(), sixteen_bytes.data(), id.bytes.size());
  }
  return id;
}

// 26 characters hold 130 bits: the first holds the top three only.
std::optional<ulid> ulid::parse(std::string_view text26) noexcept {
  if (text26.size() != text_size) return std::nullopt;
  ulid id;
  std::uint32_t bits = 0;
  int held = -2;
  std::size_t next = 0;
  for (const char c : text26) {
    const int digit = digits[static_cast<unsigned char>(c)];
    if (digit < 0 || (held == -2 && digit > 7)) return std::nullopt;
    bits = (bits << 5 | static_cast<std::uint32_t>(digit)) & 0xfff;
    held += 5;
    if (held < 8) continue;
    held -= 8;
    id.bytes[next++] = static_cast<std::uint8_t>(bits >> held & 0xff);
  }
  return id;
}

namespace {
void append(std::string& out, std::string_view prefix, const std::array<std::uint8_t, 16>& bytes) {
  std::size_t next = out.size() + prefix.size();
  out.append(prefix).append(text_size, '0');
  std::uint32_t bits = 0;
  int held = 2;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8 | byte) & 0x1fff;
    for (held += 8; held >= 5;) {
      held -= 5;
      out[next++] = alphabet[bits >> held & 31];
    }
  }
}

std::string text_of(std::string_view prefix, const std::array<std::uint8_t, 16>& bytes) {
  std::string out;
  out.reserve(prefix.size() + text_size);
  append(out, prefix, bytes);
  return out;
}

}  // namespace

std::string ulid::text() const { return text_of("", bytes); }
std::string run_id::text() const { return text_of("run_", bytes); }
std::string message_id::text() const { return text_of("msg_", bytes); }
std::string worker_id::text() const { return text_of("wrk_", bytes); }

std::optional<run_id> run_id::parse(std::string_view text) noexcept {
  const std::optional<ulid> id = parse_after("run_", text);
  return id ? std::optional(run_id::of(*id)) : std::nullopt;
}

std::optional<worker_id> worker_id::parse(std::string_view text) noexcept {
  const std::optional<ulid> id = parse_after("wrk_", text);
  return id ? std::optional(worker_id::of(*id)) : std::nullopt;
}

run_id child_run_id(const run_id& parent, std::string_view operation, time_us now) {
  const std::array<std::uint8_t, 32> hash = sha256(std::string(parent.view()).append(operation));
  std::array<std::uint8_t, 10> random;
  std::copy_n(hash.begin(), random.size(), random.begin());
  return run_id::of(ulid::make(now, random));
}

std::string idempotency_key(const run_id& origin, std::string_view operation,
                            std::string_view step_name) {
  std::string key;
  key.reserve(4 + text_size + 2 + operation.size() + step_name.size());
  append(key, "run_", origin.bytes);
  key.append(1, '/').append(operation).append(1, '/').append(step_name);
  return key;
}

}  // namespace fermata::engine
