// SPDX-License-Identifier: Apache-2.0
// Whether a value fits the JSON Schema that a worker keeps of its types.
#include "worker/cli/input.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

// Without it what isn't JSON Schema ends the process.
#define VALIJSON_USE_EXCEPTIONS 1
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include <exception>

namespace fermata::cli {

namespace json = boost::json;

namespace {

using adapter = valijson::adapters::BoostJsonAdapter;

/// ["<root>", "[items]", "[2]"] as "items.2".
std::string path_of(const std::vector<std::string>& context) {
  std::string path;
  for (std::string part : context) {
    if (part == "<root>") continue;
    if (part.size() > 2 && part.front() == '[' && part.back() == ']')
      part = part.substr(1, part.size() - 2);
    if (part.size() > 2 && part.front() == '"' && part.back() == '"')
      part = part.substr(1, part.size() - 2);
    path += (path.empty() ? "" : ".") + part;
  }
  return path;
}

/// What stands there, and what its shape says of the place; followed as far as both go.
struct place {
  const json::value* value;
  const json::value* shape;
};
place follow(const json::value& value, const json::value& shape, const std::string& path) {
  place at{&value, &shape};
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('.'), rest.size());
    const std::string part(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const json::object* schema = at.shape == nullptr ? nullptr : at.shape->if_object();
    if (const json::object* object = at.value->if_object()) {
      at.value = object->if_contains(part);
      const json::value* members = schema ? schema->if_contains("properties") : nullptr;
      at.shape =
          members && members->is_object() ? members->get_object().if_contains(part) : nullptr;
    } else if (const json::array* array = at.value->if_array()) {
      const std::size_t i = std::strtoul(part.c_str(), nullptr, 10);
      at.value = i < array->size() ? &(*array)[i] : nullptr;
      at.shape = schema ? schema->if_contains("items") : nullptr;
    }
    if (at.value == nullptr) break;
  }
  return at;
}

/// "a string", "an integer from -128 to 127", "one of "a", "b"", else the shape itself.
std::string wanted_text(const json::value& shape) {
  const json::object* schema = shape.if_object();
  if (schema == nullptr) return compact(shape);
  if (const json::value* one_of = schema->if_contains("enum")) return "one of " + compact(*one_of);
  const json::value* type = schema->if_contains("type");
  if (type == nullptr || !type->is_string()) return compact(shape);
  const std::string name(type->get_string());
  const std::string article =
      name == "integer" || name == "array" || name == "object" ? "an " : "a ";
  const json::value* least = schema->if_contains("minimum");
  const json::value* most = schema->if_contains("maximum");
  if (least != nullptr && most != nullptr)
    return fmt::format("{}{} from {} to {}", article, name, compact(*least), compact(*most));
  if (const json::value* form = schema->if_contains("format"))
    return fmt::format("{}{} ({})", article, name, compact(*form));
  return name == "null" ? "null" : article + name;
}

/// The deepest complaint says most.
std::string complaint(const json::value& value, const json::value& shape,
                      valijson::ValidationResults& results) {
  std::string path;
  std::string description;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    std::string one = path_of(error.context);
    if (description.empty() || one.size() > path.size()) {
      path = std::move(one);
      description = error.description;
    }
  }
  const place at = follow(value, shape, path);
  const std::string where = path.empty() ? "it" : "'" + clean(path) + "'";
  if (at.value == nullptr || at.shape == nullptr) return where + ": " + clean(description);
  return fmt::format("{} is {}, it must be {}", where, clean(truncated(compact(*at.value), 60)),
                     clean(truncated(wanted_text(*at.shape), 200)));
}

}  // namespace

void check_shape(const json::value& value, std::string_view shape, std::string_view what) {
  json::error_code problem;
  const json::value parsed = json::parse(shape, problem);
  if (problem || !parsed.is_object() || parsed.get_object().empty()) return;
  valijson::ValidationResults results;
  try {
    valijson::Schema schema;
    valijson::SchemaParser parser;
    parser.populateSchema(adapter(parsed), schema);
    valijson::Validator validator;
    if (validator.validate(schema, adapter(value), &results)) return;
  } catch (const std::exception&) {
    return;  // a codec's own shape that isn't JSON Schema: the worker will judge
  }
  throw refusal(codes::bad_input,
                fmt::format("{} doesn't fit: {}; its whole shape is {}; or say --unchecked", what,
                            complaint(value, parsed, results), clean(shape)));
}

}  // namespace fermata::cli
