// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"

#include "engine/event/compress.hpp"
#include "engine/event/envelope.hpp"
#include "engine/event/fingerprints.hpp"
#include "engine/event/flags.hpp"
#include "engine/planted.hpp"

#include <absl/utility/utility.h>
#include <fmt/format.h>

#include <algorithm>

namespace fermata::engine {
namespace {

std::string sentence(const run_id& run, const encoded_event& what, std::string_view problem) {
  return fmt::format("run {}, position {}: {}", run.text(), what.position, problem);
}

absl::Status damaged(const run_id& run, const encoded_event& what, std::string_view problem) {
  return absl::DataLossError(sentence(run, what, problem));
}

absl::Status unknown(const run_id& run, const encoded_event& what, std::string_view problem) {
  return absl::UnimplementedError(
      sentence(run, what,
               fmt::format("{}: a newer version wrote it, and it takes one to read it", problem)));
}

/// What the checksum can't tell: whether a newer version, or nobody we know, wrote it.
absl::Status check_form(const run_id& run, const encoded_event& what) {
  if (text_of(what.kind).empty()) {
    return unknown(run, what, fmt::format("event kind {} is unknown", static_cast<int>(what.kind)));
  }
  if (what.key_id != 0) {
    return unknown(run, what, fmt::format("its payload is encrypted with key {}", what.key_id));
  }
  for (const int id : {what.codec & 0xf, what.codec >> 4}) {
    if (id > static_cast<int>(codec::zstd)) {
      return unknown(run, what, fmt::format("codec {} is unknown", id));
    }
  }
  if (what.position == 0) return damaged(run, what, "positions begin at 1");
  if (what.digest.size() != (has_payload(what) ? 16U : 0U)) {
    return damaged(run, what, fmt::format("its digest has {} bytes", what.digest.size()));
  }
  if (what.salt.size() != (has_payload(what) && !is_erased(what) ? 16U : 0U)) {
    return damaged(run, what, fmt::format("its salt has {} bytes", what.salt.size()));
  }
  return absl::OkStatus();
}

/// One of the two payloads, as stored.
struct part {
  std::string_view which;  // value, input
  interned content_type;
  int codec;
  bool sensitive, erased, canonical;
};

part value_of(const encoded_event& what) {
  return {.which = "value",
          .content_type = what.content_type,
          .codec = what.codec & 0xf,
          .sensitive = (what.flags & flag::value_sensitive) != 0,
          .erased = (what.flags & flag::value_erased) != 0,
          .canonical = (what.flags & flag::value_not_canonical) == 0};
}

part input_of(const encoded_event& what) {
  return {.which = "input",
          .content_type = what.input_content_type,
          .codec = what.codec >> 4,
          .sensitive = (what.flags & flag::input_sensitive) != 0,
          .erased = (what.flags & flag::input_erased) != 0,
          .canonical = (what.flags & flag::input_not_canonical) == 0};
}

/// The plaintext of `stored`: itself, or what is unpacked into `room`.
absl::StatusOr<const std::string*> plaintext(const run_id& run, const encoded_event& what,
                                             const part& from, const std::string& stored,
                                             std::string& room) {
  if ((from.content_type.empty() || from.erased) && !stored.empty()) {
    return damaged(run, what,
                   fmt::format("its {} {}, and yet it has {} bytes", from.which,
                               from.erased ? "was erased" : "has no content type", stored.size()));
  }
  if (from.codec == static_cast<int>(codec::plain)) return &stored;
  const std::string_view problem = unpack_zstd(stored, room);
  if (problem.empty()) return &room;
  return damaged(run, what, fmt::format("its {} {}", from.which, problem));
}

/// Moves what isn't packed.
absl::Status take_bytes(const run_id& run, const encoded_event& what, const part& from,
                        std::string& stored, std::string& out) {
  const auto plain = plaintext(run, what, from, stored, out);
  if (plain.ok() && *plain == &stored) out = std::move(stored);
  return plain.status();
}

void read_marks(const part& from, std::uint64_t type, payload& out) {
  if (from.content_type.empty()) return;
  out.content_type = from.content_type;
  out.type = type;
  out.sensitive = from.sensitive;
  out.erased = from.erased;
  out.canonical = from.canonical;
}

/// But for operation and name.
absl::Status read_envelope(const run_id& run, const encoded_event& what, event& out) {
  if (const std::uint32_t crc = checksum(run, what);
      crc != what.crc && !planted("checksum_not_compared")) [[unlikely]] {
    return damaged(run, what,
                   fmt::format("its checksum is {:08x}, that of its bytes is {:08x}: the row was "
                               "changed after it was written",
                               what.crc, crc));
  }
  if (absl::Status form = check_form(run, what); !form.ok()) return form;
  if (!out.details.ParseFromArray(what.details.data(), static_cast<int>(what.details.size()))) {
    return damaged(run, what, "its details aren't a fermata.pb.details message");
  }
  out.position = what.position;
  out.kind = what.kind;
  out.epoch = what.epoch;
  out.at = what.at;
  out.place = what.place;
  read_marks(value_of(what), value_type_of(out.details), out.value);
  read_marks(input_of(what), input_type_of(out.details), out.input);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<event> decode(const run_id& run, encoded_event&& what) {
  absl::StatusOr<event> out(absl::in_place);
  absl::Status status = read_envelope(run, what, *out);
  if (status.ok()) status = take_bytes(run, what, value_of(what), what.value, out->value.bytes);
  if (status.ok()) status = take_bytes(run, what, input_of(what), what.input, out->input.bytes);
  if (!status.ok()) return status;
  out->operation = std::move(what.operation);
  out->name = std::move(what.name);
  return out;
}

absl::StatusOr<event> decode(const run_id& run, const encoded_event& what) {
  return decode(run, encoded_event(what));
}

absl::StatusOr<event> decode_envelope(const run_id& run, const encoded_event& what) {
  absl::StatusOr<event> out(absl::in_place);
  if (absl::Status status = read_envelope(run, what, *out); !status.ok()) return status;
  out->operation = what.operation;
  out->name = what.name;
  return out;
}

absl::Status check_chain(const run_id& run, const chain_hash& before, const encoded_event& what) {
  if (chain_of(chained_envelope(run, before, what)) != what.chain) {
    return damaged(run, what,
                   "its chain hash isn't that of its bytes and the event before it: one of the two "
                   "was changed, or an event between them is missing");
  }
  if (absl::Status form = check_form(run, what); !form.ok()) return form;
  if (!has_payload(what) || is_erased(what)) return absl::OkStatus();

  std::string value_room;
  std::string input_room;
  const auto value = plaintext(run, what, value_of(what), what.value, value_room);
  if (!value.ok()) return value.status();
  const auto input = plaintext(run, what, input_of(what), what.input, input_room);
  if (!input.ok()) return input.status();
  const chain_hash digest = digest_of(what, **value, **input);
  if (planted("digest_not_compared")) return absl::OkStatus();
  if (!std::equal(digest.begin(), digest.end(), what.digest.view().begin(),
                  [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); })) {
    return damaged(run, what, "its payload isn't the one its digest was made from");
  }
  return absl::OkStatus();
}

}  // namespace fermata::engine
