// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/error.hpp>
#include <fermata/module.hpp>

#include <string>
#include <vector>

namespace fermata::detail {

/// What was loaded, and what it serves now.
struct loaded_module {
  std::string path;
  std::string name;   // its own
  std::string build;  // what it says, else the GNU build id of its file; $FERMATA_BUILD wins
  std::vector<std::string> workflows;
  std::vector<std::string> steps;
};

/// The file isn't there: an exit code of its own.
class module_not_found final : public error {
 public:
  using error::error;
};

/// Loads modules into a worker. A module stays loaded as long as the process lives, since what it
/// serves may be in any frame or queue. After an exception the worker may serve part of a module: it
/// is not to be run.
/// Threads: one, before the worker runs.
class module_host {
 public:
  explicit module_host(worker& into) : into_(into) {}

  /// `file` as dlopen takes it, but a name without a slash is looked for in the current folder
  /// first. $LD_LIBRARY_PATH is where the loader goes on.
  /// Throws: `module_not_found`; `error` FER-3101 when it can't be loaded (a symbol that nobody has
  /// among it) or is no module, FER-3102 when it was built with another version or compiler,
  /// FER-3103 when its registration failed or serves a name that is served already.
  const loaded_module& load(const std::string& file);
  const std::vector<loaded_module>& loaded() const noexcept { return loaded_; }

 private:
  worker& into_;
  std::vector<loaded_module> loaded_;
  std::vector<void*> handles_;
};

/// Throws FER-3102 when the module that says this of itself doesn't fit this process.
void check_fits(const fermata_module_info& says, const std::string& file);

}  // namespace fermata::detail
