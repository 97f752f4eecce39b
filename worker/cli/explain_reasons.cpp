// SPDX-License-Identifier: Apache-2.0
// From facts to a sentence. The first reason that holds is the answer; the order is that in which
// each hides the next.
#include "worker/cli/crash.hpp"
#include "worker/cli/explain.hpp"
#include "worker/cli/queues.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::cli {

std::string since_text(session& s, engine::time_us at) {
  if (s.times() != time_style::relative) return "since " + s.time(at);
  return "for " + coarse_text(s.now() - at);
}

std::string until_text(session& s, engine::time_us at) {
  if (s.times() != time_style::relative) return "until " + s.time(at);
  return at <= s.now() ? "until now" : "for another " + coarse_text(at - s.now());
}

namespace {

using maybe = std::optional<explanation>;

std::string at_place(const std::string& place) { return place.empty() ? "" : " (" + place + ")"; }

std::string of_namespace(const engine::run_row& row) {
  return row.space == "default" ? "" : ", with --namespace " + clean(row.space);
}

/// Nobody is there who could work on it.
maybe because_nobody_serves(session& s, const run_facts& f) {
  const engine::run_row& row = f.row;
  const std::string call = call_of(row);
  const std::string workflow = clean(row.workflow);
  if (f.workers.empty()) {
    explanation out{.reason = "no_worker"};
    out.sentence = fmt::format("{} waits for a worker: none is alive on this journal.", call);
    if (f.ever_served("workflow", row.workflow))
      out.evidence.push_back(fmt::format("workflow '{}' was served here before", workflow));
    out.advice = {"start your worker with --journal " + s.address() + of_namespace(row)};
    out.next = {{s.command("status")}};
    return out;
  }
  if (f.served_now("workflow", row.workflow)) return std::nullopt;
  explanation out{.reason = "workflow_not_served"};
  out.sentence =
      fmt::format("{} waits for a worker that serves workflow '{}': none of the {} alive does.",
                  call, workflow, f.workers.size());
  std::vector<std::string> names;
  for (const auto& one : f.serving)
    if (one.alive && one.kind == "workflow") names.push_back(one.name);
  out.evidence.push_back(f.ever_served("workflow", row.workflow)
                             ? "a worker that has left served it"
                             : "no worker ever served it" +
                                   did_you_mean(near_names(row.workflow, names)));
  out.advice = {"start a worker that serves it" + of_namespace(row)};
  out.next = {{s.command("status")}};
  return out;
}

maybe because_not_begun(session& s, const run_facts& f) {
  const engine::run_row& row = f.row;
  if (row.state != engine::run_state::waiting_to_start) return std::nullopt;
  const std::string call = call_of(row);
  if (row.not_before > f.now) {
    explanation out{.reason = "not_before"};
    out.sentence =
        fmt::format("{} begins {}, as its start asked for.", call, s.time(row.not_before));
    return out;
  }
  if (maybe out = because_nobody_serves(s, f)) return out;
  explanation out{.reason = "queued"};
  const std::string queue = row.queue.empty() ? "default" : clean(row.queue);
  out.sentence = fmt::format(
      "{} waits in queue '{}' {}: workers that serve it are alive, but none "
      "has taken it.",
      call, queue, since_text(s, std::max(row.requested, row.not_before)));
  out.evidence.push_back(
      fmt::format("either no worker subscribes to queue '{}', or all are full", queue));
  if (row.space != "default")
    out.evidence.push_back(fmt::format(
        "it is in namespace '{}', which only workers of that namespace see", clean(row.space)));
  out.advice = {"start a worker with --queue " + queue + of_namespace(row)};
  out.next = {{s.command("status")}};
  return out;
}

/// An owner that is gone or silent, or one that works.
maybe because_of_owner(session& s, const run_facts& f) {
  const engine::run_row& row = f.row;
  if (row.owner == 0) return std::nullopt;
  const std::string call = call_of(row);
  explanation out;
  if (!f.owner || f.owner->dead || f.owner->gone) {
    out.reason = "owner_dead";
    out.sentence = fmt::format(
        "{} belongs to a worker that has died; the next one that looks takes it over.", call);
    if (f.owner) out.evidence.push_back(worker_text(*f.owner));
    if (f.workers.empty()) out.evidence.emplace_back("no other worker is alive");
    out.next = {{s.command("status")}};
    return out;
  }
  if (f.owner->lease_until != 0 && f.owner->lease_until < f.boot_now) {
    out.reason = "lease_over";
    out.sentence = fmt::format(
        "{} is leased by a worker that stopped renewing {} ago; another worker "
        "takes it over as soon as one looks.",
        call, span_text(f.boot_now - f.owner->lease_until));
    out.evidence = {worker_text(*f.owner), "last seen " + s.time(f.owner->last_seen)};
    out.next = {{fmt::format("ps -o pid,stat,etime,cmd -p {}", f.owner->pid)},
                {s.command("status")}};
    return out;
  }
  for (const in_flight& op : f.operations)
    if (op.kind == in_flight::what::step && op.attempts > 0 && op.due > f.now) return std::nullopt;
  out.reason = "running";
  out.sentence = fmt::format("{} is running now: its worker has it, the last event was {} ({}).",
                             call, f.last_event, s.time(f.last_event_at));
  out.evidence.push_back(worker_text(*f.owner));
  for (const in_flight& op : f.operations)
    if (op.executing)
      out.evidence.push_back(fmt::format("step '{}' is executing, attempt {}, {}{}", op.name,
                                         op.attempts + 1, since_text(s, op.since),
                                         at_place(op.place)));
  for (std::string& one : task_evidence(s, f)) out.evidence.push_back(std::move(one));
  out.next = {{s.command("show", row, "--follow")}};
  return out;
}

maybe because_of_steps(session& s, const run_facts& f) {
  const std::string call = call_of(f.row);
  for (const in_flight& op : f.operations) {
    if (op.kind != in_flight::what::step) continue;
    explanation out;
    if (op.attempts == 0) continue;
    out.reason = "retrying";
    out.sentence =
        fmt::format("{} retries step '{}'{}: attempt {} {}.", call, op.name, at_place(op.place),
                    op.attempts + 1, op.due > f.now ? "comes " + s.time(op.due) : "is due");
    out.evidence.push_back("the last one failed: " + op.error);
    if (!f.row.waits.empty()) out.evidence.push_back("waits for " + clean(f.row.waits));
    if (!f.served_now("step", op.name)) {
      out.reason = "step_not_served";
      out.evidence.push_back(fmt::format("no live worker serves step '{}'", op.name));
    }
    out.next = {{s.command("show", f.row)}};
    return out;
  }
  return std::nullopt;
}

/// What it carries has to be filled in.
next_step signal_step(session& s, const engine::run_row& row, const std::string& name) {
  return {.command = s.command("signal", row, name + " [JSON]"), .whole = false};
}

maybe because_of_waits(session& s, const run_facts& f) {
  const std::string call = call_of(f.row);
  std::vector<explanation> all;
  for (const in_flight& op : f.operations) {
    explanation out;
    if (op.kind == in_flight::what::receive) {
      out.reason = "waits_for_signal";
      out.sentence =
          fmt::format("waits for signal '{}' {}, at most {}{}", op.name, since_text(s, op.since),
                      until_text(s, op.due), at_place(op.place));
      out.next = {signal_step(s, f.row, op.name)};
    } else if (op.kind == in_flight::what::sleep) {
      out.reason = "sleeps";
      out.sentence = fmt::format("sleeps {}, it began {}{}", until_text(s, op.due),
                                 s.time(op.since), at_place(op.place));
    } else if (op.kind == in_flight::what::child) {
      out.reason = "waits_for_child";
      out.sentence =
          fmt::format("waits for its child '{}' {}, which is {}{}", op.name,
                      since_text(s, op.since), text_of(op.child_state), at_place(op.place));
      out.next = {{s.command("explain", named(f.row, op.child))}};
    } else {
      continue;
    }
    all.push_back(std::move(out));
  }
  if (all.empty()) return std::nullopt;
  explanation out = all.front();
  // A signal without patience is no event before it comes: only the run's own words tell of it.
  if (all.size() == 1 && f.row.waits.find("; ") != std::string::npos)
    out.evidence.push_back("all that it waits for: " + clean(f.row.waits));
  out.sentence = call + " " + out.sentence + ".";
  for (std::size_t i = 1; i < all.size(); ++i) {
    out.evidence.push_back("it also " + all[i].sentence);
    out.next.insert(out.next.end(), all[i].next.begin(), all[i].next.end());
  }
  return out;
}

/// What the machine said when it parked: a receive without patience, a step nobody here serves.
maybe because_it_said(session& s, const run_facts& f) {
  if (f.row.waits.empty()) return std::nullopt;
  const std::string call = call_of(f.row);
  const std::string waits = clean(f.row.waits);
  explanation out{.reason = "waits"};
  out.sentence = fmt::format("{} waits for {} {}.", call, waits, since_text(s, f.row.updated));
  if (waits.starts_with("signal '")) {
    out.reason = "waits_for_signal";
    const std::string name = waits.substr(8, waits.find('\'', 8) - 8);
    out.next = {signal_step(s, f.row, name)};
  } else if (waits.find("no worker here can carry out") != std::string::npos) {
    out.reason = "step_not_served";
    out.advice = {"start a worker that serves it" + of_namespace(f.row)};
    out.next = {{s.command("status")}};
  }
  return out;
}

explanation ready(session& s, const run_facts& f) {
  explanation out{.reason = "ready"};
  const std::string call = call_of(f.row);
  out.sentence = fmt::format("{} is ready: a worker takes it as soon as one has room.", call);
  if (!f.inbox.empty())
    out.evidence.push_back(count_of(std::ssize(f.inbox), "message") + " unread");
  out.evidence.push_back(
      fmt::format("the last event was {} ({})", f.last_event, s.time(f.last_event_at)));
  out.next = {{s.command("status")}, {s.command("show", f.row)}};
  return out;
}

/// "step 'resize', attempt 1, crashed 3 times, the last 5s ago: SIGSEGV", and where.
std::string crash_evidence(session& s, const run_facts& f) {
  constexpr std::size_t frames_most = 12;
  const std::string times =
      f.crash.times() > 1 ? count_of(f.crash.times(), "time") + ", the last " : std::string();
  std::string text = fmt::format("{}, crashed {}{}: {}", crashed_part(*f.crash.last()), times,
                                 s.time(f.crash.at()), crash_text(*f.crash.last()));
  const std::string frames = frames_text(*f.crash.last(), frames_most);
  if (!frames.empty()) text += "\n" + frames;
  return text;
}

bool has_work(const run_facts& f) {
  if (!f.inbox.empty()) return true;
  return std::ranges::any_of(f.timers, [&](const auto& timer) { return timer.due <= f.now; });
}

}  // namespace

