// SPDX-License-Identifier: Apache-2.0
// A copy of the journal beside its running writers. What was at its place stays until the copy is safe.
#include "engine/store/sqlite/journal_file.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/status.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace fermata::engine {

namespace {

using sqlite::connection;
using sqlite::fail;

namespace fs = std::filesystem;

/// By the bytes of its header (SQLite's file format, 1.3): opening it would make files beside it.
bool is_journal(const std::string& path) {
  constexpr std::size_t id_at = 68;
  std::array<char, 72> header{};
  std::ifstream in(path, std::ios::binary);
  if (!in.read(header.data(), header.size())) return false;
  std::uint32_t id = 0;
  for (std::size_t i = 0; i < 4; ++i) id = id << 8 | static_cast<unsigned char>(header[id_at + i]);
  return std::string_view(header.data(), 15) == "SQLite format 3" &&
         id == static_cast<std::uint32_t>(sqlite::application_id);
}

void check_replaceable(const std::string& path, const std::string& journal) {
  std::error_code error;
  if (fs::equivalent(path, journal, error))
    fail(absl::StatusCode::kInvalidArgument, "FER-2104",
         fmt::format("{} is the journal itself; name another file", path));
  if (fs::is_directory(path, error) || (fs::file_size(path, error) != 0 && !is_journal(path)))
    fail(
        absl::StatusCode::kFailedPrecondition, "FER-2002",
        fmt::format("{} isn't a journal of Fermata, so it is left alone; name another file", path));
  if (fs::exists(path + "-workers", error) && host::worker_slots(path).any_held())
    fail(absl::StatusCode::kFailedPrecondition, "FER-2104",
         fmt::format("{} is a journal that a worker uses; name another file", path));
}

/// What lies in the old file's log goes into the file: a log that is left behind would be taken for
/// the new file's, and a file without its log is no backup any more.
void close_log(const std::string& path) {
  try {
    connection old(path, {});
    (void)old.pragma("PRAGMA journal_mode = DELETE");
  } catch (const store_failure& failed) {
    if (fer_code_of(failed.status) == "FER-2102")
      fail(absl::StatusCode::kUnavailable, "FER-2104",
           fmt::format("{} is open elsewhere; end that program, or name another file", path));
    // It is damaged: nothing of it can be kept.
  }
  std::error_code gone;
  for (const char* beside : {"-wal", "-shm"}) fs::remove(path + beside, gone);
}

std::string folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : std::string(".");
}

void copy_to(connection& db, const std::string& path, const std::string& half, bool replaces) {
  std::error_code error;
  db.sql("VACUUM INTO ?1").with(half).run();
  host::make_durable(half);
  if (replaces) close_log(path);
  fs::rename(half, path, error);
  if (error)
    fail(absl::StatusCode::kUnavailable, "FER-2104",
         fmt::format("the backup couldn't be named {}: {}", path, error.message()));
  host::make_durable(folder_of(path));
}

}  // namespace

absl::Status sqlite_store::backup(const std::string& path, bool replace) const {
  return guarded<absl::Status>([&]() -> absl::Status {
    std::error_code error;
    const bool there = fs::exists(path, error);
    if (there && !replace)
      return coded(absl::StatusCode::kAlreadyExists, "FER-2104",
                   fmt::format("{} exists already; name a file that doesn't", path));
    if (there) check_replaceable(path, file_->where.path);
    // One read transaction: a consistent copy beside running writers, compact, without a WAL.
    connection db(file_->where.path, {.read_only = false});
    const std::string half = path + ".part";
    fs::remove(half, error);
    try {
      copy_to(db, path, half, there);
    } catch (const store_failure&) {
      fs::remove(half, error);
      throw;
    }
    return absl::OkStatus();
  });
}

}  // namespace fermata::engine
