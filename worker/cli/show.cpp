// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/limits.hpp"
#include "worker/cli/address.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/crash.hpp"
#include "worker/cli/events.hpp"
#include "worker/cli/queues.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <ostream>

namespace fermata::cli {

namespace {

struct options {
  std::string run;
  bool reveal = false, follow = false, reverse = false, raw = false;
};

constexpr std::size_t page_size = 1'000;
constexpr std::int64_t look_again_us = 1'000'000;

/// One event, or why it can't be read.
struct read_event {
  engine::position_t position = 0;
  engine::event what;
  std::string damage;
};

std::vector<read_event> read_page(session& s, const engine::run_id& run, engine::position_t from) {
  std::vector<read_event> page;
  for (const engine::encoded_event& stored : must(s.store().read_events(run, from, page_size))) {
    auto event = engine::decode(run, stored);
    read_event& one = page.emplace_back();
    one.position = stored.position;
    if (event.ok()) {
      one.what = std::move(*event);
    } else {
      one.damage = std::string(event.status().message());
      one.what.position = stored.position;
      one.what.at = stored.at;
      one.what.kind = stored.kind;
    }
  }
  return page;
}

// ---- what it is, how it is, since when ----

void print_head(session& s, const engine::run_row& row) {
  s.out() << s.paint(clean(row.workflow), tint::bold);
  if (!row.key.empty()) s.out() << "  " << s.paint(clean(row.key), tint::bold);
  s.out() << "  " << s.paint(row.run.text(), tint::dim) << "  "
          << s.paint(state_text(row), tint_of(row.state, row.attention)) << '\n';
  std::vector<std::string> facts;
  if (row.started != 0)
    facts.push_back("started " + s.time(row.started));
  else
    facts.push_back("asked for " + s.time(row.requested) + ", not begun");
  if (row.ended != 0) facts.push_back("took " + span_text(row.ended - row.started));
  if (row.queue != "default" && !row.queue.empty()) facts.push_back("queue " + clean(row.queue));
  if (!row.build.empty()) facts.push_back("build " + clean(row.build).substr(0, 12));
  if (row.deadline != 0) facts.push_back("deadline " + s.time(row.deadline));
  if (!row.parent.empty()) facts.push_back("child of " + row.parent.text());
  for (const auto& [name, value] : row.tags) facts.push_back(clean(name) + "=" + clean(value));
  for (const std::string& line : wrapped(join(facts, " · "), s.width() == 0 ? 10'000 : s.width()))
    s.out() << s.paint(line, tint::dim) << '\n';
  s.out() << '\n';
}

// ---- the table ----

std::string since_text(session& s, engine::time_us at, engine::time_us start) {
  if (s.times() != time_style::relative) return s.time(at);
  return at <= start ? "0" : "+" + span_text(at - start);
}

/// In one line where it fits, else a line each.
cell details_cell(const told_event& told) {
  std::string text = told.subject;
  if (!told.input.empty()) text += (text.empty() ? "" : "\n") + told.input;
  if (!told.outcome.empty()) text += (text.empty() ? "" : "\n→ ") + told.outcome;
  const bool bad = told.colour == tint::red || told.colour == tint::yellow;
  return {.text = std::move(text), .joins = true, .wraps = bad};
}

/// A table that grows has room for what its first rows don't need.
std::vector<column> columns_of(session& s, bool grows) {
  const auto room = [&](std::size_t columns) { return grows ? columns : std::size_t{0}; };
  const bool relative = s.times() == time_style::relative;
  return {{.title = "#", .right = true, .least = 1, .reserve = room(3), .whole = true},
          {.title = relative ? "SINCE" : "AT",
           .right = true,
           .least = 6,
           .reserve = relative ? room(9) : 0},
          {.title = "EVENT", .least = 9, .reserve = room(15)},
          {.title = "DETAILS", .least = 24, .flexible = true},
          {.title = "TOOK", .right = true, .least = 5, .reserve = room(7)},
          {.title = "WAITED", .right = true, .least = 6, .drop = 2, .reserve = room(7)},
          {.title = "WHERE", .least = 12, .drop = 1, .reserve = room(12)}};
}

class event_table {
 public:
  event_table(session& s, showing how, engine::time_us start, bool grows)
      : session_(s),
        start_(start),
        teller_(how, s.now()),
        table_(s.make_table(columns_of(s, grows))) {}

  void add(const read_event& one) {
    if (start_ == 0) start_ = one.what.at;
    std::vector<cell> row{{fmt::format("{}", one.position), tint::dim},
                          {since_text(session_, one.what.at, start_), tint::dim}};
    if (!one.damage.empty()) {
      row.insert(row.end(), {{"damaged", tint::red}, {clean(one.damage), tint::red}});
    } else {
      const told_event told = teller_.tell(one.what);
      const auto span = [](const std::optional<std::int64_t>& us) {
        return us ? span_text(*us) : std::string();
      };
      row.insert(row.end(), {{told.what, told.colour},
                             details_cell(told),
                             {span(told.took_us)},
                             {span(told.waited_us)},
                             {clean(one.what.place.str()), tint::dim}});
    }
    rows_.push_back(std::move(row));
  }
  void print(bool reverse) {
    if (reverse) std::reverse(rows_.begin(), rows_.end());
    for (auto& row : rows_) table_.add(std::move(row));
    if (!rows_.empty()) table_.print(session_.out());
    rows_.clear();
  }

 private:
  session& session_;
  engine::time_us start_;
  teller teller_;
  table table_;
  std::vector<std::vector<cell>> rows_;
};

// ---- the card at the end ----

/// What the table had, as far as the card speaks of it.
struct table_end {
  engine::position_t position = 0;
  engine::event newest;
  crash_story crash;
  bool compensated = false;
};

void add_crash(session& s, card& c, const crash_story& crash) {
  constexpr std::size_t frames_most = 32;
  const pb::attempt& what = *crash.last();
  const std::string times =
      crash.times() > 1 ? count_of(crash.times(), "time") + ", the last " : std::string();
  c.add(
      "crashed",
      fmt::format("{}, {}{}: {}", crashed_part(what), times, s.time(crash.at()), crash_text(what)),
      tint::red);
  c.add("backtrace", frames_text(what, frames_most));
}

void print_card(session& s, const engine::run_row& row, const table_end& end, bool reveal) {
  const engine::position_t events = end.position;
  card c = s.make_card();
  const auto shade = tint_of(row.state, row.attention);
  if (engine::ended(row.state))
    c.add("state",
          fmt::format("{} {}, after {} and {}", text_of(row.state), s.time(row.ended),
                      span_text(row.ended - row.started),
                      count_of(static_cast<std::int64_t>(events), "event")),
          shade);
  else
    c.add("state",
          fmt::format("{} since {}, {}", state_text(row), s.time(row.updated),
                      count_of(static_cast<std::int64_t>(events), "event")),
          shade);
  if (row.state == engine::run_state::completed && events != 0)
    c.add("result", payload_text(end.newest.value, reveal), tint::green);
  if (engine::ended(row.state)) c.add("error", clean(row.error), shade);
  if (!engine::ended(row.state)) {
    c.add("waits for", clean(row.waits));
    if (const auto tasks = must(s.store().tasks(row.run)); !tasks.empty()) {
      const auto workers = must(s.store().workers());
      const auto serving = must(s.store().serving());
      for (const engine::task_row& task : tasks)
        c.add("step '" + clean(task.step) + "'", task_text(s, task, workers, serving));
    }
    c.add("says", clean(row.status));
    c.add("report", clean_lines(row.report), tint::yellow);
  }
  if (end.crash.last() && row.state != engine::run_state::completed) add_crash(s, c, end.crash);
  if (!row.next_run.empty()) c.add("goes on as", row.next_run.text());
  if (events > engine::limits::history_warning)
    c.add("long", fmt::format("{} events is a long history; let it continue_as a new run", events),
          tint::yellow);
  const bool retriable = row.state == engine::run_state::failed ||
                         row.state == engine::run_state::cancelled ||
                         row.state == engine::run_state::terminated;
  if (retriable && row.next_run.empty())
    c.add("next", s.command("retry", row, end.compensated ? "--from-start" : ""), tint::bold);
  else if (!engine::ended(row.state))
    c.add("next", s.command("explain", row), tint::bold);
  s.out() << '\n';
  c.print(s.out());
}

int show_table(session& s, engine::run_row row, const options& o) {
  print_head(s, row);
  event_table events(s, {.reveal = o.reveal, .times = s.times()}, row.started, o.follow);
  table_end end;
  for (;;) {
    const std::uint32_t seen = s.store().wake_count();
    if (row.started == 0) row = must(s.store().find_run(row.run));
    std::vector<read_event> page;
    if (row.started != 0) page = read_page(s, row.run, end.position + 1);
    for (const read_event& one : page) {
      events.add(one);
      end.crash.take(one.what);
      end.compensated = end.compensated || is_undoing(one.what);
    }
    if (!page.empty()) {
      end.position = page.back().position;
      end.newest = page.back().what;
    }
    if (!o.reverse) events.print(false);
    s.out().flush();
    if (page.size() == page_size) continue;
    if (!o.follow || engine::class_of(end.newest.kind) == engine::event_class::end) break;
    s.store().wait(seen, look_again_us);
  }
  if (o.reverse) events.print(true);
  print_card(s, must(s.store().find_run(row.run)), end, o.reveal);
  return done;
}

// ---- for programs ----

boost::json::object raw_json(const engine::run_id& run, const engine::encoded_event& stored) {
  const auto hex = [](std::string_view bytes) {
    std::string out;
    for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return out;
  };
  boost::json::object out = document("stored_event");
  out["run"] = run.text();
  out["position"] = stored.position;
  out["kind"] = static_cast<int>(stored.kind);
  out["kind_text"] = text_of(stored.kind);
  out["epoch"] = stored.epoch;
  out["at"] = stored.at;
  out["operation"] = stored.operation;
  out["name"] = stored.name;
  out["place"] = stored.place.str();
  out["flags"] = stored.flags;
  out["codec"] = stored.codec;
  out["content_type"] = stored.content_type.str();
  out["value_bytes"] = stored.value.size();
  out["input_content_type"] = stored.input_content_type.str();
  out["input_bytes"] = stored.input.size();
  out["digest"] = hex(stored.digest);
  out["details"] = hex(stored.details);
  out["chain"] = hex({reinterpret_cast<const char*>(stored.chain.data()), stored.chain.size()});
  out["crc"] = stored.crc;
  return out;
}

boost::json::object event_document(const engine::run_id& run, const read_event& one, teller& tells,
                                   const showing& how) {
  if (!one.damage.empty()) {
    boost::json::object out = document("damaged_event");
    out["run"] = run.text();
    out["position"] = one.position;
    out["damage"] = one.damage;
    return out;
  }
  boost::json::object out = event_json(run, one.what, how);
  const told_event told = tells.tell(one.what);
  if (told.took_us) out["took_ms"] = *told.took_us / 1000;
  if (told.waited_us) out["waited_ms"] = *told.waited_us / 1000;
  return out;
}

int show_documents(session& s, const engine::run_row& row, const options& o) {
  const showing how = s.shown(o.reveal);
  teller tells(how, s.now());
  std::vector<boost::json::object> events;
  engine::position_t last = 0;
  const bool streams = s.how() == output::jsonl && !o.reverse;
  for (bool ended = false; !ended;) {
    const std::uint32_t seen = s.store().wake_count();
    std::vector<boost::json::object> page;
    if (o.raw) {
      for (const auto& stored : must(s.store().read_events(row.run, last + 1, page_size))) {
        page.push_back(raw_json(row.run, stored));
        last = stored.position;
        ended = engine::class_of(stored.kind) == engine::event_class::end;
      }
    } else {
      for (const read_event& one : read_page(s, row.run, last + 1)) {
        page.push_back(event_document(row.run, one, tells, how));
        last = one.position;
        ended = engine::class_of(one.what.kind) == engine::event_class::end;
      }
    }
    const bool whole = page.size() < page_size;
    for (auto& one : page)
      if (streams)
        s.print(one);
      else
        events.push_back(std::move(one));
    if (whole && !ended && o.follow) s.store().wait(seen, look_again_us);
    if (whole && !o.follow) break;
  }
  if (o.reverse) std::reverse(events.begin(), events.end());
  if (s.how() == output::jsonl) {
    for (const auto& one : events) s.print(one);
    return done;
  }
  boost::json::object out = document("history");
  out["run"] = run_json(must(s.store().find_run(row.run)), how);
  const auto tasks = must(s.store().tasks(row.run));
  const auto workers =
      tasks.empty() ? std::vector<engine::worker_row>() : must(s.store().workers());
  boost::json::array& out_tasks = out["tasks"].emplace_array();
  for (const engine::task_row& task : tasks) out_tasks.push_back(task_json(task, workers, how));
  boost::json::array& list = out["events"].emplace_array();
  for (auto& one : events) list.push_back(std::move(one));
  s.print(out);
  return done;
}

}  // namespace

action declare_show(CLI::App& flags) {
  const auto o = std::make_shared<options>();
  flags.add_option("RUN", o->run, "key, id, beginning of an id, or WORKFLOW/KEY")->required();
  flags.add_flag("-f,--follow", o->follow, "go on until the run ends");
  flags.add_flag("--reverse", o->reverse, "the newest event first");
  flags.add_flag("--reveal", o->reveal, "show values of sensitive types");
  flags.add_flag("--raw", o->raw, "the columns as they are stored (with -o json or jsonl)");
  return [o](session& s) -> int {
    if (o->raw && !s.as_json()) throw usage_error("--raw needs -o json or -o jsonl");
    if (o->follow && o->reverse) throw usage_error("--follow and --reverse exclude each other");
    const engine::run_row row = find(s, o->run);
    if (s.how() == output::ids) {
      s.out() << row.run.text() << '\n';
      return done;
    }
    return s.as_json() ? show_documents(s, row, *o) : show_table(s, row, *o);
  };
}

}  // namespace fermata::cli
