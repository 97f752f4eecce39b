// SPDX-License-Identifier: Apache-2.0
#include "src/convert.hpp"

#include "engine/limits.hpp"
#include "engine/store/status.hpp"
#include "engine/utf8.hpp"

#include <fermata/detail/worker_port.hpp>

#include <boost/core/demangle.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string_view>
#include <typeinfo>
#include <unordered_set>

namespace fermata::detail {

engine::payload to_engine(payload&& value) {
  return {.bytes = std::move(value.bytes),
          .content_type = value.content_type,
          .type = value.type,
          .sensitive = value.sensitive,
          .erased = false,
          .canonical = value.canonical};
}
engine::payload to_engine(const payload& value) { return to_engine(payload(value)); }

payload to_sdk(const engine::payload& value) { return to_sdk(engine::payload(value)); }

payload to_sdk(engine::payload&& value) {
  if (!value.present()) return no_value();
  return {.bytes = std::move(value.bytes),
          .content_type = value.content_type.str(),
          .type = value.type,
          .sensitive = value.sensitive,
          .canonical = value.canonical};
}

namespace {
/// Failures are details of events, which are kept for ever: their texts have a bound. And they come
/// from anywhere: what isn't UTF-8 would make the event unreadable.
std::string bounded(std::string_view raw, std::size_t max) {
  const std::string text = engine::as_utf8(raw);
  if (text.size() <= max) return text;
  while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xC0) == 0x80) --max;  // UTF-8
  return fmt::format("{}… ({} bytes more)", std::string_view(text).substr(0, max),
                     text.size() - max);
}
}  // namespace

pb::failure to_engine(const failure& why) {
  pb::failure out;
  out.set_type(bounded(why.type(), engine::limits::name_max));
  out.set_message(bounded(why.what(), engine::limits::failure_text_max));
  out.set_retryable(why.retryable());
  out.set_code(engine::as_utf8(why.code()));
  if (why.details().is_null()) return out;
  std::string details = engine::as_utf8(boost::json::serialize(why.details()));
  if (details.size() <= engine::limits::failure_details_max) out.set_details(std::move(details));
  return out;
}

failure to_sdk(const pb::failure& why, const std::string& run) {
  if (why.type() == "timed_out") return timed_out(why.message(), run);
  failure_options options{.type = why.type(), .retryable = why.retryable()};
  boost::json::error_code problem;
  if (!why.details().empty()) options.details = boost::json::parse(why.details(), problem);
  return failure(why.message(), std::move(options), run);
}

pb::failure failure_of(const std::exception_ptr& problem, std::int64_t* retry_after_ms) {
  if (retry_after_ms) *retry_after_ms = -1;
  pb::failure out;
  out.set_retryable(true);
  out.set_code(std::string(codes::failed));
  try {
    std::rethrow_exception(problem);
  } catch (const failure& why) {
    if (retry_after_ms && why.retry_after()) *retry_after_ms = why.retry_after()->count();
    return to_engine(why);
  } catch (const error& why) {
    out.set_type(bounded(boost::core::demangle(typeid(why).name()), engine::limits::name_max));
    out.set_message(bounded(why.what(), engine::limits::failure_text_max));
    out.set_code(engine::as_utf8(why.code()));
  } catch (const std::exception& why) {
    out.set_type(bounded(boost::core::demangle(typeid(why).name()), engine::limits::name_max));
    out.set_message(bounded(why.what(), engine::limits::failure_text_max));
  } catch (...) {
    out.set_type("exception");
    out.set_message("an exception that isn't a std::exception");
  }
  return out;
}

bool is_cancelled(const std::exception_ptr& problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
}

bool is_undecodable_input(const std::exception_ptr& problem) {
  try {
    std::rethrow_exception(problem);
  } catch (const undecodable_input&) {
    return true;
  } catch (...) {
    return false;
  }
}

void raise(const absl::Status& status, const std::string& run) {
  if (status.ok()) return;
  throw error(engine::fer_code_of(status), std::string(status.message()), run);
}

void check_value(std::string_view what, std::string_view name, std::size_t bytes) {
  if (bytes <= engine::limits::payload_max) return;
  throw failure(
      fmt::format("{} of '{}' has {} bytes, the limit is {}: store it elsewhere and pass its "
                  "address [{}]",
                  what, name, bytes, engine::limits::payload_max, codes::payload_too_large.code),
      {.type = "payload_too_large", .retryable = false});
}

engine::step_plan plan_of(const step_options& o, engine::step_plan plan) {
  if (o.timeout) plan.timeout_ms = o.timeout->count();
  if (o.give_up_after) plan.give_up_after_ms = o.give_up_after->count();
  if (o.heartbeat_timeout) plan.heartbeat_timeout_ms = o.heartbeat_timeout->count();
  if (o.retry.max_attempts) plan.max_attempts = std::max(1, *o.retry.max_attempts);
  if (o.retry.first_delay) plan.first_delay_ms = o.retry.first_delay->count();
  if (o.retry.backoff) plan.backoff = *o.retry.backoff;
  if (o.retry.max_delay) plan.max_delay_ms = o.retry.max_delay->count();
  if (o.priority) plan.priority = *o.priority;
  if (o.on_crash) plan.on_crash = static_cast<int>(*o.on_crash);
  if (o.isolation) plan.isolation = static_cast<int>(*o.isolation);
  if (!o.queue.empty()) plan.queue = std::string(o.queue);
  return plan;
}

void check_utf8(std::string_view what, std::string_view text) {
  if (engine::is_utf8(text)) return;
  throw error(codes::bad_text, fmt::format("{} has bytes that aren't UTF-8: '{:.200}' [{}]", what,
                                           engine::as_utf8(text), codes::bad_text.code));
}

engine::interned place_of(const std::source_location& at) {
  if (at.line() == 0) return {};
  struct key {
    const char* file;
    unsigned line;
    bool operator==(const key&) const = default;
  };
  struct hash {
    std::size_t operator()(const key& k) const noexcept {
      return std::hash<const void*>()(k.file) * 31 + k.line;
    }
  };
  thread_local std::unordered_map<key, engine::interned, hash> known;
  engine::interned& place = known[{at.file_name(), static_cast<unsigned>(at.line())}];
  if (place.empty()) {
    const std::string_view file = at.file_name();
    place = std::string(file.substr(file.rfind('/') + 1)) + ":" + std::to_string(at.line());
  }
  return place;
}

}  // namespace fermata::detail
