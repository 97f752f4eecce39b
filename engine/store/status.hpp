// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace fermata::engine {

/// A status that carries a stable code such as FER-2101 beside its sentence.
absl::Status coded(absl::StatusCode code, std::string_view fer_code, std::string_view sentence);

/// NOT_FOUND: worker so and so "isn't registered".
absl::Status no_worker(std::int64_t worker, std::string_view why);

/// The stable code of a status. Of one that carries none: FER-2103 of DATA_LOSS (a damaged record),
/// FER-2003 of UNIMPLEMENTED (a newer version wrote it), else FER-2104.
std::string fer_code_of(const absl::Status& status);

}  // namespace fermata::engine
