// SPDX-License-Identifier: Apache-2.0
#include "engine/event/envelope.hpp"

#include "engine/event/checks.hpp"
#include "engine/event/flags.hpp"
#include "engine/planted.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <initializer_list>

namespace fermata::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "the journal's bytes are little-endian");

constexpr std::size_t chain_size = sizeof(chain_hash);
// run, position, kind, epoch, at, key id, flags; then seven lengths.
constexpr std::size_t fixed_size = 16 + 8 + 1 + 4 + 8 + 4 + 1 + 7 * 4;

/// Writes into room that is large enough.
class writer {
 public:
  explicit writer(char* at) : at_(at) {}

  void bytes(std::string_view what) {
    if (!what.empty()) std::memcpy(at_, what.data(), what.size());
    at_ += what.size();
  }
  template <class Integer>
  void integer(Integer value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void text(std::string_view what) {
    integer(static_cast<std::uint32_t>(what.size()));
    bytes(what);
  }
  const char* at() const { return at_; }

 private:
  char* at_;
};

std::string_view view(const chain_hash& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

chain_hash first_half(const std::array<std::uint8_t, 32>& hash) {
  chain_hash half;
  std::copy_n(hash.begin(), half.size(), half.begin());
  return half;
}

/// A buffer of this thread, at least as large.
std::string& scratch(std::size_t size) {
  thread_local std::string buffer;
  if (buffer.size() < size) buffer.resize(size);
  return buffer;
}

std::array<char, 4> length_of(std::string_view text) {
  return std::bit_cast<std::array<char, 4>>(static_cast<std::uint32_t>(text.size()));
}

std::uint32_t add_text(std::uint32_t crc, std::string_view text) noexcept {
  const std::array<char, 4> length = length_of(text);
  return crc32c(text, crc32c({length.data(), length.size()}, crc));
}

}  // namespace

std::string_view chained_envelope(const run_id& run, const chain_hash& before,
                                  const encoded_event& what) {
  const std::size_t size = chain_size + fixed_size + what.operation.size() + what.name.size() +
                           what.place.size() + what.content_type.size() +
                           what.input_content_type.size() + what.details.size() +
                           what.digest.size();
  std::string& buffer = scratch(size);
  writer out(buffer.data());
  out.bytes(view(before));
  out.bytes(run.view());
  out.integer(std::uint64_t{what.position});
  out.integer(static_cast<std::uint8_t>(what.kind));
  out.integer(std::uint32_t{what.epoch});
  out.integer(std::int64_t{what.at});
  out.text(what.operation);
  out.text(what.name);
  out.text(what.place.str());
  out.text(what.content_type.str());
  out.text(what.input_content_type.str());
  out.integer(what.key_id);
  out.integer(static_cast<std::uint8_t>(what.flags & flag::in_envelope));
  out.text(what.details);
  out.text(what.digest);
  return {buffer.data(), size};
}

chain_hash chain_of(std::string_view chained) {
  if (planted("chain_without_predecessor")) chained.remove_prefix(chain_size);
  return first_half(sha256(chained));
}

std::uint32_t checksum_of(std::string_view chained, const encoded_event& what) noexcept {
  const char bits[2] = {static_cast<char>(what.flags & flag::in_crc),
                        static_cast<char>(what.codec)};
  std::uint32_t crc = crc32c(chained.substr(chain_size));
  crc = crc32c({bits, sizeof bits}, crc);
  crc = add_text(crc, what.salt);
  crc = add_text(crc, what.value);
  crc = add_text(crc, what.input);
  return crc32c(view(what.chain), crc);
}

chain_hash digest_of(const encoded_event& what, std::string_view value, std::string_view input) {
  const std::size_t size = 5 * 4 + what.salt.size() + what.content_type.size() + value.size() +
                           what.input_content_type.size() + input.size();
  std::string& buffer = scratch(size);
  writer out(buffer.data());
  out.text(what.salt);
  out.text(what.content_type.str());
  out.text(value);
  out.text(what.input_content_type.str());
  out.text(input);
  return first_half(sha256({buffer.data(), size}));
}

}  // namespace fermata::engine
