// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace fermata::test {

/// A folder of its own, gone with the object.
class fresh_folder {
 public:
  fresh_folder();
  ~fresh_folder();
  fresh_folder(const fresh_folder&) = delete;
  fresh_folder& operator=(const fresh_folder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Runs the program `crash_child` with a box at `path`: two attempts go on, the step "poison" of
/// operation 4 dies in the way named. Answers what waitpid says of it.
int crash_child(const std::string& how, const std::string& path);

}  // namespace fermata::test
