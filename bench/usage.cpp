// SPDX-License-Identifier: Apache-2.0
// Counts what the database asks of the system, by functions that the linker takes before those of
// the C library and of SQLite.
#include "bench/usage.hpp"

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

std::atomic<std::uint64_t> syncs{0}, wal_bytes{0}, statements{0};

enum : signed char { unknown = 0, log_file = 1, other_file = 2 };
std::array<std::atomic<signed char>, 1024> kinds{};  // by descriptor

bool is_log(int file) {
  if (file < 0 || static_cast<std::size_t>(file) >= kinds.size()) return false;
  auto& kind = kinds[static_cast<std::size_t>(file)];
  if (kind.load(std::memory_order_relaxed) == unknown) {
    char link[64];
    char target[4096];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t size = ::readlink(link, target, sizeof target);
    const std::string_view name(target, size > 0 ? static_cast<std::size_t>(size) : 0);
    kind.store(name.ends_with("-wal") ? log_file : other_file, std::memory_order_relaxed);
  }
  return kind.load(std::memory_order_relaxed) == log_file;
}

}  // namespace

struct sqlite3_stmt;
extern "C" {
int fsync(int file) {
  syncs.fetch_add(1, std::memory_order_relaxed);
  return static_cast<int>(::syscall(SYS_fsync, file));
}
int fdatasync(int file) {
  syncs.fetch_add(1, std::memory_order_relaxed);
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
  if (is_log(file)) wal_bytes.fetch_add(size, std::memory_order_relaxed);
  return ::syscall(SYS_pwrite64, file, bytes, size, at);
}
int sqlite3_reset(sqlite3_stmt* what) {
  using function = int (*)(sqlite3_stmt*);
  static const auto real = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "sqlite3_reset"));
  statements.fetch_add(1, std::memory_order_relaxed);
  return real(what);
}
}

namespace fermata::bench {

namespace {

double status_mb(const char* name) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char text[256];
  double kb = 0;
  while (std::fgets(text, sizeof text, file) != nullptr)
    if (std::strncmp(text, name, std::strlen(name)) == 0)
      std::sscanf(text + std::strlen(name), ":%lf", &kb);
  std::fclose(file);
  return kb / 1024;
}

}  // namespace

used used_until_now() {
  for (auto& kind : kinds) kind.store(unknown);  // descriptors may name other files by now
  rusage all{};
  ::getrusage(RUSAGE_SELF, &all);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return {.cpu_s = seconds(all.ru_utime) + seconds(all.ru_stime),
          .syncs = syncs.load(),
          .wal_bytes = wal_bytes.load(),
          .statements = statements.load(),
          .switches = static_cast<std::uint64_t>(all.ru_nvcsw)};
}

double resident_mb() { return status_mb("VmRSS"); }
double peak_mb() { return status_mb("VmHWM"); }

void forget_peak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

meter::meter() {
  forget_peak();
  before_ = used_until_now();
}

void meter::put(line& to, double runs) const {
  const used after = used_until_now();
  const double n = runs > 0 ? runs : 1;
  const auto each = [n](std::uint64_t now, std::uint64_t before) {
    return static_cast<double>(now - before) / n;
  };
  to.put("cpu_s", after.cpu_s - before_.cpu_s)
      .put("cpu_us_per_run", (after.cpu_s - before_.cpu_s) * 1e6 / n, 1)
      .put("peak_rss_mb", peak_mb(), 1)
      .put("fsyncs_per_run", each(after.syncs, before_.syncs))
      .put("wal_bytes_per_run", each(after.wal_bytes, before_.wal_bytes), 0)
      .put("statements_per_run", each(after.statements, before_.statements), 1)
      .put("switches_per_run", each(after.switches, before_.switches), 1);
}

}  // namespace fermata::bench
