// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string_view>

namespace fermata::engine {

/// Makes the stored form: compresses, salts, digests, chains after `before`, checksums.
/// `salt` is 16 random bytes; used when there is a payload.
/// An event beyond `check_limits` is our bug: it aborts. To copy stored events, use `seal`.
encoded_event encode(const run_id& run, const chain_hash& before, const event& what,
                     std::string_view salt);

/// Reads it back. Checks the CRC; the chain is checked by `check_chain`.
/// Errors: DATA_LOSS with a sentence that names what is wrong; UNIMPLEMENTED for a kind, codec or
/// key that this version doesn't know.
absl::StatusOr<event> decode(const run_id& run, const encoded_event& what);
/// The same, and takes its bytes.
absl::StatusOr<event> decode(const run_id& run, encoded_event&& what);

/// As decode, without payload bytes: for folds that only need what happened.
absl::StatusOr<event> decode_envelope(const run_id& run, const encoded_event& what);

/// The CRC32C over all that is stored (FORMAT.md §5).
std::uint32_t checksum(const run_id& run, const encoded_event& what);

/// h(n): recomputed from the envelope and the stored digest; and the digest from the payload, when
/// that is still there. Errors: DATA_LOSS, naming which of them differs.
absl::Status check_chain(const run_id& run, const chain_hash& before, const encoded_event& what);

/// Whether `what` may be encoded. Errors: INVALID_ARGUMENT, naming the bound that it breaks.
absl::Status check_limits(const event& what);

/// Makes chain and CRC of a stored event anew: behind another event, or in another run. What it says
/// is left as it is, digest included. FORMAT.md §5.
void seal(const run_id& run, const chain_hash& before, encoded_event& what);

/// Takes both payloads and the salt away, marks them as erased, makes the CRC anew; the chain stays
/// whole. Does nothing where there is no payload.
void erase_payloads(const run_id& run, encoded_event& what);

}  // namespace fermata::engine
