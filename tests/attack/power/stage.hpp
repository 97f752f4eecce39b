// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/attack/power/census.hpp"
#include "tests/attack/power/machine.hpp"
#include "tests/attack/power/office.hpp"

#include "engine/store/sqlite/sqlite_store.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

/// What both attacks stand on.
namespace fermata::attack::power {

/// Something that was promised isn't so. Ends the attack.
class broken_promise : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The folder that holds what lies beside a journal: lock, wake-up and slot files. They aren't the
/// journal, and are real files.
class folder {
 public:
  folder();
  ~folder();
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  const std::string& journal() const noexcept { return journal_; }

 private:
  std::string path_;
  std::string journal_;
};

absl::StatusOr<std::shared_ptr<engine::store>> open(const folder& where, const office& of);

/// Runs `fermata verify` and SQLite's check, and asks the office. Throws broken_promise.
void check_the_end(const engine::store& journal, const office& of, census& rows);

/// `--name value` of a command line, or `otherwise`.
std::uint64_t option(int argc, char** argv, std::string_view name, std::uint64_t otherwise);

/// The journal's checkpoints come after so many pages, so that a short day has some.
void checkpoint_often();

}  // namespace fermata::attack::power
