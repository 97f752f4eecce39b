// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/event/ids.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::engine {
class clock;
}

namespace fermata::runtime {

/// What the process was doing when it died: a small mapped file beside the journal, one slot per
/// executing attempt or running coroutine, written without sync; it survives the process, not the
/// machine. The signal handler adds signal, thread and backtrace. PROTOCOL §4, Crashes.
/// Threads: any; `leave` and `mark_runaway` also from another thread than `enter`.
class black_box {
 public:
  struct entry {
    engine::run_id run;
    std::string operation;  // empty: workflow code; cut after 63 bytes
    std::string step;       // cut after 127 bytes
    int attempt = 0;
    bool alone = false;
    std::int64_t since = 0;  // wall clock, µs
    int signal = 0;          // set by the handler, for the thread that died
    // A line a frame, "liborders.so+0x1a2b [build id]", innermost first; before them, for an access
    // to memory, "fault at address 0x10".
    std::string backtrace;
    bool runaway = false;  // marked by the guard
  };

  /// Makes (or overwrites) the file. `slots`: how many things go on at once. `time`: null is the
  /// kernel's clock.
  /// Throws: `std::system_error` when the file can't be made; its room on the disk is taken now.
  static std::unique_ptr<black_box> open(const std::string& path, std::string_view worker,
                                         std::size_t slots, engine::clock* time = nullptr);
  virtual ~black_box() = default;  // the file stays

  /// Marks what the calling thread does from now on; returns the slot for `leave`. Cheap: no
  /// system call, no lock. When all slots are taken: -1, which the calls below ignore.
  virtual int enter(const engine::run_id& run, std::string_view operation, std::string_view step,
                    int attempt, bool alone) noexcept = 0;
  virtual void leave(int slot) noexcept = 0;
  /// What was entered waits, and goes on on the calling thread: a crash of a thread is only put down
  /// to what that thread was at. `pause` does nothing when another thread is at it.
  virtual void pause(int slot) noexcept = 0;
  virtual void resume(int slot) noexcept = 0;
  /// The guard's mark on workflow code that doesn't come back.
  virtual void mark_runaway(int slot) noexcept = 0;

  /// Handlers for SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT that write into every open box, then let
  /// the signal take its course. Once per process; async-signal-safe. Prepares the calling thread.
  static void install_handlers();
  /// Gives the calling thread a stack for the handlers, for its lifetime: without it an overflow of
  /// its own stack isn't attributed. Threads of a `step_pool` have it.
  static void prepare_thread();
  /// Looks anew at what is loaded, for the names in backtraces: after a dlopen.
  static void note_modules();

  /// What a dead worker left. Empty when there is no file. The torn and the foreign are skipped.
  static std::vector<entry> read(const std::string& path, std::string* worker = nullptr);
  static void remove(const std::string& path);
};

}  // namespace fermata::runtime
