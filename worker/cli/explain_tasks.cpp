// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/explain.hpp"
#include "worker/cli/queues.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fermata::cli {

namespace {

std::string sentence_of(session& s, const run_facts& f, const engine::task_row& task) {
  return fmt::format("step '{}' {}", clean(task.step),
                     task_text(s, task, f.all_workers, f.serving));
}

bool nobody_takes(const run_facts& f, const engine::task_row& task) {
  return task.owner == 0 && takers_of(f.workers, f.serving, task.queue, task.step).of_step == 0;
}

/// The journal says that it is out, and it is in no queue: its owner puts it again when it looks.
std::optional<explanation> because_a_task_is_missing(session& s, const run_facts& f) {
  const auto lost = std::ranges::find_if(f.operations, &in_flight::queued);
  if (lost == f.operations.end() || f.row.owner != 0 || !f.inbox.empty()) return std::nullopt;
  explanation out{.reason = "step_missing"};
  out.sentence = fmt::format(
      "{}: step '{}' should be in queue {} {} and isn't; when its run is looked at, it is put "
      "there "
      "again.",
      call_of(f.row), lost->name, lost->queue, since_text(s, lost->since));
  out.next = {{s.command("signal", f.row, "look"), "any signal makes it look"}};
  return out;
}

}  // namespace

std::vector<std::string> task_evidence(session& s, const run_facts& f) {
  std::vector<std::string> all;
  for (const engine::task_row& task : f.tasks) all.push_back(sentence_of(s, f, task));
  return all;
}

/// What nobody takes is told first, then what waits, then what is executed.
std::optional<explanation> because_of_tasks(session& s, const run_facts& f) {
  if (f.tasks.empty()) return because_a_task_is_missing(s, f);
  const auto urgency = [&](const engine::task_row& task) {
    return nobody_takes(f, task) ? 0 : task.owner == 0 ? 1 : 2;
  };
  const engine::task_row& first = *std::ranges::min_element(f.tasks, {}, urgency);
  explanation out;
  out.sentence = fmt::format("{}: {}.", call_of(f.row), sentence_of(s, f, first));
  switch (urgency(first)) {
    case 0: {
      out.reason = "step_not_served";
      const bool other_space = f.row.space != "default";
      out.advice = {fmt::format("start a worker that serves step '{}', with --queue {}{}",
                                clean(first.step), clean(first.queue),
                                other_space ? " --namespace " + clean(f.row.space) : "")};
      out.next = {{s.command("status")}};
      break;
    }
    case 1:
      out.reason = "step_queued";
      out.next = {{s.command("status")}};
      break;
    default:
      out.reason = "step_executing";
      out.next = {{s.command("show", f.row, "--follow")}};
  }
  for (const engine::task_row& task : f.tasks)
    if (&task != &first) out.evidence.push_back(sentence_of(s, f, task));
  for (const in_flight& op : f.operations) {
    const bool is_first = op.operation == first.operation;
    if (is_first && !op.error.empty())
      out.evidence.push_back("the last attempt failed: " + op.error);
    if (is_first && !op.place.empty()) out.evidence.push_back("asked for at " + op.place);
  }
  return out;
}

}  // namespace fermata::cli
