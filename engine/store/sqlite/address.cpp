// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/address.hpp"

#include "engine/store/sqlite/errors.hpp"

#include <fmt/format.h>

#include <sys/vfs.h>

#include <array>
#include <filesystem>

namespace fermata::engine::sqlite {

namespace {

constexpr std::string_view scheme = "sqlite:";
constexpr std::string_view weak_option = "durability=weak_normal";
constexpr std::string_view full_option = "durability=full";

struct network {
  std::int64_t magic;
  const char* name;
};

// From linux/magic.h and statfs(2). A FUSE mount may be local or not; nobody can tell from here, and
// its locks are seldom right.
constexpr std::array<network, 12> networks{{{0x6969, "NFS"},
                                            {0x517b, "SMB"},
                                            {0xff534d42, "CIFS"},
                                            {0xfe534d42, "SMB2"},
                                            {0x65735546, "FUSE (sshfs and others)"},
                                            {0x01021997, "9p"},
                                            {0x5346414f, "AFS"},
                                            {0x6b414653, "AFS"},
                                            {0x00c36400, "Ceph"},
                                            {0x73757245, "Coda"},
                                            {0x564c, "NCP"},
                                            {0x0bd00bd0, "Lustre"}}};

[[noreturn]] void bad_address(std::string_view text, std::string_view why) {
  fail(absl::StatusCode::kInvalidArgument, "FER-2001",
       fmt::format("'{}' isn't the address of a journal: {}; write sqlite:FILE or "
                   "sqlite:FILE?durability=weak_normal",
                   text, why));
}

}  // namespace

address parse_address(std::string_view text) {
  address found{.text = std::string(text)};
  if (!text.starts_with(scheme)) bad_address(text, "it doesn't begin with sqlite:");
  std::string_view rest = text.substr(scheme.size());
  if (const std::size_t at = rest.rfind('?'); at != std::string_view::npos) {
    const std::string_view option = rest.substr(at + 1);
    if (option == weak_option) {
      found.durability = durability::weak_normal;
    } else if (option != full_option) {
      bad_address(text, fmt::format("'{}' is no option", option));
    }
    rest = rest.substr(0, at);
  }
  if (rest.empty()) bad_address(text, "the file's name is missing");
  if (rest == ":memory:") bad_address(text, "a journal in memory is memory:");
  if (rest.find('\0') != std::string_view::npos)
    bad_address(text, "a file's name has no zero byte");
  // Whoever names the journal by another way, a link or another folder, must find the same lock
  // file; and connections are opened later, wherever the program stands then.
  std::error_code error;
  const std::filesystem::path real = std::filesystem::weakly_canonical(rest, error);
  found.path = error ? std::string(rest) : real.string();
  return found;
}

std::int64_t real_file_system_of(const std::string& path) {
  struct statfs is{};
  if (statfs(path.c_str(), &is) != 0) return 0;
  return static_cast<std::int64_t>(static_cast<std::uint32_t>(is.f_type));
}

void refuse_network(const address& where, const file_system_of& ask) {
  namespace fs = std::filesystem;
  std::error_code error;
  // By path: opening and closing the database's file would drop SQLite's locks of this process.
  const fs::path file = where.path;
  const fs::path looked = fs::exists(file, error)
                              ? file
                              : (file.has_parent_path() ? file.parent_path() : fs::path("."));
  const std::int64_t magic = ask(looked.string());
  for (const network& one : networks) {
    if (magic != one.magic) continue;
    fail(absl::StatusCode::kFailedPrecondition, "FER-2004",
         fmt::format("{} lies on a network file system ({}): its locks don't keep two processes "
                     "apart, and the journal would be damaged; put it on a local disk, or use "
                     "postgres:// for several hosts",
                     where.path, one.name));
  }
}

}  // namespace fermata::engine::sqlite
