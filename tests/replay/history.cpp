// SPDX-License-Identifier: Apache-2.0
#include "history.hpp"

#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/store/projection.hpp"
#include "src/convert.hpp"

#include <fermata/testing.hpp>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace replay {

namespace json = boost::json;
using engine::encoded_event;
using fermata::testing::mismatch;

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

namespace {

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return out;
}

bool is_plain(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c >= ' ' && c <= '~'; });
}

// ---- writing ----

void put_text(json::object& to, const char* name, std::string_view text) {
  if (!text.empty()) to[name] = text;
}

void put_hex(json::object& to, const char* name, std::string_view bytes) {
  if (!bytes.empty()) to[name] = to_hex(bytes);
}

void put_number(json::object& to, const char* name, std::uint64_t number) {
  if (number != 0) to[name] = number;
}

/// Readable where it can be: a difference then tells the story.
void put_value(json::object& to, const std::string& name, std::string_view bytes) {
  if (is_plain(bytes))
    put_text(to, name.c_str(), bytes);
  else
    put_hex(to, (name + "_hex").c_str(), bytes);
}

json::object json_of(const encoded_event& e) {
  json::object to;
  to["position"] = e.position;
  to["kind"] = engine::text_of(e.kind);
  to["epoch"] = e.epoch;
  to["at"] = e.at;
  put_text(to, "operation", e.operation);
  put_text(to, "name", e.name);
  put_text(to, "place", e.place.str());
  put_number(to, "flags", e.flags);
  put_number(to, "codec", e.codec);
  put_number(to, "key_id", e.key_id);
  put_text(to, "content_type", e.content_type.str());
  put_value(to, "value", e.value);
  put_text(to, "input_content_type", e.input_content_type.str());
  put_value(to, "input", e.input);
  put_hex(to, "salt", std::string_view(e.salt));
  put_hex(to, "digest", std::string_view(e.digest));
  put_hex(to, "details", e.details);
  put_hex(to, "chain", {reinterpret_cast<const char*>(e.chain.data()), e.chain.size()});
  to["crc"] = e.crc;
  return to;
}

// ---- reading ----

/// A line's columns; what is left out is empty.
class columns {
 public:
  explicit columns(const json::object& from) : from_(from) {}

  std::string text(const std::string& name) const {
    const json::value* found = from_.if_contains(name);
    return found == nullptr ? "" : std::string(found->as_string());
  }
  std::string hex(const std::string& name) const { return from_hex(text(name)); }
  std::string value(const std::string& name) const {
    return from_.contains(name) ? text(name) : hex(name + "_hex");
  }
  template <class T>
  T number(const std::string& name) const {
    const json::value* found = from_.if_contains(name);
    return found == nullptr ? T() : found->to_number<T>();
  }

 private:
  const json::object& from_;
};

encoded_event event_of(const columns& from) {
  encoded_event e;
  const auto kind = engine::event_kind_of(from.text("kind"));
  if (!kind) throw std::invalid_argument("unknown kind '" + from.text("kind") + "'");
  e.kind = *kind;
  e.position = from.number<engine::position_t>("position");
  e.epoch = from.number<engine::epoch_t>("epoch");
  e.at = from.number<engine::time_us>("at");
  e.operation = from.text("operation");
  e.name = from.text("name");
  e.place = from.text("place");
  e.flags = from.number<std::uint8_t>("flags");
  e.codec = from.number<std::uint8_t>("codec");
  e.key_id = from.number<std::uint32_t>("key_id");
  e.content_type = from.text("content_type");
  e.value = from.value("value");
  e.input_content_type = from.text("input_content_type");
  e.input = from.value("input");
  e.salt = std::string_view(from.hex("salt"));
  e.digest = std::string_view(from.hex("digest"));
  e.details = from.hex("details");
  const std::string chain = from.hex("chain");
  if (chain.size() != e.chain.size()) throw std::invalid_argument("chain isn't 16 bytes");
  std::ranges::copy(chain, e.chain.begin());
  e.crc = from.number<std::uint32_t>("crc");
  return e;
}

recorded_run run_of(const columns& from) {
  recorded_run run;
  const auto id = engine::run_id::parse(from.text("run"));
  const auto state = engine::run_state_of(from.text("state"));
  if (!id || !state) throw std::invalid_argument("no run's id or state");
  run.run = *id;
  run.workflow = from.text("workflow");
  run.state = *state;
  return run;
}