explanation reason_for(session& s, const run_facts& f) {
  if (engine::ended(f.row.state)) return because_ended(s, f);
  maybe out = because_of_attention(s, f);
  if (!out) out = because_not_begun(s, f);
  if (!out) out = because_of_owner(s, f);
  if (!out && has_work(f)) out = because_nobody_serves(s, f);
  if (!out) out = because_of_tasks(s, f);
  if (!out) out = because_of_steps(s, f);
  if (!out) out = because_of_waits(s, f);
  if (!out) out = because_it_said(s, f);
  if (!out) out = because_nobody_serves(s, f);
  if (!out) out = ready(s, f);
  if (f.crash.last()) out->evidence.push_back(crash_evidence(s, f));
  if (!f.inbox.empty() && out->reason != "ready")
    out->evidence.push_back(count_of(std::ssize(f.inbox), "message") + " unread in its inbox");
  if (f.workers.empty() && out->reason != "no_worker")
    out->evidence.emplace_back("no worker is alive to go on with it when that is over");
  if (f.row.deadline != 0) out->evidence.push_back("its deadline is " + s.time(f.row.deadline));
  if (!f.row.status.empty()) out->evidence.push_back("it says: " + clean(f.row.status));
  if (!f.damage.empty()) {
    out->evidence.push_back("damaged: " + clean(f.damage));
    out->next.push_back({s.command("verify", f.row)});
  }
  return *out;
}

}  // namespace fermata::cli
