// SPDX-License-Identifier: Apache-2.0
#include "engine/event/checks.hpp"
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "sample_events.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>
#include <zstd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

/// What level 1 looks like, kept for ever: `tests/golden/journal_v1.json`, FORMAT.md §7. With
/// FERMATA_WRITE_GOLDEN=1 the file is written; that is right only before a level is released.
namespace fermata::engine {
namespace {

namespace json = boost::json;
using testing::from_hex;
using testing::sample_run;
using testing::to_hex;

const std::string path = FERMATA_GOLDEN_DIR "/journal_v1.json";

template <class Bytes>
std::string hex_of(const Bytes& bytes) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string plain_text(std::string_view bytes) {
  return bytes.size() <= 1'024 ? to_hex(bytes) : "sha256:" + hex_of(sha256(bytes));
}

json::object json_of(const encoded_event& stored, const testing::sample& from) {
  const bool erased = is_erased(stored);
  return {{"position", stored.position},
          {"kind", static_cast<int>(stored.kind)},
          {"kind_name", json::string(text_of(stored.kind))},
          {"epoch", stored.epoch},
          {"at", stored.at},
          {"operation", stored.operation},
          {"name", stored.name},
          {"place", stored.place.str()},
          {"flags", stored.flags},
          {"codec", stored.codec},
          {"key_id", stored.key_id},
          {"content_type", stored.content_type.str()},
          {"value", to_hex(stored.value)},
          {"input_content_type", stored.input_content_type.str()},
          {"input", to_hex(stored.input)},
          {"salt", to_hex(stored.salt)},
          {"digest", to_hex(stored.digest)},
          {"details", to_hex(stored.details)},
          {"chain", hex_of(stored.chain)},
          {"crc", stored.crc},
          {"details_means", json::parse(from.means)},
          {"value_is", erased ? "" : plain_text(from.what.value.bytes)},
          {"input_is", erased ? "" : plain_text(from.what.input.bytes)}};
}

encoded_event stored_of(const json::object& from) {
  const auto text = [&](const char* name) { return std::string(from.at(name).as_string()); };
  const auto bytes = [&](const char* name) { return from_hex(from.at(name).as_string()); };
  encoded_event out;
  out.position = from.at("position").to_number<position_t>();
  out.kind = static_cast<event_kind>(from.at("kind").to_number<int>());
  out.epoch = from.at("epoch").to_number<epoch_t>();
  out.at = from.at("at").to_number<time_us>();
  out.operation = text("operation");
  out.name = text("name");
  out.place = text("place");
  out.flags = from.at("flags").to_number<std::uint8_t>();
  out.codec = from.at("codec").to_number<std::uint8_t>();
  out.key_id = from.at("key_id").to_number<std::uint32_t>();
  out.content_type = text("content_type");
  out.value = bytes("value");
  out.input_content_type = text("input_content_type");
  out.input = bytes("input");
  out.salt = std::string_view(bytes("salt"));
  out.digest = std::string_view(bytes("digest"));
  out.details = bytes("details");
  const std::string chain = bytes("chain");
  std::copy_n(chain.begin(), out.chain.size(), out.chain.begin());
  out.crc = from.at("crc").to_number<std::uint32_t>();
  return out;
}

/// Inputs and results of the small functions.
void add_functions(json::object& to) {
  json::array crcs;
  json::array hashes;
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 15U, 31U, 64U, 100U}) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 37 + size);
    crcs.push_back({{"bytes", to_hex(bytes)}, {"crc", crc32c(bytes)}});
    hashes.push_back({{"key", to_hex(testing::sample_seed())},
                      {"bytes", to_hex(bytes)},
                      {"hash", siphash24(testing::sample_seed(), bytes)}});
  }
  json::array ulids;
  for (const char* text : {"00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
                           "01HK153X000123456789ABCDEF", "01ARYZ6S41TSV4RRFFQ69G5FAV"}) {
    ulids.push_back({{"text", text}, {"bytes", hex_of(ulid::parse(text)->bytes)}});
  }
  json::array children;
  json::array keys;
  for (const char* operation : {"1", "3.2", "c.1", "12.7.103"}) {
    const time_us now = 1'704'067'200'123'999;
    children.push_back({{"parent", sample_run().text()},
                        {"operation", operation},
                        {"now", now},
                        {"child", child_run_id(sample_run(), operation, now).text()}});
    keys.push_back({{"origin", sample_run().text()},
                    {"operation", operation},
                    {"step", "charge_card"},
                    {"key", idempotency_key(sample_run(), operation, "charge_card")}});
  }
  to["crc32c"] = crcs;
  to["siphash24"] = hashes;
  to["ulids"] = ulids;
  to["child_ids"] = children;
  to["idempotency_keys"] = keys;
}

