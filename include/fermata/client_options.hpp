// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/time.hpp>

#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata {

/// What `start` does when its key is bound to a run already.
enum class on_duplicate {
  attach,           ///< returns that run, open or ended, if its input is equal (else FER-1301)
  fail,             ///< throws FER-1301
  restart_if_ended  ///< as attach while it is open; a new run when it has ended
};

/// How a run is started; written in braces.
struct start_options {
  std::string key = {};  ///< your own name for the run, 1–255 bytes, unique per workflow
  fermata::on_duplicate on_duplicate = fermata::on_duplicate::attach;
  std::optional<duration> delay = {};            ///< begin that much later
  std::optional<time_point> not_after = {};      ///< not begun by then: it ends as expired
  std::optional<duration> deadline = {};         ///< the run is cancelled when it takes longer
  std::string queue = {};                        ///< empty: "default"
  int priority = 0;                              ///< higher goes first
  std::map<std::string, std::string> tags = {};  ///< at most 32
};

enum class run_state {
  waiting_to_start,
  running,
  compensating,
  completed,
  failed,
  cancelled,
  terminated,
  continued,  ///< went on as the next run of its chain
  expired     ///< not begun before its `not_after`
};

/// Why nothing happens to a run until somebody acts.
enum class attention {
  none,
  blocked,         ///< the code doesn't match its journal
  quarantined,     ///< it took its worker down too often
  paused,          ///< an operator said so
  needs_attention  ///< a compensation gave up
};

/// The words of the tables, the command and the views: "waiting_to_start", "needs_attention" …
constexpr std::string_view text_of(run_state state) noexcept;
constexpr std::string_view text_of(attention why) noexcept;
constexpr std::optional<run_state> run_state_of(std::string_view text) noexcept;
constexpr std::optional<attention> attention_of(std::string_view text) noexcept;

/// What a run looks like from outside.
struct run_info {
  std::string id;        ///< run_…
  std::string key = {};  ///< the caller's name, empty when none was given
  std::string workflow = {};
  run_state state = run_state::running;
  fermata::attention attention = fermata::attention::none;
  std::string status = {};       ///< the run's own line
  std::string waiting_for = {};  ///< one line: why it isn't further
  std::string error = {};        ///< the failure, or the report behind `attention`
  std::string error_type = {};   ///< what the failure calls itself
  std::string build = {};        ///< of the worker that began it
  std::string queue = {};
  int priority = 0;
  std::string chain = {};   ///< id of the chain's first run
  std::string parent = {};  ///< id of the run that started this one as a child
  time_point created_at = {};
  std::optional<time_point> started_at = {};
  std::optional<time_point> ended_at = {};
  std::map<std::string, std::string> tags = {};
  std::size_t events = 0;
};

/// Which runs `list` returns, the newest first; what is empty doesn't matter.
struct run_filter {
  std::string workflow = {};
  std::optional<run_state> state = {};
  std::map<std::string, std::string> tags = {};  ///< all of them
  std::string key = {};
  std::optional<time_point> since = {};  ///< created then or later
  std::optional<time_point> until = {};  ///< created before then
  std::size_t at_most = 100;
  std::string cursor = {};  ///< `run_page::next` of the page before
};

/// One page of a list.
struct run_page {
  std::vector<run_info> runs;
  std::string next = {};  ///< give it as `cursor` to go on; empty at the end

  auto begin() const noexcept { return runs.begin(); }
  auto end() const noexcept { return runs.end(); }
  std::size_t size() const noexcept { return runs.size(); }
  bool empty() const noexcept { return runs.empty(); }
  const run_info& operator[](std::size_t i) const { return runs[i]; }
};

namespace detail {
inline constexpr std::string_view run_states[] = {"waiting_to_start", "running",   "compensating",
                                                  "completed",        "failed",    "cancelled",
                                                  "terminated",       "continued", "expired"};
inline constexpr std::string_view attentions[] = {"none", "blocked", "quarantined", "paused",
                                                  "needs_attention"};
}  // namespace detail

constexpr std::string_view text_of(run_state state) noexcept {
  return detail::run_states[static_cast<std::size_t>(state)];
}
constexpr std::string_view text_of(attention why) noexcept {
  return detail::attentions[static_cast<std::size_t>(why)];
}
constexpr std::optional<run_state> run_state_of(std::string_view text) noexcept {
  for (std::size_t i = 0; i < std::size(detail::run_states); ++i)
    if (detail::run_states[i] == text) return static_cast<run_state>(i);
  return std::nullopt;
}
constexpr std::optional<attention> attention_of(std::string_view text) noexcept {
  for (std::size_t i = 0; i < std::size(detail::attentions); ++i)
    if (detail::attentions[i] == text) return static_cast<attention>(i);
  return std::nullopt;
}

}  // namespace fermata
