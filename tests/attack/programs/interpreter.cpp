// SPDX-License-Identifier: Apache-2.0
#include "interpreter.hpp"

#include "program.hpp"

#include <fcntl.h>
#include <libpq-fe.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <set>

using namespace std::chrono_literals;

namespace programs {

namespace {

// Kills are no reason to give up: what fails for good says so itself.
constexpr fermata::retry_policy patient_retry{
    .max_attempts = 1000, .first_delay = 10ms, .max_delay = 100ms};
constexpr fermata::step<int(work)> count{"count", {.retry = patient_retry}};
constexpr fermata::step<int(work)> breaks{"breaks", {.retry = patient_retry}};
constexpr fermata::step<void(work)> uncount{"uncount", {.retry = patient_retry}};
constexpr fermata::signal<int> told{"told"}, never{"never"};
constexpr fermata::database<sqlite3> sqlite_tables{"sqlite_tables"};
constexpr fermata::database<PGconn> postgres_tables{"postgres_tables"};

int log_file = -1;
bool pays_on_postgres = false;

/// One write: lines of several processes don't mix.
void logged(const work& w, const std::string& place, const fermata::step_context& s) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  const std::string line = std::to_string(w.seed) + " " + place + " " +
                           std::string(s.idempotency_key()) + " " + std::to_string(s.attempt()) +
                           " " + std::to_string(now) + " " + std::to_string(s.epoch()) + "\n";
  if (::write(log_file, line.data(), line.size()) < 0) std::abort();
}

int counted(const work& w, fermata::step_context& s) {
  logged(w, w.place, s);
  if (s.attempt() <= w.failures) throw fermata::failure("not yet");
  return w.value;
}

std::string statement_of(const work& w) {
  return "INSERT INTO " + std::string(paid_table) + " VALUES ('" + paid_place(w.seed, w.place) +
         "', 1) ON CONFLICT (place) DO UPDATE SET times = " + std::string(paid_table) +
         ".times + 1";
}

int pay_on_sqlite(sqlite3& db, const work& w) {
  if (sqlite3_exec(&db, statement_of(w).c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    throw fermata::failure(sqlite3_errmsg(&db));
  return w.value;
}

int pay_on_postgres(PGconn& db, const work& w) {
  PGresult* done = PQexec(&db, statement_of(w).c_str());
  const bool ok = PQresultStatus(done) == PGRES_COMMAND_OK;
  PQclear(done);
  if (!ok) throw fermata::failure(PQerrorMessage(&db));
  return w.value;
}

/// One run of a program: the program itself, or an op's part of it as a child.
struct part {
  std::int64_t seed;
  bool fails;
  // Of the run, not of a branch: whichever branch receives it, a hint counts once.
  std::set<std::string>* heard;

  work work_of(const op& o) const { return {seed, o.place, o.value, 0}; }
};

fermata::task<int> block(fermata::context& ctx, part of, std::vector<op> ops);

/// Of those whose outcome is one step's.
fermata::future<int> call(fermata::context& ctx, const part& of, const op& o) {
  work w = of.work_of(o);
  if (o.what == kind::flaky) w.failures = 1 + o.value % 3;
  const std::string_view queue = o.what == kind::far ? "far" : "";
  if (of.fails && can_be_undone(o.what))
    return ctx.call(count, w, {.queue = queue, .undo = uncount});
  return ctx.call(count, w, {.queue = queue});
}

fermata::task<int> hear(fermata::context& ctx, part of) {
  for (;;) {
    hint got = co_await ctx.receive(hinted);
    if (of.heard->insert(got.place).second) co_return got.value;
  }
}

fermata::task<int> wait(fermata::context& ctx, part of, op o) {
  const fermata::duration a_while = std::chrono::milliseconds(ctx.random(1, 2 * o.value));
  if (o.what == kind::nap) {
    co_await ctx.sleep(a_while);
    co_return 0;
  }
  if (o.what == kind::patient) {
    std::optional<int> came = co_await ctx.receive(never, a_while);
    co_return came ? 1'000'000 : for_failure;
  }
  if (o.what == kind::late) {
    fermata::future<int> limited = ctx.timeout(ctx.receive(never), a_while);
    fermata::outcome<int> how = co_await ctx.settle(limited);
    co_return how ? 1'000'000 : for_failure;
  }
  std::vector<fermata::future<int>> parts{ctx.receive(never), call(ctx, of, o)};
  fermata::first<int> winner = co_await ctx.race(parts);
  co_return winner.value;
}

fermata::task<int> children(fermata::context& ctx, part of, op o) {
  if (o.what == kind::told) {
    const std::string me(ctx.run_id());
    fermata::child<int> crew = ctx.start_child(run_program, {of.seed, o.place, me});
    int said = co_await ctx.receive(told);
    int sum = co_await crew.result();
    co_return said + sum;
  }
  fermata::future<int> crew = ctx.call(run_program, {of.seed, o.place, ""});
  if (o.what == kind::child) {
    int sum = co_await crew;
    co_return sum;
  }
  fermata::outcome<int> how = co_await ctx.settle(crew);
  co_return how ? 1'000'000 : for_failure;
}

fermata::task<int> one(fermata::context& ctx, part of, op o) {
  const work w = of.work_of(o);
  switch (o.what) {
    case kind::step:
    case kind::flaky:
    case kind::far:
      co_return co_await call(ctx, of, o);
    case kind::broken: {
      fermata::future<int> failing =
          ctx.call(breaks, w, {.retry = {.max_attempts = 1 + o.value % 3}});
      fermata::outcome<int> how = co_await ctx.settle(failing);
      co_return how ? 1'000'000 : for_failure;
    }
    case kind::local: {
      auto body = [w](fermata::step_context& s) { return counted(w, s); };
      co_return co_await ctx.run("local", body, {.retry = patient_retry});
    }
    case kind::paid: {
      auto on_sqlite = [w](sqlite3& db) { return pay_on_sqlite(db, w); };
      auto on_postgres = [w](PGconn& db) { return pay_on_postgres(db, w); };
      fermata::future<int> paying =
          pays_on_postgres
              ? ctx.transaction("pay", postgres_tables, on_postgres, {.retry = patient_retry})
              : ctx.transaction("pay", sqlite_tables, on_sqlite, {.retry = patient_retry});
      co_return co_await paying;
    }
    case kind::many: {
      std::vector<int> values = co_await ctx.map(count, {w, w, w}, {.at_most = 2});
      co_return values[0] + values[1] + values[2];
    }
    case kind::heard:
      co_return co_await hear(ctx, of);
    case kind::both: {
      fermata::future<int> left = ctx.spawn(block(ctx, of, o.parts[0]));
      fermata::future<int> right = ctx.spawn(block(ctx, of, o.parts[1]));
      auto [a, b] = co_await ctx.all(left, right);
      co_return a + b;
    }
    case kind::nap:
    case kind::patient:
    case kind::late:
    case kind::first:
      co_return co_await wait(ctx, of, o);
    case kind::child:
    case kind::told:
    case kind::doomed:
      co_return co_await children(ctx, of, o);
  }
  co_return 1'000'000;
}

fermata::task<int> block(fermata::context& ctx, part of, std::vector<op> ops) {
  int sum = 0;
  for (const op& o : ops) {
    int value = co_await one(ctx, of, o);
    sum += value;
  }
  co_return sum;
}

fermata::task<int> interpret(fermata::context& ctx, order what) {
  const program whole = made_from(what.seed);
  std::vector<op> ops = whole.ops;
  bool fails = whole.fails;
  int said = 0;
  if (!what.place.empty()) {
    const op mine = op_at(whole.ops, what.place);
    ops = mine.parts[0];
    fails = mine.what == kind::doomed;
    said = mine.value;
  }
  std::set<std::string> heard;
  int sum = co_await block(ctx, {what.seed, fails, &heard}, ops);
  ctx.publish(sum_so_far, sum);
  if (!what.reply_to.empty()) ctx.signal(what.reply_to, told, said);
  if (fails) throw fermata::failure(std::string(doom));
  co_return sum;
}

}  // namespace

void serve(fermata::worker& worker, const std::string& log, bool on_postgres) {
  log_file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  pays_on_postgres = on_postgres;
  if (on_postgres)
    worker.connect(postgres_tables, fermata::journal_tables());
  else
    worker.connect(sqlite_tables, fermata::journal_tables());
  worker.serve(count, counted);
  worker.serve(breaks, [](const work& w, fermata::step_context& s) -> int {
    logged(w, w.place, s);
    throw fermata::failure("broken");
  });
  worker.serve(uncount,
               [](const work& w, fermata::step_context& s) { logged(w, undo_of(w.place), s); });
  worker.serve(run_program, interpret);
}

}  // namespace programs
