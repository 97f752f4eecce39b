// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/ports/simulated.hpp"
#include "sample_events.hpp"

#include <doctest/doctest.h>

#include <functional>

namespace fermata::engine {
namespace {

using testing::sample_journal;
using testing::sample_run;

constexpr chain_hash nothing{};

/// Calls `with` with the n-th column of text or bytes.
template <class With>
void with_column(encoded_event& what, std::size_t column, With&& with) {
  switch (column) {
    case 0:
      return with(what.operation);
    case 1:
      return with(what.name);
    case 2:
      return with(what.place);
    case 3:
      return with(what.content_type);
    case 4:
      return with(what.input_content_type);
    case 5:
      return with(what.value);
    case 6:
      return with(what.input);
    case 7:
      return with(what.salt);
    case 8:
      return with(what.digest);
    default:
      return with(what.details);
  }
}
constexpr std::size_t columns = 10;

std::string text_of(encoded_event& what, std::size_t column) {
  std::string text;
  with_column(what, column, [&](const auto& of) { text = std::string(std::string_view(of)); });
  return text;
}
void set_text(encoded_event& what, std::size_t column, const std::string& text) {
  with_column(what, column, [&](auto& of) { of = std::string_view(text); });
}

void require_found(const encoded_event& damaged, std::string_view how) {
  const absl::Status status = decode(sample_run(), damaged).status();
  REQUIRE_MESSAGE(status.code() == absl::StatusCode::kDataLoss, how, ": ", status.ToString());
  const std::string place =
      "run " + sample_run().text() + ", position " + std::to_string(damaged.position) + ": ";
  REQUIRE(std::string(status.message()).substr(0, place.size()) == place);
  REQUIRE_FALSE(decode_envelope(sample_run(), damaged).ok());
}

/// Flips each bit of `field`, one at a time.
template <class Integer>
void flip_each_bit(const encoded_event& intact, Integer encoded_event::* field,
                   std::uint64_t skipped, std::string_view name) {
  for (unsigned bit = 0; bit < sizeof(Integer) * 8; ++bit) {
    if ((skipped >> bit & 1) != 0) continue;
    encoded_event damaged = intact;
    auto value = static_cast<std::uint64_t>(damaged.*field) ^ std::uint64_t{1} << bit;
    damaged.*field = static_cast<Integer>(value);
    require_found(damaged, name);
  }
}

}  // namespace

TEST_CASE("each flipped bit of a number, in any event, is found and named") {
  for (const encoded_event& intact : sample_journal(true)) {
    flip_each_bit(intact, &encoded_event::position, 0, "position");
    flip_each_bit(intact, &encoded_event::kind, 0, "kind");
    flip_each_bit(intact, &encoded_event::epoch, 0, "epoch");
    flip_each_bit(intact, &encoded_event::at, 0, "at");
    flip_each_bit(intact, &encoded_event::flags, flag::in_blob, "flags");
    flip_each_bit(intact, &encoded_event::codec, 0, "codec");
    flip_each_bit(intact, &encoded_event::key_id, 0, "key_id");
    flip_each_bit(intact, &encoded_event::crc, 0, "crc");
    for (std::size_t byte = 0; byte < intact.chain.size(); ++byte) {
      encoded_event damaged = intact;
      damaged.chain[byte] ^= 0x10;
      require_found(damaged, "chain");
    }
  }
}

TEST_CASE("flipped, lost and added bytes of every column are found and named") {
  seeded_random chance(11);
  for (const encoded_event& intact : sample_journal(true)) {
    encoded_event damaged = intact;
    for (std::size_t column = 0; column < columns; ++column) {
      const std::string before = text_of(damaged, column);
      std::string text = before;
      const auto found = [&](std::string_view how) {
        set_text(damaged, column, text);
        require_found(damaged, how);
        text = before;
      };
      for (std::size_t i = 0; i < std::min<std::size_t>(before.size(), 64); ++i) {
        const std::size_t at = before.size() <= 64 ? i : chance.next64() % before.size();
        text[at] = static_cast<char>(text[at] ^ (1 << chance.next64() % 8));
        found("flipped");
      }
      text += '\0';
      found("longer");
      if (!before.empty()) {
        text.pop_back();
        found("shorter");
        text.clear();
        found("gone");
      }
      set_text(damaged, column, before);
    }
  }
}

TEST_CASE("bytes that moved from one column into the next are found") {
  encoded_event damaged = sample_journal()[9];
  REQUIRE(damaged.name == "charge_card");
  damaged.name = "charge_cardorders.cpp";
  damaged.place = damaged.place.str().substr(10);

  require_found(damaged, "moved");
}

TEST_CASE("bytes changed in several columns at once are found too") {
  seeded_random chance(5);
  const std::vector<encoded_event> journal = sample_journal();
  for (int i = 0; i < 20'000; ++i) {
    const encoded_event& intact = journal[chance.next64() % journal.size()];
    encoded_event damaged = intact;
    bool changed = false;
    for (std::size_t column = chance.next64() % 3; column < 10; column += 1 + chance.next64() % 4) {
      std::string text = text_of(damaged, column);
      if (text.empty()) continue;
      text[chance.next64() % text.size()] ^= static_cast<char>(1 + chance.next64() % 255);
      set_text(damaged, column, text);
      changed = true;
    }
    if (changed) require_found(damaged, "several");
  }
}

TEST_CASE("garbage under a right checksum is refused or read, and never crashes") {
  seeded_random chance(6);
  const std::vector<encoded_event> journal = sample_journal();
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    encoded_event garbage = journal[chance.next64() % journal.size()];
    for (int changes = 0; changes < 3; ++changes) {
      const std::size_t column = chance.next64() % columns;
      std::string text(chance.next64() % 64, ' ');
      chance.fill(text.data(), text.size());
      set_text(garbage, column, text);
    }
    if (chance.next64() % 2 == 0) garbage.codec = static_cast<std::uint8_t>(chance.next64() % 18);
    if (chance.next64() % 2 == 0) garbage.flags = static_cast<std::uint8_t>(chance.next64());
    seal(sample_run(), nothing, garbage);

    const absl::Status status = decode(sample_run(), garbage).status();
    const absl::Status chain = check_chain(sample_run(), nothing, garbage);
    if (!status.ok() || !chain.ok()) ++refused;
  }
  CHECK(refused > 10'000);
}

TEST_CASE("where a store keeps a payload is its own business") {
  for (encoded_event stored : sample_journal()) {
    stored.flags |= flag::in_blob;

    CHECK(decode(sample_run(), stored).ok());
  }
}

TEST_CASE("the chain of a whole journal holds") {
  chain_hash before{};
  for (const encoded_event& each : sample_journal()) {
    CHECK(check_chain(sample_run(), before, each).ok());
    before = each.chain;
  }
}

TEST_CASE(
    "a changed, missing, repeated or exchanged event breaks the chain, even with a right "
    "checksum") {
  std::vector<encoded_event> journal = sample_journal();
  const auto first_break = [&]() -> position_t {
    chain_hash before{};
    for (const encoded_event& each : journal) {
      const absl::Status status = check_chain(sample_run(), before, each);
      if (!status.ok()) {
        CHECK(status.code() == absl::StatusCode::kDataLoss);
        return each.position;
      }
      before = each.chain;
    }
    return 0;
  };

  journal[4].name = "another_draft";
  journal[4].crc = checksum(sample_run(), journal[4]);
  CHECK(first_break() == 5);

  seal(sample_run(), journal[3].chain, journal[4]);  // now the break is at the next one
  CHECK(first_break() == 6);

  journal = sample_journal();
  journal.erase(journal.begin() + 7);
  CHECK(first_break() == 9);

  journal = sample_journal();
  std::swap(journal[2], journal[3]);
  CHECK(first_break() == 4);

  journal = sample_journal();
  journal.insert(journal.begin() + 3, journal[2]);
  CHECK(first_break() == 3);
}

TEST_CASE("a payload exchanged together with its checksum is found by its digest") {
  std::vector<encoded_event> journal = sample_journal();
  encoded_event& paid = journal[9];
  paid.value = R"({"id":"ch_2"})";
  paid.crc = checksum(sample_run(), paid);

  CHECK(decode(sample_run(), paid).ok());
  CHECK(std::string(check_chain(sample_run(), journal[8].chain, paid).message()).find("digest") !=
        std::string::npos);
}

TEST_CASE("erasing payloads leaves every event readable and the chain whole") {
  std::vector<encoded_event> journal = sample_journal();
  chain_hash before{};
  for (encoded_event& each : journal) {
    const encoded_event intact = each;
    erase_payloads(sample_run(), each);

    CHECK(each.value.empty());
    CHECK(each.input.empty());
    CHECK(each.salt.empty());
    CHECK(each.digest == intact.digest);
    CHECK(each.chain == intact.chain);
    CHECK(is_erased(each) == has_payload(intact));
    CHECK(check_chain(sample_run(), before, each).ok());
    const absl::StatusOr<event> read = decode(sample_run(), each);
    REQUIRE_MESSAGE(read.ok(), read.status().ToString());
    CHECK(read->value.erased == !intact.content_type.empty());
    CHECK(read->value.content_type == intact.content_type);
    CHECK(read->value.sensitive == ((intact.flags & flag::value_sensitive) != 0));
    CHECK(read->input.erased == !intact.input_content_type.empty());
    before = each.chain;
  }
}

TEST_CASE("an erased payload that has bytes again is damage") {
  encoded_event stored = sample_journal()[9];
  erase_payloads(sample_run(), stored);
  stored.value = "{}";
  stored.crc = checksum(sample_run(), stored);

  CHECK(std::string(decode(sample_run(), stored).status().message()).find("was erased") !=
        std::string::npos);
}

}  // namespace fermata::engine
