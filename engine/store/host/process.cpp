// SPDX-License-Identifier: Apache-2.0
#include "engine/store/host/process.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace fermata::engine::host {

namespace {

struct process_stat {
  std::string name;
  char state = '?';
  std::uint64_t started = 0;  // field 22
};

/// /proc/PID/stat: the name is in parentheses and may hold anything, so fields count from the last.
bool read_stat(std::int64_t pid, process_stat& to) {
  std::ifstream from(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(from, line)) return false;
  const auto open = line.find('(');
  const auto close = line.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return false;
  to.name = line.substr(open + 1, close - open - 1);
  std::istringstream rest(line.substr(close + 1));
  rest >> to.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) rest >> skipped;
  rest >> to.started;
  return true;
}

}  // namespace

std::uint64_t start_time_of(std::int64_t pid) {
  process_stat found;
  return read_stat(pid, found) ? found.started : 0;
}

std::string describe_process(std::int64_t pid, std::uint64_t started) {
  if (pid == 0) return "a process that hasn't said who it is";
  process_stat found;
  if (!read_stat(pid, found) || found.started != started)
    return fmt::format("process {}, which has ended", pid);
  if (found.state == 'T' || found.state == 't')
    return fmt::format(
        "process {} ({}), which is stopped (state {}): 'kill -CONT {}' lets it go on", pid,
        found.name, found.state, pid);
  return fmt::format("process {} ({}), which is alive (state {})", pid, found.name, found.state);
}

std::string describe_users(const std::string& journal) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path log = fs::canonical(journal + "-wal", error);
  if (error) return "nobody is seen to have it open";  // it isn't there
  std::string found;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;  // processes of others
    for (const auto& open : fs::directory_iterator(process.path() / "fd", hidden)) {
      if (fs::read_symlink(open.path(), hidden) != log) continue;
      process_stat is;
      if (!read_stat(std::stoll(pid), is)) break;
      found += fmt::format("{}{} ({}{})", found.empty() ? "" : ", ", pid, is.name,
                           is.state == 'T' ? ", stopped" : "");
      break;
    }
  }
  return found.empty() ? "nobody is seen to have it open" : "it is open in processes " + found;
}

std::string boot_id() {
  std::ifstream from("/proc/sys/kernel/random/boot_id");
  std::string line;
  std::getline(from, line);
  return line;
}

}  // namespace fermata::engine::host
