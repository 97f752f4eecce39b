// SPDX-License-Identifier: Apache-2.0
#include "engine/store/status.hpp"

#include "engine/store/batch.hpp"

#include <absl/strings/cord.h>
#include <fmt/format.h>

#include <optional>

namespace fermata::engine {
namespace {

constexpr std::string_view code_url = "fermata/code";

}  // namespace

absl::Status coded(absl::StatusCode code, std::string_view fer_code, std::string_view sentence) {
  absl::Status status(code, absl::string_view(sentence.data(), sentence.size()));
  status.SetPayload(absl::string_view(code_url.data(), code_url.size()),
                    absl::Cord(absl::string_view(fer_code.data(), fer_code.size())));
  return status;
}

absl::Status no_worker(std::int64_t worker, std::string_view why) {
  return coded(absl::StatusCode::kNotFound, "FER-2104", fmt::format("worker {} {}", worker, why));
}

std::string fer_code_of(const absl::Status& status) {
  const auto code = status.GetPayload(absl::string_view(code_url.data(), code_url.size()));
  if (code) return std::string(*code);
  if (absl::IsDataLoss(status)) return "FER-2103";
  return absl::IsUnimplemented(status) ? "FER-2003" : "FER-2104";
}

const char* text_of(landing how) noexcept {
  switch (how) {
    case landing::landed:
      return "landed";
    case landing::stale:
      return "stale";
    case landing::not_owner:
      return "not_owner";
    case landing::message_gone:
      return "message_gone";
    case landing::inbox_not_empty:
      return "inbox_not_empty";
    case landing::body_failed:
      return "body_failed";
    case landing::unknown_run:
      return "unknown_run";
  }
  return "";
}

}  // namespace fermata::engine
