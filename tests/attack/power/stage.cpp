// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/stage.hpp"

#include "engine/operate/verify.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace fermata::attack::power {

folder::folder() {
  const std::filesystem::path memory = "/dev/shm";
  const bool has_memory = std::filesystem::is_directory(memory);
  const std::filesystem::path root = has_memory ? memory : std::filesystem::temp_directory_path();
  std::string pattern = root / "fermata-power-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
  path_ = pattern;
  journal_ = path_ + "/journal.db";
}

folder::~folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

absl::StatusOr<std::shared_ptr<engine::store>> open(const folder& where, const office& of) {
  return engine::open_sqlite_store("sqlite:" + where.journal(), of.options());
}

void check_the_end(const engine::store& journal, const office& of, census& rows) {
  std::string wrong;
  for (const std::string& one : of.wrong_at_the_end()) wrong += one + "; ";
  engine::verify_options how;
  how.pages = false;  // its own look at pages is what `damage` does
  how.found = [&](const engine::finding& one) {
    wrong += fmt::format("verify: {} {}: {}; ", one.run.text(), one.position, one.what);
  };
  const auto verified = engine::verify(journal, how);
  if (!verified.ok()) wrong += std::string(verified.status().message());
  wrong += rows.damage() + rows.error();
  if (!wrong.empty()) throw broken_promise("at the end: " + wrong);
}

std::uint64_t option(int argc, char** argv, std::string_view name, std::uint64_t otherwise) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (name != argv[i]) continue;
    std::uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(argv[i + 1], argv[i + 1] + std::strlen(argv[i + 1]), value);
    if (error == std::errc() && *end == '\0') return value;
    throw std::runtime_error(fmt::format("{} needs a number", name));
  }
  return otherwise;
}

void checkpoint_often() { ::setenv("FERMATA_BOUND", "checkpoint_pages=60", 1); }

}  // namespace fermata::attack::power
