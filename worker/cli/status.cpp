// SPDX-License-Identifier: Apache-2.0
#include "engine/limits.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/queues.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

struct looked {
  engine::store_info info;
  engine::store_counts counts;
  std::vector<engine::worker_row> workers;
  std::vector<engine::serving_row> serving;
  std::vector<engine::queued_step> queued;
  engine::time_us now = 0;
  std::int64_t boot_now = 0;
};

looked look(session& s) {
  return {
      must(s.store().info()),    must(s.store().counts(s.ns())),       must(s.store().workers()),
      must(s.store().serving()), must(s.store().queued_steps(s.ns())), s.now(),
      s.store().boot_now()};
}

/// "alive", "silent": its lease is over, "dead", "gone".
std::string_view standing(const engine::worker_row& worker, std::int64_t boot_now) {
  if (worker.dead) return "dead";
  if (worker.gone) return "gone";
  const bool owns = worker.owned > 0 || worker.tasks > 0;
  const bool silent = owns && worker.lease_until != 0 && worker.lease_until < boot_now;
  return silent ? "silent" : "alive";
}

/// What a person should look at, with the next command.
std::vector<std::string> troubles(session& s, const looked& l) {
  std::vector<std::string> found;
  std::int64_t alive = 0;
  for (const auto& worker : l.workers) {
    const std::string_view how = standing(worker, l.boot_now);
    alive += how == "alive" ? 1 : 0;
    if (how == "silent")
      found.push_back(fmt::format("worker {} stopped renewing {} ago (process {} on {})",
                                  worker.id.text(), span_text(l.boot_now - worker.lease_until),
                                  worker.pid, clean(worker.host)));
  }
  const auto waiting = l.counts.by_attention;
  std::int64_t attention = 0;
  for (const auto& [why, n] : waiting)
    if (why != engine::attention::none) attention += n;
  if (attention > 0)
    found.push_back(count_of(attention, "run waits", "runs wait") +
                    " for a person: fermata list --attention any");
  if (l.counts.ready > 0 && alive == 0)
    found.push_back("work is ready and no worker is alive: start one with --journal " +
                    s.address());
  else if (l.counts.oldest_ready != 0 && l.now - l.counts.oldest_ready > 60'000'000)
    found.push_back("ready work waits " + coarse_text(l.now - l.counts.oldest_ready) +
                    " already: are queues served, are workers full?");
  for (const std::string& one : stranded(s, l.queued, l.workers, l.serving)) found.push_back(one);
  if (l.info.wal_bytes > static_cast<std::int64_t>(engine::limits::wal_warning))
    found.push_back("the write-ahead log is large: fermata doctor names who keeps it");
  if (l.info.durability != "full" && l.info.kind != "memory")
    found.push_back("durability is '" + l.info.durability +
                    "': a power cut may take the last commits");
  return found;
}

void print_counts(session& s, const looked& l) {
  card c = s.make_card();
  bool any = false;
  for (const auto& [state, n] : l.counts.by_state) {
    if (n == 0) continue;
    any = true;
    c.add(std::string(text_of(state)), fmt::format("{}", n), tint_of(state));
  }
  s.out() << s.paint("Runs", tint::bold) << '\n';
  if (any)
    c.print(s.out());
  else
    s.out() << "  none yet\n";
  card why = s.make_card();
  bool waits = false;
  for (const auto& [what, n] : l.counts.by_attention) {
    if (what == engine::attention::none || n == 0) continue;
    waits = true;
    why.add(std::string(text_of(what)), fmt::format("{}", n), tint::yellow);
  }
  if (!waits) return;
  s.out() << '\n' << s.paint("Attention", tint::bold) << '\n';
  why.print(s.out());
}

void print_work(session& s, const looked& l) {
  card c = s.make_card();
  c.add("ready", l.counts.ready == 0 ? "nothing"
                 : l.counts.oldest_ready == 0
                     ? count_of(l.counts.ready, "run")
                     : fmt::format("{}, the oldest {}", count_of(l.counts.ready, "run"),
                                   s.time(l.counts.oldest_ready)));
  c.add("timers", l.counts.timers == 0 ? "none"
                                       : fmt::format("{}, the next {}", l.counts.timers,
                                                     s.time(l.counts.next_timer)));
  c.add("inbox", l.counts.inbox == 0 ? "empty" : count_of(l.counts.inbox, "unread message"));
  s.out() << '\n' << s.paint("Work", tint::bold) << '\n';
  c.print(s.out());
}

void print_queues(session& s, const looked& l) {
  if (l.queued.empty()) return;
  s.out() << '\n' << s.paint("Steps in queues", tint::bold) << '\n';
  table t = s.make_table({{"QUEUE", false, 8},
                          {"STEP", false, 8},
                          {"WAIT", true, 4},
                          {"OLDEST", false, 8},
                          {"EXECUTING", true, 9},
                          {"WORKERS", true, 7}});
  t.indent(2);
  for (const engine::queued_step& one : l.queued) {
    const int could = takers_of(l.workers, l.serving, one.queue, one.step).of_step;
    t.add({{clean(one.queue)},
           {clean(one.step)},
           {fmt::format("{}", one.waiting)},
           {one.waiting == 0 ? "" : s.time(one.oldest), tint::dim},
           {fmt::format("{}", one.executing)},
           {fmt::format("{}", could), could == 0 ? tint::yellow : tint::plain}});
  }
  t.print(s.out());
}

