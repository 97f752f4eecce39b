// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/interleavings/ground.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fermata::interleavings {
namespace {

thread_local gate* mine = nullptr;

/// Within a write transaction there is nobody else, and what was read before it is what matters: so the
/// steps are what begins and what has ended outside of one, and its end.
int on_statement(unsigned what, void* at, void* statement, void* text) {
  if (mine == nullptr) return 0;
  const bool outside = sqlite3_get_autocommit(static_cast<sqlite3*>(at)) != 0;
  const auto* sql = static_cast<const char*>(text);
  const bool commits = what == SQLITE_TRACE_STMT && std::string_view(sql).substr(0, 6) == "COMMIT";
  if (statement != nullptr && (outside || commits)) mine->step();
  return 0;
}

int watch(sqlite3* db, char**, const sqlite3_api_routines*) {
  return sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, on_statement, db);
}

/// Where a sync costs nothing, if there is room.
std::filesystem::path quick_folder() {
  std::error_code none;
  const auto room = std::filesystem::space("/dev/shm", none);
  return !none && room.available > 500'000'000 ? "/dev/shm"
                                               : std::filesystem::temp_directory_path();
}

class sqlite_ground final : public ground {
 public:
  sqlite_ground() {
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch));
    std::string pattern = quick_folder() / "fermata-interleavings-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
    folder_ = pattern;
  }
  ~sqlite_ground() override {
    stores = {};
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::shared_ptr<engine::store> fresh() override {
    for (auto& one : stores) one = reopen();
    return reopen();
  }
  std::shared_ptr<engine::store> reopen() override {
    auto opened = engine::open_store("sqlite:" + (folder_ / "journal.db").string(), both());
    if (!opened.ok()) throw std::runtime_error(std::string(opened.status().message()));
    return *opened;
  }
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t) override { handle.reset(); }

  void enter(int whose) override {
    mine = &gates[static_cast<std::size_t>(whose)];
    threads_[static_cast<std::size_t>(whose)] = static_cast<pid_t>(::syscall(SYS_gettid));
  }
  /// It sleeps, and hasn't come any further: a wrong guess only makes another order.
  bool waits_for_other(int whose) override {
    const gate& at = gates[static_cast<std::size_t>(whose)];
    const int before = at.steps();
    const pid_t thread = threads_[static_cast<std::size_t>(whose)];
    if (thread == 0 || !sleeps(thread)) return false;
    return sleeps(thread) && at.steps() == before;
  }
  bool is_concurrent_within_worker() const override { return false; }
  std::string_view name() const override { return "sqlite"; }

 private:
  static bool sleeps(pid_t thread) {
    // Not by a stream, which throws when the thread ends between its opening and its reading.
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
    const int stat = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (stat < 0) return false;
    std::array<char, 512> got;
    const ssize_t length = ::read(stat, got.data(), got.size());
    ::close(stat);
    const std::string_view text(got.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::size_t name_ends = text.rfind(')');
    return name_ends != std::string::npos && text.substr(name_ends).starts_with(") S");
  }

  std::filesystem::path folder_;
  std::array<std::atomic<pid_t>, 2> threads_{};
};

}  // namespace
}  // namespace fermata::interleavings

namespace fermata::conformance {
std::unique_ptr<store_factory> make_factory() {
  return std::make_unique<interleavings::sqlite_ground>();
}
}  // namespace fermata::conformance
