// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/store.hpp"
#include "src/journal_impl.hpp"
#include "worker/cli/errors.hpp"
#include "worker/cli/json_out.hpp"
#include "worker/cli/table.hpp"
#include "worker/cli/terminal.hpp"
#include "worker/cli/times.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fermata::cli {

enum class output { table, wide, json, jsonl, ids };

/// How a command opens the journal.
enum class opening {
  none,      // it needs none
  existing,  // a journal that isn't there is an error
  creating,  // a missing one is made
  looking,   // for reading only
  migrating  // an older layout is brought up to date
};

/// The flags that all commands have.
struct common_flags {
  std::string journal;
  std::string ns = "default";
  std::string output = "table";
  std::string times;
  bool yes = false;
};

/// One call of the command: where it writes, how, and the journal it is about.
class session {
 public:
  session(world& where, const common_flags& flags, opening how);

  // ---- the journal ----
  engine::store& store();
  detail::journal_impl& journal();
  const std::string& ns() const { return ns_; }
  const std::string& address() const { return address_; }
  /// Whether the file that the address names isn't there: so that who only asks doesn't make it.
  bool has_no_journal() const;
  engine::time_us now() { return store().now(); }

  // ---- output ----
  std::ostream& out() const { return world_.out; }
  std::ostream& err() const { return world_.err; }
  world& where() const { return world_; }
  output how() const { return output_; }
  bool as_json() const { return output_ == output::json || output_ == output::jsonl; }
  bool as_table() const { return output_ == output::table || output_ == output::wide; }
  bool colour() const { return colour_; }
  bool err_colour() const { return err_colour_; }
  bool yes() const { return yes_; }
  /// Columns that a table may take; 0: no limit (a pipe, or -o wide).
  std::size_t width() const { return output_ == output::wide ? 0 : world_.width; }
  std::string paint(std::string_view text, tint how) const { return painted(text, how, colour_); }
  std::string time(engine::time_us at) { return time_text(at, now(), times_); }
  time_style times() const { return times_; }
  showing shown(bool reveal = false) const;

  /// One document: indented with json, a line with jsonl.
  void print(const boost::json::value& what) const;
  /// What to type next about this run: "fermata VERB RUN", with the flags without which it would be
  /// about another journal or namespace.
  std::string command(std::string_view verb, const engine::run_row& row,
                      std::string_view more = "") const;
  /// The same for one that is about no run.
  std::string command(std::string_view verb) const;

  /// A word of help for people, on standard error; silent when nobody looks.
  void hint(const std::string& text) const;
  table make_table(std::vector<column> columns) const {
    return {std::move(columns), width(), colour_};
  }
  card make_card() const { return {width(), colour_}; }

 private:
  world& world_;
  std::string address_;
  std::string ns_;
  std::string said_;  // -j, as it was said on the command line
  opening opening_;
  output output_ = output::table;
  time_style times_ = time_style::iso;
  bool colour_ = false;
  bool err_colour_ = false;
  bool yes_ = false;
  std::shared_ptr<engine::clock> time_;
  std::shared_ptr<engine::random> chance_;
  std::shared_ptr<engine::store> store_;
  std::unique_ptr<detail::journal_impl> journal_;
};

/// The colour of a state, and of an event's class.
tint tint_of(engine::run_state state, engine::attention why = engine::attention::none);
/// "running", "running · blocked".
std::string state_text(const engine::run_row& row);
/// "order-42", or its id: what a person would type next.
std::string call_of(const engine::run_row& row);
/// Who uses the command: "ada@host (fermata)".
std::string who(const world& where);

}  // namespace fermata::cli
