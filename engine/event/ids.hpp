// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fermata::engine {

/// Microseconds since 1970 UTC, by the database's clock. All times in the journal are of this kind.
using time_us = std::int64_t;

/// The place of an event in its run's journal: 1, 2, 3 …
using position_t = std::uint64_t;

/// Rises with every change of a run's owner.
using epoch_t = std::uint32_t;

/// h(n) of PROTOCOL §8: the first 16 bytes of a SHA-256. All zero before the first event.
using chain_hash = std::array<std::uint8_t, 16>;

/// A ULID: 48 bits of milliseconds since 1970, then 80 random bits, big-endian; so byte order is
/// order of time. Its text is 26 characters of Crockford's base 32 (github.com/ulid/spec).
struct ulid {
  std::array<std::uint8_t, 16> bytes{};

  auto operator<=>(const ulid&) const = default;
  bool empty() const noexcept { return *this == ulid{}; }
  std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  static ulid make(time_us now, const std::array<std::uint8_t, 10>& random) noexcept;
  static ulid from_view(std::string_view sixteen_bytes) noexcept;
  static std::optional<ulid> parse(std::string_view text26) noexcept;
  std::string text() const;  // 26 characters
};

/// A run's own id. Chains (the runs that continue one another) are named by the first run's id.
struct run_id : ulid {
  std::string text() const;  // run_ + 26 characters
  static std::optional<run_id> parse(std::string_view text) noexcept;
  static run_id of(const ulid& id) noexcept { return run_id{id}; }
};
using chain_id = run_id;

/// A message's id, made by the sender before its first try.
struct message_id : ulid {
  std::string text() const;  // msg_ + 26 characters
  static message_id of(const ulid& id) noexcept { return message_id{id}; }
};

/// A worker's public id: new with each process start.
struct worker_id : ulid {
  std::string text() const;  // wrk_ + 26 characters
  static std::optional<worker_id> parse(std::string_view text) noexcept;
  static worker_id of(const ulid& id) noexcept { return worker_id{id}; }
};

/// The id of a child that `operation` of `parent` starts: the ULID of (time of the last delivered
/// event, first 80 bits of SHA-256(parent ‖ operation)). PROTOCOL §1.
run_id child_run_id(const run_id& parent, std::string_view operation, time_us now);

/// What every attempt of an operation hands to the outside: `run_…/3.2/charge_card`. PROTOCOL §1.
std::string idempotency_key(const run_id& origin, std::string_view operation,
                            std::string_view step_name);

}  // namespace fermata::engine

template <>
struct std::hash<fermata::engine::ulid> {
  // The last eight bytes are chance already; the first tell ids made by hand apart, in tests.
  std::size_t operator()(const fermata::engine::ulid& id) const noexcept {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::memcpy(&high, id.bytes.data(), 8);
    std::memcpy(&low, id.bytes.data() + 8, 8);
    return static_cast<std::size_t>((high ^ low) * 0x9e3779b97f4a7c15 ^ low >> 29);
  }
};
template <>
struct std::hash<fermata::engine::run_id> : std::hash<fermata::engine::ulid> {};
template <>
struct std::hash<fermata::engine::message_id> : std::hash<fermata::engine::ulid> {};
template <>
struct std::hash<fermata::engine::worker_id> : std::hash<fermata::engine::ulid> {};
