// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"

#include <memory>
#include <string_view>

/// What of this folder others call, where a program may be linked without it (`fermata::embedded`): null
/// there. `fermata::postgres` brings it.
namespace fermata::engine {

[[gnu::weak]] absl::StatusOr<std::shared_ptr<store>> open_postgres_store(
    std::string_view address, const open_options& options);
[[gnu::weak]] absl::Status empty_postgres_journal(std::string_view address);

}  // namespace fermata::engine