void print_workers(session& s, const looked& l) {
  s.out() << '\n' << s.paint("Workers", tint::bold) << '\n';
  table t = s.make_table({{"WORKER", false, 16},
                          {"STATE", false, 6},
                          {"PROCESS", true, 5},
                          {"HOST", false, 8, true},
                          {"OWNS", true, 4},
                          {"STEPS", true, 5, false, 2},
                          {"QUEUES", false, 7, true, 3},
                          {"SEEN", false, 8},
                          {"BUILD", false, 8, true, 1}});
  t.indent(2);
  std::int64_t left = 0;
  for (const auto& worker : l.workers) {
    const std::string_view how = standing(worker, l.boot_now);
    if (how == "gone" || how == "dead") {
      ++left;
      continue;
    }
    t.add({{worker.id.text()},
           {std::string(how), how == "alive" ? tint::green : tint::yellow},
           {fmt::format("{}", worker.pid)},
           {clean(worker.host)},
           {fmt::format("{}", worker.owned)},
           {fmt::format("{}", worker.tasks)},
           {clean(join(worker.queues, " ")), tint::dim},
           {s.time(worker.last_seen), tint::dim},
           {clean(worker.build), tint::dim}});
  }
  if (t.empty())
    s.out() << "  none is alive\n";
  else
    t.print(s.out());
  if (left > 0)
    s.out() << s.paint("  and " + count_of(left, "that has left or died", "that have left or died"),
                       tint::dim)
            << '\n';
  std::vector<std::string> names;
  for (const auto& one : l.serving)
    if (one.alive && one.kind == "workflow" && std::ranges::find(names, one.name) == names.end())
      names.push_back(clean(one.name));
  card c = s.make_card();
  c.add("serve", join(names, ", "));
  c.print(s.out());
}

void print_screen(session& s, const looked& l) {
  s.out() << s.paint(l.info.address, tint::bold) << s.paint("  namespace " + s.ns(), tint::dim)
          << "\n\n";
  print_counts(s, l);
  print_work(s, l);
  print_queues(s, l);
  print_workers(s, l);
  card c = s.make_card();
  c.add("size",
        bytes_text(l.info.file_bytes) + ", write-ahead log " + bytes_text(l.info.wal_bytes));
  c.add("layout", fmt::format("schema {}, format {}, written by {}", l.info.schema_version,
                              l.info.format_level, clean(l.info.written_by)));
  c.add("durability", l.info.durability);
  s.out() << '\n' << s.paint("Store", tint::bold) << '\n';
  c.print(s.out());
  for (const std::string& trouble : troubles(s, l))
    s.out() << '\n' << s.paint("!", tint::yellow) << ' ' << trouble;
  if (!troubles(s, l).empty()) s.out() << '\n';
}

boost::json::object workers_json(session& s, const engine::worker_row& worker,
                                 std::int64_t boot_now) {
  boost::json::object out = document("worker");
  out["worker"] = worker.id.text();
  out["state"] = standing(worker, boot_now);
  out["host"] = worker.host;
  out["pid"] = worker.pid;
  out["build"] = worker.build;
  out["owns"] = worker.owned;
  out["tasks"] = worker.tasks;
  boost::json::array& queues = out["queues"].emplace_array();
  for (const std::string& queue : worker.queues) queues.emplace_back(queue);
  out["started"] = time_json(worker.started, s.shown());
  out["last_seen"] = time_json(worker.last_seen, s.shown());
  return out;
}

void print_document(session& s, const looked& l) {
  boost::json::object out = document("status");
  out["journal"] = l.info.address;
  out["namespace"] = s.ns();
  boost::json::object& runs = out["runs"].emplace_object();
  for (const auto& [state, n] : l.counts.by_state) runs[text_of(state)] = n;
  boost::json::object& attention = out["attention"].emplace_object();
  for (const auto& [why, n] : l.counts.by_attention)
    if (why != engine::attention::none) attention[text_of(why)] = n;
  out["ready"] = l.counts.ready;
  out["oldest_ready"] = time_json(l.counts.oldest_ready, s.shown());
  out["timers"] = l.counts.timers;
  out["next_timer"] = time_json(l.counts.next_timer, s.shown());
  out["inbox"] = l.counts.inbox;
  boost::json::array& queued = out["queues"].emplace_array();
  for (const engine::queued_step& one : l.queued)
    queued.push_back({{"queue", one.queue},
                      {"step", one.step},
                      {"waiting", one.waiting},
                      {"executing", one.executing},
                      {"oldest", time_json(one.oldest, s.shown())},
                      {"workers", takers_of(l.workers, l.serving, one.queue, one.step).of_step}});
  boost::json::array& workers = out["workers"].emplace_array();
  for (const auto& worker : l.workers) workers.push_back(workers_json(s, worker, l.boot_now));
  boost::json::array& serving = out["serving"].emplace_array();
  for (const auto& one : l.serving)
    serving.push_back({{"kind", one.kind},
                       {"name", one.name},
                       {"worker", one.worker.text()},
                       {"alive", one.alive},
                       {"build", one.build}});
  out["store"] = {{"kind", l.info.kind},
                  {"schema_version", l.info.schema_version},
                  {"format_level", l.info.format_level},
                  {"written_by", l.info.written_by},
                  {"file_bytes", l.info.file_bytes},
                  {"wal_bytes", l.info.wal_bytes},
                  {"durability", l.info.durability}};
  boost::json::array& trouble = out["troubles"].emplace_array();
  for (const std::string& one : troubles(s, l)) trouble.emplace_back(one);
  s.print(out);
}

}  // namespace

action declare_status(CLI::App&) {
  return [](session& s) -> int {
    const looked l = look(s);
    if (s.as_table())
      print_screen(s, l);
    else if (s.how() == output::ids)
      for (const auto& worker : l.workers) s.out() << worker.id.text() << '\n';
    else
      print_document(s, l);
    return done;
  };
}

}  // namespace fermata::cli
