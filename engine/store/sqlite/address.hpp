// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/sqlite/connection.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fermata::engine::sqlite {

/// "sqlite:orders.db", "sqlite:/var/lib/orders.db?durability=weak_normal".
struct address {
  std::string text;  // as given
  std::string path;  // absolute, without links
  sqlite::durability durability = durability::full;
};

/// Throws store_failure (FER-2001) with what is wrong and how it should look.
address parse_address(std::string_view text);

/// Answers the magic number of the file system that holds a path (statfs(2)); 0: unknown.
using file_system_of = std::function<std::int64_t(const std::string& path)>;
std::int64_t real_file_system_of(const std::string& path);

/// Locks and mapped files must work between all processes of a journal: file systems of the network
/// are refused (FER-2004). Throws store_failure.
void refuse_network(const address& where, const file_system_of& ask);

}  // namespace fermata::engine::sqlite
