// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/status.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

/// The layout of a journal that is looked at without touching it; empty when it is older than ours
/// and so can't be read, 0 when there is none.
std::optional<int> version_of(const std::string& address) {
  engine::open_options looking;
  looking.create = false;
  looking.read_only = true;
  const auto opened = engine::open_store(address, looking);
  if (absl::IsNotFound(opened.status())) return 0;
  if (!opened.ok() && engine::fer_code_of(opened.status()) == codes::needs_migration.code)
    return std::nullopt;
  check(opened.status());
  return must((*opened)->info()).schema_version;
}

int print_scripts(session& s) {
  if (!s.address().starts_with("sqlite:"))
    throw refusal(codes::bad_address, "only a sqlite: journal has a layout to print");
  const std::optional<int> now = version_of(s.address());
  std::int64_t printed = 0;
  for (const engine::sqlite::migration& one : engine::sqlite::migrations()) {
    if (now && one.version <= *now) continue;
    s.out() << "-- schema " << one.version << '\n';
    for (const char* script : one.scripts) s.out() << script << '\n';
    ++printed;
  }
  if (printed == 0) s.out() << fmt::format("-- nothing to do: the journal has schema {}\n", *now);
  return done;
}

}  // namespace

action declare_migrate(CLI::App& flags) {
  const auto print = std::make_shared<bool>(false);
  flags.add_flag("--print", *print, "print the SQL that it would run, and change nothing");
  return [print](session& s) -> int {
    if (*print) return print_scripts(s);
    const bool was_old = s.address().starts_with("sqlite:") && !version_of(s.address());
    const engine::store_info info = must(s.store().info());
    if (s.as_json()) {
      boost::json::object out = document("migration");
      out["journal"] = info.address;
      out["schema_version"] = info.schema_version;
      out["migrated"] = was_old;
      s.print(out);
    } else {
      s.out() << fmt::format(
          "{} has schema {}: {}\n", info.address, info.schema_version,
          was_old ? "brought up to date, with a backup beside it" : "it was up to date");
    }
    return done;
  };
}

}  // namespace fermata::cli
