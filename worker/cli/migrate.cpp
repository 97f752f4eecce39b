// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/schema.hpp"
#include "engine/store/sqlite/schema.hpp"
#include "engine/store/status.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

bool is_postgres(const session& s) { return engine::postgres::is_postgres_address(s.address()); }

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
  const std::optional<int> now = version_of(s.address());
  if (is_postgres(s)) {
    const engine::postgres::address where = engine::postgres::parse_address(s.address());
    if (now == engine::postgres::schema_version)
      s.out() << fmt::format("-- nothing to do: the journal has schema {}\n", *now);
    else
      s.out() << engine::postgres::migration_sql(where, now.value_or(1));
    return done;
  }
  if (!s.address().starts_with("sqlite:"))
    throw refusal(codes::bad_address, "a journal in memory has no layout to print");
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

using role_writer = std::string (*)(const engine::postgres::address&, std::string_view);

int print_role(session& s, role_writer sql, const std::string& role) {
  if (!is_postgres(s))
    throw refusal(codes::bad_address, "only a journal on Postgres has roles; this one is a file");
  s.out() << sql(engine::postgres::parse_address(s.address()), role);
  return done;
}

}  // namespace

action declare_migrate(CLI::App& flags) {
  const auto print = std::make_shared<bool>(false);
  flags.add_flag("--print", *print, "print the SQL that it would run, and change nothing");
  const auto role = std::make_shared<std::string>();
  flags
      .add_option("--print-role", *role,
                  "print the SQL that lets this role work on a Postgres journal, and no more")
      ->expected(0, 1)
      ->default_str("fermata_worker")
      ->type_name("ROLE");
  const auto caller = std::make_shared<std::string>();
  flags
      .add_option("--print-caller-role", *caller,
                  "print the SQL that lets this role start runs and send signals in its own "
                  "transactions, and no more")
      ->expected(0, 1)
      ->default_str("fermata_caller")
      ->type_name("ROLE");
  return [print, role, caller, &flags](session& s) -> int {
    if (flags.count("--print-role") != 0)
      return print_role(s, engine::postgres::role_sql, role->empty() ? "fermata_worker" : *role);
    if (flags.count("--print-caller-role") != 0)
      return print_role(s, engine::postgres::caller_sql,
                        caller->empty() ? "fermata_caller" : *caller);
    if (*print) return print_scripts(s);
    const std::optional<int> before =
        s.address().starts_with("memory:") ? std::optional<int>(1) : version_of(s.address());
    const bool was_old = !before;
    const engine::store_info info = must(s.store().info());
    if (s.as_json()) {
      boost::json::object out = document("migration");
      out["journal"] = info.address;
      out["schema_version"] = info.schema_version;
      out["migrated"] = was_old;
      s.print(out);
    } else {
      s.out() << fmt::format("{} has schema {}: {}\n", info.address, info.schema_version,
                             before == 0             ? "made just now"
                             : !was_old              ? "it was up to date"
                             : info.kind == "sqlite" ? "brought up to date, with a backup beside it"
                                                     : "brought up to date");
    }
    return done;
  };
}

}  // namespace fermata::cli
