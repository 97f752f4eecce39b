// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/log.hpp>

#include <cstdint>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the process says of itself, as opposed to the logs of runs (`ctx.log`). One sink per
/// process, which `main` sets; libraries only speak.
///
///   say(level::warning, "workflow code didn't come back for 1.2s",
///       {{"run", id.text()}, {"place", "orders.cpp:41"}});
namespace fermata::detail {

/// The names in use: run, worker, place, step, operation, queue, module, code.
struct log_field {
  std::string_view name;
  std::string_view value;
};

struct log_record {
  std::int64_t at_us = 0;  // wall clock
  fermata::level level = fermata::level::info;
  std::string_view message;
  std::span<const log_field> fields;
};

/// Threads: `write` from any.
class log_sink {
 public:
  virtual ~log_sink() = default;
  virtual bool wants(level how_urgent) const noexcept = 0;
  virtual void write(const log_record& what) noexcept = 0;
};

/// Returns the one before. Null: warnings and errors go to standard error as text.
/// Lifetime: the sink outlives its use; put the one before back first.
log_sink* set_log_sink(log_sink* sink) noexcept;

/// Never throws: what can't be said isn't.
void say(level how_urgent, std::string_view message,
         std::initializer_list<log_field> fields = {}) noexcept;
/// For messages that are expensive to make.
bool is_said(level how_urgent) noexcept;

enum class log_format { text, json };

/// One line a record, without its end. Control characters are escaped, so that a line is a record.
std::string text_line(const log_record& what, bool colour);
std::string json_line(const log_record& what);

std::string_view name_of(level how_urgent) noexcept;
std::optional<level> level_named(std::string_view text) noexcept;

/// Lines to a descriptor, each with one write. Coloured when it is a terminal and NO_COLOR isn't
/// set.
class line_sink final : public log_sink {
 public:
  line_sink(int descriptor, log_format format, level least);
  bool wants(level how_urgent) const noexcept override { return how_urgent >= least_; }
  void write(const log_record& what) noexcept override;

 private:
  int descriptor_;
  log_format format_;
  level least_;
  bool colour_;
};

/// Keeps what is said while it lives: for tests.
class captured_log final : public log_sink {
 public:
  captured_log() : before_(set_log_sink(this)) {}
  ~captured_log() override { set_log_sink(before_); }
  captured_log(const captured_log&) = delete;
  captured_log& operator=(const captured_log&) = delete;

  bool wants(level) const noexcept override { return true; }
  void write(const log_record& what) noexcept override;
  /// "warning: workflow code didn't come back run=run_… place=orders.cpp:41", without times.
  std::vector<std::string> lines() const;

 private:
  log_sink* before_;
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // guarded by mutex_
};

}  // namespace fermata::detail
