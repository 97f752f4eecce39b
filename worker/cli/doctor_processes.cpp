// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/doctor.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <utility>

namespace fermata::cli {

namespace fs = std::filesystem;

namespace {

std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The third field of /proc/N/stat; the second, in parentheses, may hold anything.
char state_of(const fs::path& process) {
  const std::string line = first_line(process / "stat");
  const std::size_t end = line.rfind(')');
  return end == std::string::npos || end + 2 >= line.size() ? '?' : line[end + 2];
}

}  // namespace

std::vector<opener> openers_of(const std::string& path) {
  std::vector<opener> found;
  std::error_code none;
  const std::string real = fs::canonical(path, none).string();
  if (real.empty()) return found;
  for (fs::directory_iterator process("/proc", none), end; !none && process != end;
       process.increment(none)) {
    const std::string name = process->path().filename().string();
    if (!std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) continue;
    opener one;
    one.pid = std::strtoll(name.c_str(), nullptr, 10);
    bool opens = false;
    std::error_code refused;
    for (fs::directory_iterator file(process->path() / "fd", refused), last;
         !refused && file != last; file.increment(refused)) {
      std::error_code gone;
      const std::string target = fs::read_symlink(file->path(), gone).string();
      opens = opens || target == real;
      one.locks = one.locks || target == real + "-lock";
    }
    if (!opens || one.pid == getpid()) continue;
    one.name = first_line(process->path() / "comm");
    one.state = state_of(process->path());
    found.push_back(std::move(one));
  }
  return found;
}

bool is_locked(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  struct flock asked{};
  asked.l_type = F_WRLCK;
  asked.l_whence = SEEK_SET;
  const bool held = fcntl(file, F_OFD_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
  ::close(file);
  return held;
}

std::string bad_file_system(const std::string& path) {
  struct statfs about{};
  if (statfs(path.c_str(), &about) != 0) return {};
  constexpr std::array<std::pair<std::uint32_t, const char*>, 6> bad{{{NFS_SUPER_MAGIC, "NFS"},
                                                                      {SMB_SUPER_MAGIC, "SMB"},
                                                                      {0xff534d42U, "CIFS"},
                                                                      {0xfe534d42U, "SMB2"},
                                                                      {0x01021997U, "9p"},
                                                                      {0x65735546U, "FUSE"}}};
  for (const auto& [magic, name] : bad)
    if (static_cast<std::uint32_t>(about.f_type) == magic) return name;
  return {};
}

}  // namespace fermata::cli
