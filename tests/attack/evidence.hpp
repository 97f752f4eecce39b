// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace fermata::attack {

/// What an attack has shown: appends a line to the file at FERMATA_EVIDENCE, if that is set; see
/// README.md for the names of counts.
inline void keep(std::string_view attack, std::uint64_t seed,
                 std::initializer_list<std::pair<std::string_view, std::int64_t>> counts) {
  const char* where = std::getenv("FERMATA_EVIDENCE");
  if (where == nullptr || *where == '\0') return;
  boost::json::object numbers;
  for (const auto& [name, count] : counts) numbers[name] = count;
  const boost::json::object line{{"attack", attack},
                                 {"seed", std::to_string(seed)},
                                 {"at", static_cast<std::int64_t>(std::time(nullptr))},
                                 {"counts", std::move(numbers)}};
  std::ofstream(where, std::ios::app) << boost::json::serialize(line) + "\n";
}

}  // namespace fermata::attack
