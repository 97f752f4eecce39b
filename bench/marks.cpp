// SPDX-License-Identifier: Apache-2.0
#include "bench/marks.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace fermata::bench {

namespace {

[[noreturn]] void fail() {
  std::perror("fermata-bench: shared memory");
  std::exit(1);
}

}  // namespace

std::int64_t wall_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

marks::marks(std::size_t count)
    : file_(::memfd_create("fermata-bench-marks", MFD_CLOEXEC)), count_(count) {
  if (file_ < 0 || ::ftruncate(file_, static_cast<off_t>((count + 1) * sizeof(mark))) != 0) fail();
  map();
}

marks::marks(const std::string& address) : file_(::open(address.c_str(), O_RDWR | O_CLOEXEC)) {
  struct stat found{};
  if (file_ < 0 || ::fstat(file_, &found) != 0) fail();
  count_ = static_cast<std::size_t>(found.st_size) / sizeof(mark) - 1;
  map();
}

void marks::map() {
  void* const at =
      ::mmap(nullptr, (count_ + 1) * sizeof(mark), PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
  if (at == MAP_FAILED) fail();
  all_ = static_cast<mark*>(at);
}

marks::~marks() {
  ::munmap(all_, (count_ + 1) * sizeof(mark));
  ::close(file_);
}

std::string marks::address() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file_);
}

void marks::note(std::size_t which) noexcept {
  if (which >= count_) return;
  of(which).at_us.store(wall_us());
  of(which).times.fetch_add(1);
  head().at_us.fetch_add(1);
}

}  // namespace fermata::bench
