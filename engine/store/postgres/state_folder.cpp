// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/state_folder.hpp"

#include "engine/event/checks.hpp"
#include "engine/event/ids.hpp"
#include "engine/ports/real.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>

namespace fermata::engine::postgres {

namespace {

namespace fs = std::filesystem;

fs::path base() {
  const auto set = [](const char* name) -> fs::path {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : "";
  };
  if (const fs::path given = set("FERMATA_STATE"); !given.empty()) return given;
  if (const fs::path state = set("XDG_STATE_HOME"); !state.empty()) return state / "fermata";
  if (const fs::path home = set("HOME"); !home.empty() && ::access(home.c_str(), W_OK) == 0)
    return home / ".local" / "state" / "fermata";
  return fs::temp_directory_path() / fmt::format("fermata-{}", ::getuid());
}

/// A number by chance, made once: two hosts with the same path must not believe each other's locks.
std::string id_in(const fs::path& folder) {
  const fs::path file = folder / "id";
  const auto read = [&] {
    std::ifstream in(file);
    std::string id;
    in >> id;
    return id;
  };
  if (std::string id = read(); !id.empty()) return id;
  real_random chance;
  const fs::path made = folder / fmt::format("id-{}-{:x}", ::getpid(), chance.next64());
  {
    std::ofstream out(made);
    out << fmt::format("{:016x}{:016x}\n", chance.next64(), chance.next64());
  }
  std::error_code error;
  fs::create_hard_link(made, file, error);  // whoever is first has named it
  fs::remove(made, error);
  return read();
}

}  // namespace

seen_timeline timeline_seen(const address& where, const identity& of) {
  const auto digest = sha256(where.text);
  std::uint64_t short_name = 0;
  for (std::size_t i = 0; i < sizeof short_name; ++i)
    short_name = short_name << 8 | static_cast<unsigned char>(digest[i]);
  const fs::path file = base() / fmt::format("{}-{:016x}.timeline", of.system, short_name);
  std::ifstream in(file);
  seen_timeline seen{.file = file.string()};
  in >> seen.timeline;
  return seen;
}

void remember_timeline(const address& where, const identity& of) noexcept {
  try {
    const seen_timeline seen = timeline_seen(where, of);
    if (of.timeline <= seen.timeline) return;
    std::error_code error;
    fs::create_directories(base(), error);
    real_random chance;
    const std::string made = fmt::format("{}.{:x}", seen.file, chance.next64());
    {
      std::ofstream out(made);
      out << of.timeline << '\n' << where.text << '\n';
      if (!out.flush()) return;
    }
    fs::rename(made, seen.file, error);
  } catch (const std::exception&) {
    // It is a help, not a promise.
  }
}

state_folder open_state_folder(const identity& of, std::string_view schema) {
  const fs::path folder = base() / fmt::format("{}-{}-{}", of.system, of.database, schema);
  std::error_code error;
  fs::create_directories(folder, error);
  ::chmod(folder.c_str(), 0700);
  std::string id = error ? std::string() : id_in(folder);
  if (id.empty())
    fail(absl::StatusCode::kFailedPrecondition, "FER-2109",
         fmt::format("{} can't be written: workers keep their locks and crash notes there; set "
                     "FERMATA_STATE to a folder of their own",
                     folder.string()));
  return {.path = folder.string(), .id = std::move(id)};
}

}  // namespace fermata::engine::postgres