void read_line(recording& to, std::string_view line) {
  const json::value parsed = json::parse(line);
  const columns from(parsed.as_object());
  if (parsed.as_object().contains("scene")) {
    to.scene = from.text("scene");
  } else if (parsed.as_object().contains("run")) {
    to.runs.push_back(run_of(from));
  } else {
    if (to.runs.empty()) throw std::invalid_argument("an event before its run");
    to.runs.back().events.push_back(event_of(from));
  }
}

}  // namespace

std::string text_of(const recording& what) {
  const json::object head{{"scene", what.scene}, {"format_level", engine::format_level}};
  std::string out = json::serialize(head) + "\n";
  for (const recorded_run& run : what.runs) {
    out += json::serialize(json::object{{"run", run.run.text()},
                                        {"workflow", run.workflow},
                                        {"state", engine::text_of(run.state)}}) +
           "\n";
    for (const encoded_event& e : run.events) out += json::serialize(json_of(e)) + "\n";
  }
  return out;
}

recording read_recording(const std::string& file, std::string_view text) {
  recording all;
  all.file = file;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    ++number;
    try {
      read_line(all, text.substr(0, end));
    } catch (const std::exception& why) {
      throw mismatch(fmt::format("{}:{}: {}", file, number, why.what()));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

// ---- between files and journals ----

std::vector<recorded_run> runs_of(const engine::store& where) {
  engine::run_query all;
  all.at_most = 1'000;
  auto rows = where.list(all);
  fermata::detail::raise(rows.status());
  std::vector<recorded_run> runs;
  for (const engine::run_row& row : *rows) {
    auto events = where.read_events(row.run, 1, 10'000);
    fermata::detail::raise(events.status());
    runs.push_back({row.run, row.workflow, row.state, std::move(*events)});
  }
  std::ranges::sort(runs, {}, [](const recorded_run& run) {
    return std::pair(run.events.front().at, run.run.text());
  });
  return runs;
}

namespace {

/// What the run was started with, as its first event has it.
engine::start_request request_of(const engine::run_id& run, const engine::event& start) {
  const fermata::pb::started& started = start.details.started();
  const auto id = [](const std::string& bytes) {
    return bytes.empty() ? engine::run_id() : engine::run_id::of(engine::ulid::from_view(bytes));
  };
  engine::start_request request;
  request.run = run;
  request.chain = id(started.chain());
  request.origin = id(started.origin());
  request.seed = started.seed();
  request.space = started.tenant();
  request.workflow = start.name;
  request.input = start.value;
  request.queue = started.queue();
  request.priority = started.priority();
  request.requested = started.requested_us();
  request.deadline = started.deadline_us();
  for (const auto& [name, value] : started.tags()) request.tags[name] = value;
  request.parent = id(started.parent());
  request.parent_chain = id(started.parent_chain());
  request.parent_operation = started.parent_operation();
  request.close_policy = started.close_policy();
  request.previous_run = id(started.previous_run());
  std::ranges::copy(started.previous_hash(), request.previous_hash.begin());
  return request;
}

}  // namespace

void put_in(engine::store& where, const recorded_run& what, std::size_t events) {
  const std::vector<encoded_event> kept(what.events.begin(),
                                        what.events.begin() + static_cast<std::ptrdiff_t>(events));
  engine::run_changes changes;
  std::optional<engine::event> start;
  for (const encoded_event& e : kept) {
    auto event = engine::decode(what.run, e);
    fermata::detail::raise(event.status());
    engine::fold_changes(what.run, *event, changes);
    if (!start) start = std::move(*event);
  }
  fermata::detail::raise(where.begin_copy(request_of(what.run, *start), kept, changes, {}));
}

std::vector<engine::event> decoded(const recorded_run& what) {
  std::vector<engine::event> history;
  engine::chain_hash before{};
  for (const encoded_event& e : what.events) {
    auto event = engine::decode(what.run, e);
    absl::Status status = event.status();
    if (status.ok()) status = engine::check_chain(what.run, before, e);
    if (!status.ok()) throw mismatch(std::string(status.message()));
    before = e.chain;
    history.push_back(std::move(*event));
  }
  return history;
}

}  // namespace replay
