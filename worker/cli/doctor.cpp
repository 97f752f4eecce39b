// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/doctor.hpp"

#include "engine/limits.hpp"
#include "engine/store/sqlite/lock.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/queues.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <ostream>

namespace fermata::cli {

namespace fs = std::filesystem;

namespace {

using checkups = std::vector<checkup>;

/// "sqlite:orders.db?durability=normal" as "orders.db".
std::string path_of(const std::string& address) {
  if (!address.starts_with("sqlite:")) return {};
  return address.substr(
      7, address.find('?') == std::string::npos ? std::string::npos : address.find('?') - 7);
}

std::string one_value(session& s, const std::string& statement) {
  std::string value;
  int row = 0;
  (void)s.store().query(statement, engine::payloads::hidden,
                        [&](const std::vector<engine::sql_value>& values) {
                          if (row++ == 1 && !values.empty()) value = values.front().text;
                          return row < 3;
                        });
  return value;
}

void check_disk(checkups& all, const std::string& path) {
  std::error_code problem;
  const fs::path folder = fs::absolute(path, problem).parent_path();
  if (const std::string bad = bad_file_system(folder.string()); !bad.empty())
    all.push_back({"file system", bad == "FUSE" ? verdict::warning : verdict::bad,
                   bad + ": locks can't be trusted there; move the journal to a local disk"});
  else
    all.push_back({"file system", verdict::well, "a local one"});
  const fs::space_info room = fs::space(folder, problem);
  if (problem) return;
  constexpr std::uintmax_t little = 1ULL << 30;
  const auto free = static_cast<std::int64_t>(room.available);
  const std::string text = bytes_text(free) + " free";
  if (room.available < little / 10)
    all.push_back({"disk room", verdict::bad, text + ": starts will be refused soon; make room"});
  else if (room.available < little)
    all.push_back({"disk room", verdict::warning, text + ": make room before it runs out"});
  else
    all.push_back({"disk room", verdict::well, text});
  if (access(path.c_str(), W_OK) != 0)
    all.push_back({"permissions", verdict::warning, "this user can't write to the journal"});
}

void check_locks(checkups& all, const std::string& path) {
  const std::string lock = path + "-lock";
  std::error_code none;
  if (!fs::exists(lock, none)) {
    all.push_back({"write lock", verdict::well, "no lock file yet"});
    return;
  }
  const std::vector<opener> openers = openers_of(path);
  for (const opener& one : openers)
    if (one.state == 'T' || one.state == 't')
      all.push_back(
          {"processes", verdict::warning,
           fmt::format("process {} ({}) is stopped and may hold a lock: kill -CONT {}, or end it",
                       one.pid, clean(one.name), one.pid)});
  if (!is_locked(lock)) {
    all.push_back({"write lock", verdict::well, "free"});
    return;
  }
  try {
    const engine::sqlite::lock_file file(path);
    all.push_back({"write lock", verdict::well, "held now by " + file.holder()});
  } catch (const std::exception&) {
    all.push_back({"write lock", verdict::well, "held now"});
  } catch (...) {
    all.push_back({"write lock", verdict::warning, "held, and its file can't be read"});
  }
}

void check_log(checkups& all, const engine::store_info& info, const std::vector<opener>& openers) {
  const std::string size = bytes_text(info.wal_bytes);
  if (info.wal_bytes <= static_cast<std::int64_t>(engine::limits::wal_warning)) {
    all.push_back({"write-ahead log", verdict::well, size});
    return;
  }
  std::vector<std::string> names;
  for (const opener& one : openers)
    names.push_back(fmt::format("{} ({})", one.pid, clean(one.name)));
  all.push_back({"write-ahead log", verdict::warning,
                 fmt::format("{}: a long reader keeps checkpoints from emptying it. {}", size,
                             names.empty() ? "No process of this user has it open now"
                                           : "Processes that have it open: " + join(names, ", "))});
}

/// 3.40.1 as 3040001.
int sqlite_number(const std::string& version) {
  int parts[3] = {0, 0, 0};
  std::sscanf(version.c_str(), "%d.%d.%d", &parts[0], &parts[1], &parts[2]);
  return parts[0] * 1'000'000 + parts[1] * 1'000 + parts[2];
}

void check_sqlite(checkups& all, session& s, const std::vector<opener>& openers) {
  constexpr int mended = 3'051'003;
  const std::string version = one_value(s, "select sqlite_version() as version");
  if (version.empty()) return;
  std::vector<std::string> foreign;
  for (const opener& one : openers)
    if (!one.locks) foreign.push_back(fmt::format("{} ({})", one.pid, clean(one.name)));
  if (sqlite_number(version) >= mended)
    all.push_back({"SQLite", verdict::well, version});
  else if (foreign.empty())
    all.push_back({"SQLite", verdict::well,
                   version +
                       ", which has the WAL-reset bug (mended in 3.51.3); our processes avoid "
                       "it by their lock, and no foreign one has the journal open"});
  else
    all.push_back(
        {"SQLite", verdict::bad,
         fmt::format("{} has the WAL-reset bug, and processes that don't take our lock have "
                     "the journal open: {}. If one of them writes, data may be lost: close "
                     "it, or write through fermata::sqlite_transaction",
                     version, join(foreign, ", "))});
}

void check_clock(checkups& all, session& s) {
  const std::string newest = one_value(
      s,
      "select cast(strftime('%s', max(at)) as text) as newest from fermata_events where lsn > "
      "(select max(lsn) - 1000 from fermata_events)");
  const std::string now = one_value(s, "select strftime('%s', 'now') as now");
  if (newest.empty() || now.empty()) return;
  const std::int64_t ahead =
      std::strtoll(newest.c_str(), nullptr, 10) - std::strtoll(now.c_str(), nullptr, 10);
  if (ahead > engine::limits::clock_warning_ms / 1'000)
    all.push_back(
        {"clock", verdict::warning,
         fmt::format("the newest event is {} ahead of this host's clock, so timers wait for "
                     "it; set the clock right",
                     coarse_text(ahead * 1'000'000))});
  else
    all.push_back({"clock", verdict::well, "not behind the newest event"});
}

void check_workers(checkups& all, session& s) {
  std::int64_t alive = 0;
  const std::int64_t boot_now = s.store().boot_now();
  std::map<std::string, int> builds;
  for (const engine::worker_row& worker : must(s.store().workers())) {
    if (worker.gone) continue;
    const std::string text =
        fmt::format("{} (process {} on {})", worker.id.text(), worker.pid, clean(worker.host));
    if (worker.dead) {
      if (worker.owned > 0 || worker.tasks > 0)
        all.push_back(
            {"workers", verdict::warning,
             fmt::format("{} is dead and {} not taken over yet", text,
                         worker.owned > 0 ? count_of(worker.owned, "run is", "runs are")
                                          : count_of(worker.tasks, "step is", "steps are"))});
      continue;
    }
    if ((worker.owned > 0 || worker.tasks > 0) && worker.lease_until != 0 &&
        worker.lease_until < boot_now) {
      all.push_back({"workers", verdict::warning,
                     fmt::format("{} stopped renewing {} ago: is it frozen?", text,
                                 span_text(boot_now - worker.lease_until))});
      continue;
    }
    ++alive;
    ++builds[worker.build];
  }
  all.push_back(
      {"workers", verdict::well,
       alive == 0
           ? "none is alive"
           : fmt::format("{} alive{}", alive,
                         builds.size() > 1 ? fmt::format(", of {} builds", builds.size()) : "")});
}

/// Workers make them ahead; they can't while a long transaction reads events, or where an owner took that
/// right away.
void check_partitions(checkups& all, session& s) {
  const std::string missing = one_value(
      s,
      "select string_agg(m, ', ' order by m) from (select to_char(date_trunc('month', "
      "clock_timestamp() at time zone 'UTC') + make_interval(months => i), 'YYYY_MM') as m "
      "from generate_series(0, 1) i) w where to_regclass(quote_ident(current_schema()) || '.event' "
      "|| "
      "'s_' || m) is null");
  if (missing.empty() || missing == "NULL")
    all.push_back({"partitions", verdict::well, "this month and the next have theirs"});
  else
    all.push_back(
        {"partitions", verdict::warning,
         missing + " has none, its events lie with the rest: a worker makes it within the hour, or "
                   "the owner by select add_partitions(3)"});
}

void check_postgres(checkups& all, session& s) {
  all.push_back({"server", verdict::well,
                 "PostgreSQL " + one_value(s, "select current_setting('server_version')")});
  const std::string waiting = one_value(
      s,
      "select string_agg(format('%s (%s, pid %s, for %s s)', usename, coalesce(nullif("
      "application_name, ''), 'no name'), pid, extract(epoch from clock_timestamp() - "
      "xact_start)::int8), ', ' order by xact_start) from pg_stat_activity where xact_start < "
      "clock_timestamp() - interval '1 minute' and datname = current_database()");
  if (waiting.empty() || waiting == "NULL")
    all.push_back({"old transactions", verdict::well, "none is older than a minute"});
  else
    all.push_back(
        {"old transactions", verdict::warning,
         clean(waiting) + ": what was deleted since can't be cleaned up, and tables grow"});
  const std::string used =
      one_value(s,
                "select format('%s of %s', count(*), current_setting('max_connections')) from "
                "pg_stat_activity where backend_type = 'client backend'");
  const std::string nearly = one_value(
      s,
      "select count(*) > current_setting('max_connections')::int8 * 0.9 from pg_stat_activity "
      "where backend_type = 'client backend'");
  all.push_back(
      {"connections", nearly == "t" ? verdict::warning : verdict::well,
       used + (nearly == "t" ? ": raise max_connections, or put a pgbouncer before it" : "")});
  check_partitions(all, s);
  const std::string replicas = one_value(
      s,
      "select string_agg(format('%s %s, %s', application_name, state, sync_state), '; ') from "
      "pg_stat_replication");
  if (!replicas.empty() && replicas != "NULL")
    all.push_back({"replicas", verdict::well,
                   clean(replicas) +
                       (replicas.find("sync") != std::string::npos &&
                                replicas.find("async") == std::string::npos
                            ? ""
                            : "; what an asynchronous one hasn't got is lost with the primary")});
}

void check_queues(checkups& all, session& s) {
  const std::vector<engine::queued_step> queued = must(s.store().queued_steps(s.ns()));
  const std::vector<std::string> bad =
      stranded(s, queued, must(s.store().workers()), must(s.store().serving()));
  for (const std::string& one : bad)
    all.push_back(
        {"queues", verdict::warning, one + ": start one with --queue, or cancel the run"});
  if (!bad.empty()) return;
  std::int64_t waiting = 0;
  std::int64_t executing = 0;
  for (const engine::queued_step& one : queued) {
    waiting += one.waiting;
    executing += one.executing;
  }
  all.push_back({"queues", verdict::well,
                 queued.empty() ? "no step waits in one"
                                : fmt::format("{} waiting, {} executing, somebody serves each",
                                              count_of(waiting, "step"), executing)});
}

checkups examine(session& s) {
  checkups all;
  const std::string path = path_of(s.address());
  std::error_code none;
  if (!path.empty() && fs::exists(path, none)) {
    check_disk(all, path);
    check_locks(all, path);
  }
  engine::store_info info;
  try {
    info = must(s.store().info());
  } catch (const error& problem) {
    all.push_back({"journal", verdict::bad, sentence_of(problem)});
    if (!path.empty() && !fs::exists(path, none)) throw;
    return all;
  }
  all.push_back(
      {"journal", verdict::well,
       fmt::format("schema {}, format {}, written by {}, {}", info.schema_version,
                   info.format_level, clean(info.written_by), bytes_text(info.file_bytes))});
  all.push_back(
      {"durability",
       info.durability == "full" || info.kind == "memory" ? verdict::well : verdict::warning,
       info.durability == "full" ? "full: every success answer is on the disk"
       : info.kind == "memory"   ? "none: it is in memory"
                                 : info.durability + ": a power cut may take the last commits"});
  if (!path.empty()) {
    const std::vector<opener> openers = openers_of(path);
    check_log(all, info, openers);
    check_sqlite(all, s, openers);
    check_clock(all, s);
  }
  if (info.kind == "postgres") check_postgres(all, s);
  check_workers(all, s);
  check_queues(all, s);
  return all;
}

constexpr std::string_view verdict_text(verdict how) {
  return how == verdict::well ? "well" : how == verdict::warning ? "warning" : "bad";
}

void print_table(session& s, const checkups& all) {
  table t = s.make_table({{"", false, 7}, {"LOOKED AT", false, 9}, {"FOUND", false, 24, true}});
  const std::size_t room = s.width() == 0 ? 10'000 : s.width() > 60 ? s.width() - 29 : 40;
  for (const checkup& one : all)
    t.add({{one.how == verdict::well      ? "✓"
            : one.how == verdict::warning ? "! warning"
                                          : "✗ bad",
            one.how == verdict::well      ? tint::green
            : one.how == verdict::warning ? tint::yellow
                                          : tint::red},
           {one.what},
           {join(wrapped(one.sentence, room), "\n")}});
  t.print(s.out());
}

}  // namespace

action declare_doctor(CLI::App&) {
  return [](session& s) -> int {
    const checkups all = examine(s);
    const bool sick =
        std::ranges::any_of(all, [](const auto& one) { return one.how == verdict::bad; });
    if (s.as_json()) {
      boost::json::object out = document("diagnosis");
      out["journal"] = s.address();
      out["well"] = !sick;
      boost::json::array& list = out["checks"].emplace_array();
      for (const checkup& one : all)
        list.push_back(
            {{"what", one.what}, {"verdict", verdict_text(one.how)}, {"sentence", one.sentence}});
      s.print(out);
    } else {
      print_table(s, all);
    }
    return sick ? failed : done;
  };
}

}  // namespace fermata::cli
