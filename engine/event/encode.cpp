// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"

#include "engine/check.hpp"
#include "engine/event/compress.hpp"
#include "engine/event/envelope.hpp"
#include "engine/event/fingerprints.hpp"
#include "engine/event/flags.hpp"
#include "engine/limits.hpp"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace fermata::engine {
namespace {

constexpr std::size_t salt_size = 16;

std::string_view view(const chain_hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::uint8_t flags_of(const event& what) {
  unsigned flags = 0;
  if (what.value.present()) {
    if (what.value.sensitive) flags |= flag::value_sensitive;
    if (what.value.erased) flags |= flag::value_erased;
    if (!what.value.canonical) flags |= flag::value_not_canonical;
  }
  if (what.input.present()) {
    if (what.input.sensitive) flags |= flag::input_sensitive;
    if (what.input.erased) flags |= flag::input_erased;
    if (!what.input.canonical) flags |= flag::input_not_canonical;
  }
  return static_cast<std::uint8_t>(flags);
}

/// Deterministic, so that equal events have equal bytes: maps are sorted.
void serialise(const pb::details& details, std::string& out) {
  const std::size_t size = details.ByteSizeLong();
  if (size == 0) return;
  out.resize(size);
  google::protobuf::io::ArrayOutputStream array(out.data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream stream(&array);
  stream.SetSerializationDeterministic(true);
  details.SerializeWithCachedSizes(&stream);
}

void put_details(const event& what, std::string& out) {
  if (!lacks_types(what)) return serialise(what.details, out);
  pb::details with_types = what.details;
  put_types(what, with_types);
  serialise(with_types, out);
}

/// Payload bytes as stored, their salt and their digest.
void put_payloads(const run_id& run, const event& what, std::string_view salt, encoded_event& out) {
  if (!what.value.present() && !what.input.present()) return;
  FERMATA_CHECK(salt.size() == salt_size, "{}, position {}: its salt has {} bytes", run.text(),
                what.position, salt.size());
  unsigned codecs = 0;
  if (what.value.present()) {
    out.content_type = what.value.content_type;
    codecs = static_cast<unsigned>(pack(what.value.bytes, out.value));
  }
  if (what.input.present()) {
    out.input_content_type = what.input.content_type;
    codecs |= static_cast<unsigned>(pack(what.input.bytes, out.input)) << 4;
  }
  out.codec = static_cast<std::uint8_t>(codecs);
  out.salt = salt;
  out.digest = view(digest_of(out, what.value.bytes, what.input.bytes));
}

/// Nothing is written that couldn't be read again.
void check_payload(const run_id& run, const event& what, const payload& of) {
  FERMATA_CHECK(of.bytes.size() <= limits::payload_max,
                "{}, position {}: a payload has {} bytes; check_limits would have said so",
                run.text(), what.position, of.bytes.size());
  FERMATA_CHECK((of.present() && !of.erased) || of.bytes.empty(),
                "{}, position {}: a payload that is erased, or has no content type, has {} bytes",
                run.text(), what.position, of.bytes.size());
}

absl::Status check_payload_limit(const event& what, const payload& of, std::string_view which) {
  if (of.bytes.size() <= limits::payload_max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} '{}': its {} has {} bytes, the limit is {} (payload_max); keep large data "
                  "elsewhere and pass its address",
                  text_of(what.kind), what.name, which, of.bytes.size(), limits::payload_max));
}

}  // namespace

encoded_event encode(const run_id& run, const chain_hash& before, const event& what,
                     std::string_view salt) {
  FERMATA_CHECK(what.position > 0, "{}: positions begin at 1", run.text());
  FERMATA_CHECK(!text_of(what.kind).empty(), "{}, position {}: there is no event kind {}",
                run.text(), what.position, static_cast<int>(what.kind));
  check_payload(run, what, what.value);
  check_payload(run, what, what.input);

  encoded_event out;
  out.position = what.position;
  out.kind = what.kind;
  out.epoch = what.epoch;
  out.at = what.at;
  out.operation = what.operation;
  out.name = what.name;
  out.place = what.place;
  out.flags = flags_of(what);
  put_payloads(run, what, salt, out);
  // An erased payload has no plaintext left that its salt could protect.
  if (is_erased(out)) out.salt.clear();
  put_details(what, out.details);
  seal(run, before, out);
  return out;
}

absl::Status check_limits(const event& what) {
  if (what.name.size() > limits::name_max) {
    return absl::InvalidArgumentError(
        fmt::format("{} '{:.40}…': the name has {} bytes, the limit is {} (name_max)",
                    text_of(what.kind), what.name, what.name.size(), limits::name_max));
  }
  if (absl::Status value = check_payload_limit(what, what.value, "value"); !value.ok())
    return value;
  return check_payload_limit(what, what.input, "input");
}

void seal(const run_id& run, const chain_hash& before, encoded_event& what) {
  const std::string_view chained = chained_envelope(run, before, what);
  what.chain = chain_of(chained);
  what.crc = checksum_of(chained, what);
}

void erase_payloads(const run_id& run, encoded_event& what) {
  if (!has_payload(what)) return;
  unsigned flags = what.flags & ~unsigned{flag::in_blob};
  if (!what.content_type.empty()) flags |= flag::value_erased;
  if (!what.input_content_type.empty()) flags |= flag::input_erased;
  what.flags = static_cast<std::uint8_t>(flags);
  what.codec = 0;
  what.value.clear();
  what.input.clear();
  what.salt.clear();
  what.crc = checksum(run, what);
}

std::uint32_t checksum(const run_id& run, const encoded_event& what) {
  return checksum_of(chained_envelope(run, chain_hash{}, what), what);
}

}  // namespace fermata::engine
