// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/crash_child.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace fermata::test {

fresh_folder::fresh_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "fermata_test_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = name;
}

fresh_folder::~fresh_folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int crash_child(const std::string& how, const std::string& path) {
  const std::string program =
      (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "crash_child").string();
  const pid_t child = fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, 2);
    execl(program.c_str(), program.c_str(), how.c_str(), path.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace fermata::test
