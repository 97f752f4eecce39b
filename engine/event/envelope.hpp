// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <string_view>

/// The canonical bytes that chain, digest and CRC are made from. FORMAT.md §4 and §5.
namespace fermata::engine {

/// h(n−1) ‖ envelope(n).
/// Lifetime: until the next call on this thread.
std::string_view chained_envelope(const run_id& run, const chain_hash& before,
                                  const encoded_event& what);

/// h(n) of a chained envelope.
chain_hash chain_of(std::string_view chained);

/// The CRC32C over `what`, of which `chained` is the chained envelope.
std::uint32_t checksum_of(std::string_view chained, const encoded_event& what) noexcept;

/// The salted digest of both plaintexts.
chain_hash digest_of(const encoded_event& what, std::string_view value, std::string_view input);

}  // namespace fermata::engine
