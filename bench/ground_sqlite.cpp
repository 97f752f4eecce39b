// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_sqlite.hpp"
#include "bench/bench.hpp"
#include "bench/ground.hpp"
#include "bench/raw_sqlite.hpp"
#include "bench/usage.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace fermata::bench {

namespace {

class sqlite_ground : public ground {
 public:
  sqlite_ground(const std::string& folder, std::string_view name)
      : path_(folder + '/' + std::string(name) + ".db"),
        probes_(folder + "/probe/" + std::string(name)) {
    remove_journal(path_);
  }
  ~sqlite_ground() override {
    remove_journal(path_);
    remove_journal(probes_);
  }

  std::string address() const override { return "sqlite:" + path_; }

  /// The third number of the file through which processes wake each other. The log's bytes are those
  /// that this process has written.
  written so_far() override {
    std::uint32_t count = 0;
    const int file = ::open((path_ + "-wake").c_str(), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
      if (::pread(file, &count, sizeof count, 8) != sizeof count) count = 0;
      ::close(file);
    }
    return {.commits = count,
            .wal_bytes = static_cast<double>(used_until_now().wal_bytes),
            .server_cpu_s = {}};
  }

  std::int64_t number(const std::string& sql) override {
    sqlite3* db = nullptr;
    sqlite3_stmt* asked = nullptr;
    if (sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 10'000) != SQLITE_OK ||
        sqlite3_prepare_v2(db, sql.c_str(), -1, &asked, nullptr) != SQLITE_OK ||
        sqlite3_step(asked) != SQLITE_ROW) {
      std::fprintf(stderr, "fermata-bench: %s: %s\n", path_.c_str(), sqlite3_errmsg(db));
      std::exit(1);
    }
    const std::int64_t found = sqlite3_column_int64(asked, 0);
    sqlite3_finalize(asked);
    sqlite3_close(db);
    return found;
  }

  /// With the pages that so far are in the log alone; the log itself, which keeps its length, isn't counted.
  double stored_bytes() override {
    return static_cast<double>(
        number("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"));
  }

  std::unique_ptr<raw_commits> commits() override { return sqlite_commits(probes_ + "-c.db"); }
  double workflows(int in_flight, double seconds, int events) override {
    return raw_workflows(probes_ + "-w.db", in_flight, seconds, events);
  }
  std::unique_ptr<bare_rows> bare(int runs, std::size_t payload_bytes) override {
    return bare_sqlite(probes_ + "-b.db", runs, payload_bytes);
  }

 private:
  const std::string path_, probes_;
};

}  // namespace

std::unique_ptr<ground> make_sqlite_ground(const std::string& folder, std::string_view name) {
  return std::make_unique<sqlite_ground>(folder, name);
}

std::unique_ptr<ground> make_ground(const settings& how, std::string_view name) {
  return how.on == store_kind::sqlite ? make_sqlite_ground(how.folder, name)
                                      : make_postgres_ground(how.postgres, name);
}

void remove_journal(const std::string& path) {
  const std::filesystem::path file(path);
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path()))
    if (entry.path().filename().string().starts_with(file.filename().string()))
      std::filesystem::remove(entry.path());
}

}  // namespace fermata::bench
