// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/crash.hpp"

#include "worker/cli/text.hpp"

#include <fmt/format.h>

#include <cstring>

namespace fermata::cli {

namespace {

constexpr std::string_view fault = "fault at ";

/// Else it says where the fault was, or how many frames were left out.
bool is_frame(const std::string& line) {
  return line.find("0x") != std::string::npos && !line.starts_with(fault);
}

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

}  // namespace

std::string crash_text(const pb::attempt& what) {
  if (what.signal() == 0) return {};
  std::string text = signal_text(what.signal());
  for (const std::string& line : lines_in(what.backtrace()))
    if (line.starts_with(fault)) text += ", " + clean(line);
  return text;
}

std::string crashed_part(const pb::attempt& what) {
  if (what.number() == 0) return "the workflow's own code";
  return fmt::format("step '{}', attempt {}", clean(what.step()), what.number());
}

std::string frames_text(const pb::attempt& what, std::size_t at_most) {
  std::string text;
  std::size_t frames = 0;
  for (const std::string& line : lines_in(what.backtrace())) {
    if (!is_frame(line)) continue;
    if (frames < at_most)
      text += fmt::format("{}#{} {}", frames == 0 ? "" : "\n", frames, clean(line));
    ++frames;
  }
  if (frames > at_most) text += fmt::format("\n… {} more", frames - at_most);
  return text;
}

void crash_story::take(const engine::event& what) {
  if (what.kind == engine::event_kind::attempt_crashed) {
    times_ = last_ && operation_ == what.operation ? times_ + 1 : 1;
    last_ = what.details.attempt();
    at_ = what.at;
    operation_ = what.operation;
    return;
  }
  const engine::event_class of = engine::class_of(what.kind);
  const bool further = of == engine::event_class::outcome || of == engine::event_class::command;
  if (!further || (!operation_.empty() && operation_ != what.operation)) return;
  last_.reset();
  times_ = 0;
}

}  // namespace fermata::cli
