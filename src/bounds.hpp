// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codes.hpp>
#include <fermata/step.hpp>

#include <optional>
#include <string>
#include <string_view>

/// What may be asked for: the same rules for clients and for workflows' code. Each says why
/// something can't be; nothing when it can.
namespace fermata::detail {

struct refusal {
  code_info code;
  std::string text;  // a sentence that ends with the code
};

/// 1 to 255 bytes of UTF-8 without control characters, not beginning with run_.
std::optional<refusal> refuse_key(std::string_view key);
std::optional<refusal> refuse_tag(std::string_view name, std::string_view value);
/// What only later versions can carry out. `whose`: "step 'resize'", "this worker's options".
std::optional<refusal> refuse_options(std::string_view whose, const step_options& options);
/// A body of the workflow itself is carried out where the workflow is.
std::optional<refusal> refuse_queue(std::string_view whose, const step_options& options);

}  // namespace fermata::detail
