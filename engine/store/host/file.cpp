// SPDX-License-Identifier: Apache-2.0
#include "engine/store/host/file.hpp"

#include "engine/store/failure.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace fermata::engine::host {

namespace {

constexpr std::size_t page_bytes = 4096;

[[noreturn]] void fail_on(const std::string& path, std::string_view what, int error) {
  const bool forbidden = error == EACCES || error == EPERM || error == EROFS;
  fail(error == ENOSPC ? absl::StatusCode::kResourceExhausted
       : forbidden     ? absl::StatusCode::kPermissionDenied
                       : absl::StatusCode::kUnavailable,
       error == ENOSPC ? "FER-2101"
       : forbidden     ? "FER-2006"
                       : "FER-2002",
       fmt::format("{}: can't {} it: {}", path, what, std::strerror(error)));
}

struct flock byte_range(std::size_t byte, short type) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(byte);
  range.l_len = 1;
  return range;
}

}  // namespace

file::file(const std::string& path) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail_on(path, "open", errno);
}

file::~file() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool file::try_lock(std::size_t byte) const {
  struct flock range = byte_range(byte, F_WRLCK);
  return fcntl(descriptor_, F_OFD_SETLK, &range) == 0;
}

void file::unlock(std::size_t byte) const {
  struct flock range = byte_range(byte, F_UNLCK);
  fcntl(descriptor_, F_OFD_SETLK, &range);
}

bool file::locked_by_other(std::size_t byte) const {
  struct flock range = byte_range(byte, F_WRLCK);
  return fcntl(descriptor_, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

void make_durable(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_on(path, "open", errno);
  const int failed = fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  if (failed != 0) fail_on(path, "sync", failed);
}

shared_page::shared_page(const file& from, const std::string& path) {
  struct stat is{};
  if (fstat(from.descriptor(), &is) != 0) fail_on(path, "look at", errno);
  // Reserved, not only extended: a mapped page that the disk has no room for would be a SIGBUS.
  if (is.st_size < static_cast<off_t>(page_bytes)) {
    const int error = posix_fallocate(from.descriptor(), 0, page_bytes);
    if (error != 0) fail_on(path, "reserve a page of", error);
  }
  at_ = mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, from.descriptor(), 0);
  if (at_ == MAP_FAILED) {
    at_ = nullptr;
    fail_on(path, "map", errno);
  }
}

shared_page::~shared_page() {
  if (at_ != nullptr) munmap(at_, page_bytes);
}

}  // namespace fermata::engine::host
