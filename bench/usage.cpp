// SPDX-License-Identifier: Apache-2.0
// Counts what the database asks of the system, by functions that the linker takes before those of
// the C library and of SQLite.
#include "bench/usage.hpp"

#include <dlfcn.h>
#include <libpq-fe.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
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

namespace {

/// The function of that name which this program hides.
template <class Function>
Function* hidden(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
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
// The linker's --wrap: SQLite may be linked as an archive, and then has no library to look for it in.
int __real_sqlite3_reset(sqlite3_stmt* what);
int __wrap_sqlite3_reset(sqlite3_stmt* what) {
  statements.fetch_add(1, std::memory_order_relaxed);
  return __real_sqlite3_reset(what);
}
// As the store sends its statements.
int PQsendQueryPrepared(PGconn* db, const char* name, int count, const char* const* values,
                        const int* lengths, const int* formats, int format) {
  static auto* const real = hidden<decltype(PQsendQueryPrepared)>("PQsendQueryPrepared");
  statements.fetch_add(1, std::memory_order_relaxed);
  return real(db, name, count, values, lengths, formats, format);
}
int PQsendQueryParams(PGconn* db, const char* sql, int count, const Oid* types,
                      const char* const* values, const int* lengths, const int* formats,
                      int format) {
  static auto* const real = hidden<decltype(PQsendQueryParams)>("PQsendQueryParams");
  statements.fetch_add(1, std::memory_order_relaxed);
  return real(db, sql, count, types, values, lengths, formats, format);
}
PGresult* PQexec(PGconn* db, const char* sql) {
  static auto* const real = hidden<decltype(PQexec)>("PQexec");
  statements.fetch_add(1, std::memory_order_relaxed);
  return real(db, sql);
}
}

namespace fermata::bench {

namespace {

double status_mb(const char* name, const std::string& process = "self") {
  std::FILE* file = std::fopen(("/proc/" + process + "/status").c_str(), "r");
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
double resident_mb_of(int process) { return status_mb("VmRSS", std::to_string(process)); }
double peak_mb() { return status_mb("VmHWM"); }

void forget_peak() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

namespace {

struct process_times {
  int parent = 0;
  std::uint64_t own = 0;    // ticks
  std::uint64_t ended = 0;  // of what it began
};

/// The fields of /proc/PID/stat behind the name, which may hold anything.
std::optional<process_times> times_of(const std::string& process) {
  std::ifstream file("/proc/" + process + "/stat");
  std::string all;
  if (!std::getline(file, all)) return std::nullopt;
  std::istringstream rest(all.substr(all.rfind(')') + 1));
  process_times found;
  std::string skipped;
  rest >> skipped >> found.parent;
  for (int i = 0; i < 9; ++i) rest >> skipped;
  std::uint64_t user = 0, kernel = 0, user_of_ended = 0, kernel_of_ended = 0;
  rest >> user >> kernel >> user_of_ended >> kernel_of_ended;
  found.own = user + kernel;
  found.ended = user_of_ended + kernel_of_ended;
  return found;
}

}  // namespace

double cpu_s_of_family(int process) {
  std::uint64_t ticks = 0;
  const auto head = times_of(std::to_string(process));
  if (head) ticks = head->own + head->ended;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto one = times_of(name);
    if (one && one->parent == process) ticks += one->own + one->ended;
  }
  return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::optional<int> server_on_this_machine(int backend) {
  std::ifstream title("/proc/" + std::to_string(backend) + "/cmdline");
  std::string text;
  std::getline(title, text);
  if (!text.starts_with("postgres: ")) return std::nullopt;
  const auto times = times_of(std::to_string(backend));
  return times ? std::optional(times->parent) : std::nullopt;
}

meter::meter(ground& on) : on_(on) { forget_peak(); }

void meter::begin() {
  wrote_before_ = on_.so_far();
  before_ = used_until_now();
}

void meter::end(double runs) {
  const used now = used_until_now();
  const written wrote = on_.so_far();
  sum_.cpu_s += now.cpu_s - before_.cpu_s;
  sum_.syncs += now.syncs - before_.syncs;
  sum_.statements += now.statements - before_.statements;
  sum_.switches += now.switches - before_.switches;
  const auto add = [](std::optional<double>& to, const std::optional<double>& from,
                      const std::optional<double>& until) {
    if (from && until) to = to.value_or(0) + (*until - *from);
  };
  add(wrote_.wal_bytes, wrote_before_.wal_bytes, wrote.wal_bytes);
  add(wrote_.server_cpu_s, wrote_before_.server_cpu_s, wrote.server_cpu_s);
  wrote_.commits += wrote.commits - wrote_before_.commits;
  runs_ += runs;
}

void meter::put(line& to, const std::string& what) const {
  const double n = runs_ > 0 ? runs_ : 1;
  const auto each = [n](auto what) { return static_cast<double>(what) / n; };
  to.put("cpu_s", sum_.cpu_s + wrote_.server_cpu_s.value_or(0))
      .put("cpu_us_per_" + what, each(sum_.cpu_s * 1e6), 1);
  if (wrote_.server_cpu_s) to.put("server_cpu_us_per_" + what, each(*wrote_.server_cpu_s * 1e6), 1);
  to.put("peak_rss_mb", peak_mb(), 1).put("commits_per_" + what, each(wrote_.commits), 3);
  if (sum_.syncs > 0) to.put("fsyncs_per_" + what, each(sum_.syncs));
  if (wrote_.wal_bytes) to.put("wal_bytes_per_" + what, each(*wrote_.wal_bytes), 0);
  to.put("statements_per_" + what, each(sum_.statements), 1)
      .put("switches_per_" + what, each(sum_.switches), 1);
}

}  // namespace fermata::bench
