// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What Postgres gives without an engine, in the minute of a measurement.
namespace fermata::bench {

/// How a round's events get to the server.
enum class postgres_way : std::uint8_t { text, binary, copied, appended };
std::string_view text_of(postgres_way how);

/// Workflows of so many `events` per second by bare rows: each round is one transaction of as many events as
/// there are runs in the lane. In a schema of its own, which is dropped.
double raw_postgres(const std::string& address, postgres_way how, int lanes, int in_flight,
                    double seconds, int events = 12);

}  // namespace fermata::bench
