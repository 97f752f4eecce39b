// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/json_out.hpp"

#include "engine/utf8.hpp"
#include "worker/cli/text.hpp"

#include <fermata/codec.hpp>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <cmath>
#include <ostream>

namespace fermata::cli {

namespace json = boost::json;

namespace {

/// What JSON can say of it: texts become UTF-8, a number that isn't finite becomes a text.
json::value sayable(const json::value& what) {
  if (what.is_string()) return json::value(engine::as_utf8(what.get_string()));
  if (what.is_double() && !std::isfinite(what.get_double()))
    return json::value(fmt::format("{}", what.get_double()));
  if (what.is_array()) {
    json::array out;
    for (const json::value& one : what.get_array()) out.push_back(sayable(one));
    return out;
  }
  if (!what.is_object()) return what;
  json::object out;
  for (const auto& [name, value] : what.get_object())
    out[engine::as_utf8(std::string_view(name))] = sayable(value);
  return out;
}

}  // namespace

/// Never fails because of what is stored.
std::string compact(const json::value& what) {
  try {
    return codec<json::value>::encode(what);
  } catch (const encode_error&) {
    return codec<json::value>::encode(sayable(what));
  }
}

namespace {

constexpr std::size_t depth_shown = 150;  // with what stands around it, less than the codec refuses

void pretty(std::ostream& out, const json::value& what, std::size_t indent) {
  const std::string inner(indent + 2, ' ');
  const std::string outer(indent, ' ');
  if (what.is_object() && !what.get_object().empty()) {
    const char* before = "{\n";
    for (const auto& [name, value] : what.get_object()) {
      out << before << inner << compact(json::value(name)) << ": ";
      pretty(out, value, indent + 2);
      before = ",\n";
    }
    out << '\n' << outer << '}';
  } else if (what.is_array() && !what.get_array().empty()) {
    const char* before = "[\n";
    for (const json::value& value : what.get_array()) {
      out << before << inner;
      pretty(out, value, indent + 2);
      before = ",\n";
    }
    out << '\n' << outer << ']';
  } else {
    out << compact(what);
  }
}

std::string base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    for (std::size_t j = 0; j < 3; ++j)
      three = three << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j > bytes.size() ? '=' : digits[three >> (18 - 6 * j) & 63];
  }
  return out;
}

bool is_json(const engine::payload& value) {
  return value.content_type.str().find("json") != std::string::npos;
}
bool is_text(const engine::payload& value) { return value.content_type.str().starts_with("text/"); }

std::string hidden(const engine::payload& value, bool reveal) {
  if (value.erased) return "‹erased›";
  if (value.sensitive && !reveal)
    return fmt::format("‹sensitive, {}›",
                       bytes_text(static_cast<std::int64_t>(value.bytes.size())));
  return {};
}

json::value id_json(const engine::run_id& id) {
  return id.empty() ? json::value(nullptr) : json::value(id.text());
}

json::object tags_json(const std::map<std::string, std::string>& tags) {
  json::object out;
  for (const auto& [name, value] : tags) out[name] = value;
  return out;
}

}  // namespace

json::object document(std::string_view type) {
  json::object out;
  out["$type"] = type;
  return out;
}

void print_json(std::ostream& out, const json::value& what) {
  pretty(out, what, 0);
  out << '\n';
}

void print_line(std::ostream& out, const json::value& what) {
  out << compact(what) << '\n' << std::flush;
}

json::value time_json(engine::time_us at, const showing& how) {
  if (at == 0) return nullptr;
  if (how.times == time_style::raw) return at;
  return json::value(iso_text(at));
}

json::value payload_json(const engine::payload& value, const showing& how) {
  if (!value.present()) return nullptr;
  if (const std::string mask = hidden(value, how.reveal); !mask.empty()) return json::value(mask);
  if (is_text(value)) return json::value(value.bytes);
  if (is_json(value)) {
    json::error_code problem;
    json::value parsed = json::parse(value.bytes, problem, {}, {.max_depth = depth_shown});
    if (!problem) return parsed;
  }
  return {{"content_type", value.content_type.str()}, {"base64", base64(value.bytes)}};
}

std::string payload_text(const engine::payload& value, bool reveal) {
  if (!value.present()) return {};
  if (std::string mask = hidden(value, reveal); !mask.empty()) return mask;
  if (is_json(value) || is_text(value)) return clean(value.bytes);
  return fmt::format("‹{}, {}›", clean(value.content_type.str()),
                     bytes_text(static_cast<std::int64_t>(value.bytes.size())));
}

json::value failure_json(const pb::failure& why) {
  json::object out;
  out["type"] = why.type();
  out["message"] = why.message();
  out["code"] = why.code();
  out["retryable"] = why.retryable();
  json::error_code problem;
  if (!why.details().empty()) {
    json::value details = json::parse(why.details(), problem);
    out["details"] = problem ? json::value(why.details()) : details;
  }
  return out;
}

std::string failure_text(const pb::failure& why) {
  if (why.type().empty() || why.type() == "failure") return clean(why.message());
  if (why.message().empty()) return clean(why.type());
  return clean(why.type()) + ": " + clean(why.message());
}

json::object run_json(const engine::run_row& row, const showing& how) {
  json::object out = document("run");
  out["run"] = row.run.text();
  out["key"] = row.key.empty() ? json::value(nullptr) : json::value(row.key);
  out["workflow"] = row.workflow;
  out["namespace"] = row.space;
  out["state"] = std::string_view(text_of(row.state));
  out["attention"] = std::string_view(text_of(row.attention));
  out["status"] = row.status;
  out["waits"] = engine::ended(row.state) ? "" : row.waits;
  out["error"] = row.error;
  out["report"] = row.report;
  out["requested"] = time_json(row.requested, how);
  out["started"] = time_json(row.started, how);
  out["ended"] = time_json(row.ended, how);
  out["not_before"] = time_json(row.not_before, how);
  out["deadline"] = time_json(row.deadline, how);
  out["took_ms"] = row.ended != 0 && row.started != 0
                       ? json::value((row.ended - row.started) / 1000)
                       : json::value(nullptr);
  out["queue"] = row.queue;
  out["priority"] = row.priority;
  out["tags"] = tags_json(row.tags);
  out["build"] = row.build;
  out["chain"] = id_json(row.chain);
  out["parent"] = id_json(row.parent);
  out["parent_operation"] = row.parent_operation;
  out["next_run"] = id_json(row.next_run);
  out["epoch"] = row.epoch;
  return out;
}

}  // namespace fermata::cli
