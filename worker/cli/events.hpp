// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/event.hpp"
#include "worker/cli/session.hpp"

#include <map>
#include <optional>
#include <string>

namespace fermata::cli {

/// Of a compensation: what has compensated can only be started over (`engine::has_compensated`).
inline bool is_undoing(const engine::event& what) {
  return what.operation.starts_with("c.") && what.kind != engine::event_kind::suspicion;
}

/// One event as people read it.
struct told_event {
  std::string what;  // "step done"
  tint colour = tint::plain;
  std::string subject;  // "charge_card"
  std::string input;    // what went in, one line
  std::string outcome;  // what came out, or went wrong
  std::optional<std::int64_t> took_us;
  std::optional<std::int64_t> waited_us;
};

/// Tells a run's events, in order: what each means, how long it took, what was waited for. Remembers
/// what later events refer to.
class teller {
 public:
  teller(showing how, engine::time_us now) : how_(how), now_(now) {}

  told_event tell(const engine::event& what);
  /// What the operation is called: "charge_card"; empty when it isn't known.
  const std::string& name_of(const std::string& operation) const;

 private:
  struct begun {
    engine::time_us at = 0;
    engine::time_us due = 0;
    std::string name;
    bool patience = false;
  };
  void tell_start(const engine::event& what, told_event& out);
  void tell_command(const engine::event& what, told_event& out);
  void tell_step(const engine::event& what, told_event& out);
  void tell_attempt(const engine::event& what, told_event& out);
  void tell_outcome(const engine::event& what, told_event& out);
  void tell_note(const engine::event& what, told_event& out);
  void tell_end(const engine::event& what, told_event& out);
  std::string shown(const engine::payload& value) const { return payload_text(value, how_.reveal); }
  std::string when(engine::time_us at) const { return time_text(at, now_, how_.times); }

  showing how_;
  engine::time_us now_;
  engine::time_us started_ = 0;
  engine::time_us before_ = 0;
  std::map<std::string, begun> begun_;      // timers, children
  std::map<std::string, begun> scheduled_;  // attempts that a note told of
  std::map<std::string, std::string> names_;
};

/// "timed_out" and such have a colour of their own.
tint tint_of(const pb::failure& why);

/// A run id in 16 bytes as text; empty when there is none.
std::string id_text(const std::string& sixteen_bytes);

}  // namespace fermata::cli
