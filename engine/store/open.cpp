// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/postgres/address.hpp"
#include "engine/store/postgres/linked.hpp"
#include "engine/store/sqlite/sqlite_store.hpp"
#include "engine/store/status.hpp"
#include "engine/store/store.hpp"

#include <fmt/format.h>

namespace fermata::engine {

absl::StatusOr<std::shared_ptr<store>> open_store(std::string_view address,
                                                  const open_options& options) {
  if (address.starts_with("sqlite:"))
    return open_sqlite_store(address, options, {.say = options.warn});
  if (postgres::is_postgres_address(address)) {
    if (open_postgres_store != nullptr) return open_postgres_store(address, options);
    return coded(absl::StatusCode::kFailedPrecondition, "FER-2001",
                 "this program is linked without Postgres: link it with fermata::fermata in place "
                 "of fermata::embedded, or name a file, for example sqlite:orders.db");
  }
  if (address.starts_with("memory:")) return open_memory_store(address, options);
  return coded(absl::StatusCode::kInvalidArgument, "FER-2001",
               fmt::format("'{}' isn't the address of a journal; write sqlite:FILE, for example "
                           "sqlite:orders.db, postgres://USER@HOST/DATABASE, or memory:",
                           address));
}

}  // namespace fermata::engine
