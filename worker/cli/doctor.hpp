// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/session.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace fermata::cli {

enum class verdict { well, warning, bad };

/// One look at one thing.
struct checkup {
  std::string what;  // "disk"
  verdict how = verdict::well;
  std::string sentence;  // with what to do, unless it is well
};

/// A process of this host that has the journal open.
struct opener {
  std::int64_t pid = 0;
  std::string name;
  char state = '?';    // of /proc: R S D T Z
  bool locks = false;  // it has the lock file open: one of ours
};

/// Those that may be seen by this user; not this process.
std::vector<opener> openers_of(const std::string& path);
/// Whether somebody holds an open-file-description lock on any part of the file.
bool is_locked(const std::string& path);
/// The file system's name where locks can't be trusted ("nfs"); empty where all is well.
std::string bad_file_system(const std::string& path);

}  // namespace fermata::cli
