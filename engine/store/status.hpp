// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace fermata::engine {

/// A status that carries a stable code such as FER-2101 beside its sentence.
absl::Status coded(absl::StatusCode code, std::string_view fer_code, std::string_view sentence);

/// The stable code of a status; FER-2104 when it has none.
std::string fer_code_of(const absl::Status& status);

}  // namespace fermata::engine