void write_golden() {
  json::object functions;
  add_functions(functions);
  std::ofstream out(path);
  out << "{\n\"format_level\": " << format_level << ",\n\"zstd\": " << ZSTD_versionNumber();
  for (const auto& [name, vectors] : functions) {
    out << ",\n\"" << name << "\": [";
    const char* between = "\n  ";
    for (const json::value& each : vectors.as_array()) {
      out << between << each;
      between = ",\n  ";
    }
    out << "]";
  }
  out << ",\n\"runs\": [{\"run\": \"" << sample_run().text() << "\", \"before\": \""
      << hex_of(chain_hash{}) << "\", \"events\": [";
  const std::vector<testing::sample> samples = testing::sample_events();
  const std::vector<encoded_event> journal = testing::sample_journal(true);
  for (std::size_t i = 0; i < journal.size(); ++i) {
    out << (i == 0 ? "\n  " : ",\n  ") << json::value(json_of(journal[i], samples[i]));
  }
  out << "]}]\n}\n";
}

json::object read_golden() {
  if (std::getenv("FERMATA_WRITE_GOLDEN") != nullptr) write_golden();
  std::ifstream in(path);
  REQUIRE_MESSAGE(in.good(), path);
  return json::parse(std::string(std::istreambuf_iterator<char>(in), {})).as_object();
}

}  // namespace

TEST_CASE("what level 1 wrote is read as it was meant, and its chain holds") {
  const json::object golden = read_golden();
  const json::object& run = golden.at("runs").at(0).as_object();
  const run_id id = *run_id::parse(std::string_view(run.at("run").as_string()));
  const std::vector<testing::sample> samples = testing::sample_events();
  const json::array& events = run.at("events").as_array();
  REQUIRE(events.size() == samples.size());
  chain_hash before{};

  for (std::size_t i = 0; i < events.size(); ++i) {
    const encoded_event stored = stored_of(events[i].as_object());
    event expected = samples[i].what;
    if (samples[i].erase) {
      expected.value.bytes.clear();
      expected.value.erased = true;
      expected.input.bytes.clear();
      expected.input.erased = true;
    }

    const absl::StatusOr<event> read = decode(id, stored);
    REQUIRE_MESSAGE(read.ok(), read.status().ToString());
    CHECK(testing::text_of(*read) == testing::text_of(expected));
    CHECK(check_chain(id, before, stored).ok());
    before = stored.chain;
  }
}

TEST_CASE("this version writes the very bytes that level 1 fixed") {
  const json::object golden = read_golden();
  const bool same_zstd = golden.at("zstd").to_number<unsigned>() == ZSTD_versionNumber();
  const json::array& events = golden.at("runs").at(0).at("events").as_array();
  const std::vector<testing::sample> samples = testing::sample_events();
  const std::vector<encoded_event> journal = testing::sample_journal(true);
  REQUIRE(events.size() == journal.size());

  for (std::size_t i = 0; i < events.size(); ++i) {
    encoded_event written = journal[i];
    if (!same_zstd && written.codec != 0) {  // another libzstd may compress otherwise: only that
      const encoded_event kept = stored_of(events[i].as_object());
      written.value = kept.value;
      written.input = kept.input;
      written.crc = kept.crc;
    }
    CHECK(json::serialize(json_of(written, samples[i])) == json::serialize(events[i]));
  }

  json::object functions;
  add_functions(functions);
  for (const auto& [name, vectors] : functions) {
    CHECK(json::serialize(vectors) == json::serialize(golden.at(name)));
  }
}

}  // namespace fermata::engine
