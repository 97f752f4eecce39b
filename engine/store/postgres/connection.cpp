// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/connection.hpp"

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace fermata::engine::postgres {

namespace {

/// A frozen client must not hold rows for longer than a lease. Plans: each statement is planned once, when its tables may
/// be empty and nothing is known of them; all of ours go by keys, so nothing but that is allowed. (A plan
/// that reads a whole table, made on the first day, took 60 % of the server's time on the second.)
constexpr const char* session_options =
    "-c idle_in_transaction_session_timeout=10s "
    "-c default_transaction_isolation=read\\ committed "  // what is read after a lock is new
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off "
    "-c enable_mergejoin=off -c jit=off -c client_min_messages=warning";

std::uint64_t big_endian(const char* from, int bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(from[i]);
  return value;
}

}  // namespace

// ---- rows ----

void rows::free_result::operator()(pg_result* result) const noexcept { PQclear(result); }

rows::rows(pg_result* owned) : result_(owned), count_(PQntuples(owned)) {}

std::int64_t rows::affected() const {
  const std::string_view said = PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(said.begin(), said.end(), count);
  return count;
}

bool rows::null(int column) const noexcept { return PQgetisnull(result_.get(), row_, column) != 0; }

std::int64_t rows::integer(int column) const noexcept {
  if (null(column)) return 0;
  const char* from = PQgetvalue(result_.get(), row_, column);
  const int bytes = PQgetlength(result_.get(), row_, column);
  const std::uint64_t value = big_endian(from, bytes);
  switch (bytes) {
    case 2:
      return static_cast<std::int16_t>(value);
    case 4:
      return static_cast<std::int32_t>(value);
    default:
      return static_cast<std::int64_t>(value);
  }
}

std::string_view rows::text(int column) const noexcept {
  return {PQgetvalue(result_.get(), row_, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
}

chain_hash rows::hash(int column) const noexcept {
  chain_hash found{};
  const std::string_view from = bytes(column);
  if (from.size() == found.size()) std::memcpy(found.data(), from.data(), found.size());
  return found;
}

// ---- connection ----

void connection::close::operator()(pg_conn* db) const noexcept { PQfinish(db); }

connection::connection(const address& where, std::size_t first_host) : schema_(where.schema) {
  connect(where, first_host);
  ask_who_is_there();
}

connection::~connection() = default;

void connection::connect(const address& where, std::size_t first_host) {
  std::vector<std::string> turned;
  for (const address::list& one : where.hosts) turned.push_back(one.beginning_at(first_host));
  const auto open = [&](bool with_options) {
    // What comes first is a default: the address may say otherwise.
    std::vector<const char*> names{
        "application_name", "connect_timeout",  "keepalives_idle", "keepalives_interval",
        "keepalives_count", "tcp_user_timeout", "dbname"};
    std::vector<const char*> values{
        "fermata", "5", "10", "5", "3", "15000", where.connection.c_str()};
    const auto add = [&](const char* name, const char* value) {
      names.push_back(name);
      values.push_back(value);
    };
    for (std::size_t i = 0; i < turned.size(); ++i)
      add(where.hosts[i].name.c_str(), turned[i].c_str());
    if (with_options) add("options", session_options);
    add(nullptr, nullptr);
    db_.reset(PQconnectdbParams(names.data(), values.data(), 1));
    if (db_ == nullptr) throw std::bad_alloc();
  };
  open(true);
  // A pgbouncer before 1.20 refuses them.
  if (PQstatus(db_.get()) != CONNECTION_OK &&
      std::string_view(PQerrorMessage(db_.get())).find("startup parameter") != std::string::npos)
    open(false);
  if (PQstatus(db_.get()) == CONNECTION_OK) return;
  std::string said = PQerrorMessage(db_.get());
  while (!said.empty() && said.back() == '\n') said.pop_back();
  for (char& c : said)
    if (c == '\n' || c == '\t') c = ' ';
  // Who we are or where doesn't change by waiting.
  const bool hopeless = said.find("authentication failed") != std::string::npos ||
                        said.find("no password supplied") != std::string::npos ||
                        said.find("no pg_hba.conf entry") != std::string::npos ||
                        (said.find("database \"") != std::string::npos &&
                         said.find("does not exist") != std::string::npos) ||
                        (said.find("role \"") != std::string::npos &&
                         said.find("does not exist") != std::string::npos);
  fail(hopeless ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kUnavailable,
       hopeless ? "FER-2002" : "FER-2105", fmt::format("{} can't be reached: {}", where.text, said),
       hopeless ? failure::refused : failure::lost);
}

void connection::ask_who_is_there() {
  // Its own words in place of ours: nothing is known of the server yet. A replica has no timeline to
  // write on.
  PGresult* answer = PQexec(
      db_.get(),
      "SELECT (SELECT system_identifier FROM pg_control_system()), "
      "CASE WHEN pg_is_in_recovery() THEN '' ELSE "
      "  substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, "
      "(SELECT oid FROM pg_database WHERE datname = current_database()), pg_is_in_recovery(), "
      "current_setting('transaction_read_only'), pg_backend_pid(), "
      "current_setting('server_version_num'), current_setting('synchronous_commit'), "
      "current_setting('fsync')");
  if (PQresultStatus(answer) != PGRES_TUPLES_OK) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> owned(answer, PQclear);
    fail(db_.get(), answer, "who is there");
  }
  rows said(answer);
  said.next();
  server_.system = said.text(0);
  server_.timeline = said.text(1);
  server_.database = said.text(2);
  server_.in_recovery = said.text(3) == "t";
  server_.read_only = said.text(4) == "on";
  // A pool gives clients keys of its own.
  server_.pooled = said.text(5) != std::to_string(PQbackendPID(db_.get()));
  const std::string_view version = said.text(6);
  std::from_chars(version.begin(), version.end(), server_.version);
  server_.synchronous_commit = said.text(7);
  server_.fsync = said.text(8) == "on";
  // Durable, whatever the role's or the database's default is; a stronger one is left.
  if (!durable() && !server_.pooled) {
    script("SET synchronous_commit = on");
    server_.synchronous_commit = "on";
  }
}

connection::statement& connection::known(const char* sql) {
  std::unique_ptr<statement>& found = statements_[sql];
  if (!found) {
    found = std::make_unique<statement>();
    found->text = in_schema(schema_, sql);
    found->name = fmt::format("f{}", statements_.size());
  }
  return *found;
}

void connection::broken(std::string_view what) {
  queue_.clear();
  fail(db_.get(), nullptr, what);
}

bool connection::knows(const char* sql) const {
  const auto at = statements_.find(sql);
  return at != statements_.end() && at->second->prepared;
}

void connection::enter_pipeline() {
  if (PQpipelineStatus(db_.get()) == PQ_PIPELINE_OFF && PQenterPipelineMode(db_.get()) != 1)
    broken("begin of a pipeline");
}

void connection::leave_pipeline() {
  if (PQexitPipelineMode(db_.get()) != 1) broken("end of a pipeline");
}

void connection::send(const char* sql, params&& given) {
  statement& what = known(sql);
  enter_pipeline();
  int sent = 1;
  if (server_.pooled) {
    sent = PQsendQueryParams(db_.get(), what.text.c_str(), given.size(), given.types(),
                             given.values(), given.lengths(), given.formats(), 1);
  } else {
    const bool on_its_way =
        std::ranges::any_of(queue_, [&](const queued& q) { return q.prepares && q.what == &what; });
    if (!what.prepared && !on_its_way) {
      if (PQsendPrepare(db_.get(), what.name.c_str(), what.text.c_str(), given.size(),
                        given.types()) != 1)
        broken(what.text);
      queue_.push_back({&what, true});
    }
    sent = PQsendQueryPrepared(db_.get(), what.name.c_str(), given.size(), given.values(),
                               given.lengths(), given.formats(), 1);
  }
  if (sent != 1) broken(what.text);
  queue_.push_back({&what, false});
}

/// Until the first answer is there, or the connection is gone: which PQgetResult then says.
void connection::await_answer() {
  if (!long_wait_ || server_.pooled) return;
  constexpr std::int64_t again_ms = 60'000;
  std::int64_t patience_ms = bound("lock_warning_ms", limits::lock_warning_ms);
  while (PQisBusy(db_.get()) != 0) {
    pollfd waits{.fd = PQsocket(db_.get()), .events = POLLIN, .revents = 0};
    const int came = ::poll(&waits, 1, static_cast<int>(patience_ms));
    if (came < 0 && errno == EINTR) continue;
    if (came == 0) {
      long_wait_(PQbackendPID(db_.get()));
      patience_ms = again_ms;
    } else if (came < 0 || PQconsumeInput(db_.get()) != 1) {
      return;
    }
  }
}

std::vector<rows> connection::finish() {
  std::vector<rows> answers;
  if (queue_.empty()) return answers;
  if (PQpipelineSync(db_.get()) != 1) broken("a round trip");
  await_answer();
  std::optional<server_failure> failed;
  for (const queued& next : std::exchange(queue_, {})) {
    bool answered = false;
    while (PGresult* one = PQgetResult(db_.get())) {
      const ExecStatusType status = PQresultStatus(one);
      answered = true;
      if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        if (next.prepares) {
          next.what->prepared = true;
          PQclear(one);
        } else {
          answers.emplace_back(one);
        }
        continue;
      }
      // What comes after a failure is aborted, and says only that.
      const std::unique_ptr<PGresult, decltype(&PQclear)> owned(one, PQclear);
      if (failed || status == PGRES_PIPELINE_ABORTED) continue;
      try {
        fail(db_.get(), one, next.what->text);
      } catch (const server_failure& why) {
        failed = why;
      }
    }
    if (!answered || PQstatus(db_.get()) != CONNECTION_OK) {
      if (failed && failed->how == failure::lost) throw *failed;
      broken(next.what->text);
    }
  }
  PGresult* sync = PQgetResult(db_.get());
  const bool in_step = sync != nullptr && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  PQclear(sync);
  if (!in_step) broken("the end of a round trip");
  leave_pipeline();
  if (failed) throw *failed;
  return answers;
}

rows connection::run(const char* sql, params&& given) {
  send(sql, std::move(given));
  return std::move(finish().front());
}

rows connection::run_once(const std::string& sql, params&& given) {
  const std::string text = in_schema(schema_, sql);
  PGresult* answer = PQexecParams(db_.get(), text.c_str(), given.size(), given.types(),
                                  given.values(), given.lengths(), given.formats(), 1);
  const ExecStatusType status = PQresultStatus(answer);
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return rows(answer);
  const std::unique_ptr<PGresult, decltype(&PQclear)> owned(answer, PQclear);
  fail(db_.get(), answer, text);
}

void connection::script(std::string_view sql) {
  const std::string text = in_schema(schema_, sql);
  const std::unique_ptr<PGresult, decltype(&PQclear)> answer(PQexec(db_.get(), text.c_str()),
                                                             PQclear);
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) fail(db_.get(), answer.get(), text);
}

bool connection::alive() const noexcept { return PQstatus(db_.get()) == CONNECTION_OK; }

bool connection::in_transaction() const noexcept {
  return PQtransactionStatus(db_.get()) != PQTRANS_IDLE;
}

bool connection::roll_back() noexcept {
  if (!alive() || PQpipelineStatus(db_.get()) != PQ_PIPELINE_OFF || !queue_.empty()) return false;
  if (!in_transaction()) return true;
  PQclear(PQexec(db_.get(), "ROLLBACK"));
  return alive() && !in_transaction();
}

}  // namespace fermata::engine::postgres
