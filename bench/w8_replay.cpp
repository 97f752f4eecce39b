// SPDX-License-Identifier: Apache-2.0
// W8: how many events per second does a run's history come back with, from a file that nobody has
// read yet, through store, decoder, machine and coroutine?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"

#include "engine/event/encode.hpp"
#include "engine/ports/make_id.hpp"
#include "engine/ports/real.hpp"
#include "engine/store/projection.hpp"
#include "engine/store/store.hpp"
#include "src/convert.hpp"
#include "src/live_run.hpp"
#include "worker/runtime/history.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace fermata::bench {

namespace {

task<work> run_many(context& ctx, work input) {
  for (std::int64_t i = 0, steps = input.run; i < steps; ++i)
    input = co_await ctx.call(do_nothing, input);
  co_return input;
}

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "fermata-bench: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T must(absl::StatusOr<T> what) {
  if (what.ok()) return *std::move(what);
  fail(std::string(what.status().message()));
}

/// Histories as a worker would have written them, and the code that replays them.
class histories {
 public:
  explicit histories(std::string path, std::size_t payload_bytes)
      : path_(std::move(path)),
        bytes_(payload_bytes),
        code_(detail::erase_workflow<work, work>(run_many)) {
    remove_journal(path_);
    store_ = must(engine::open_store("sqlite:" + path_));
  }

  /// A run of so many events that waits for its last step.
  engine::run_id make(std::size_t events) {
    engine::start_request request = start_of(events);
    std::vector<engine::encoded_event> stored;
    engine::run_changes changes;
    auto live = make_live(request.run);
    const auto add = [&](engine::event& what) {
      what.position = stored.size() + 1;
      what.epoch = 1;
      const auto salt = chance_.salt16();
      stored.push_back(engine::encode(request.run,
                                      stored.empty() ? engine::chain_hash{} : stored.back().chain,
                                      what, {salt.data(), salt.size()}));
      engine::fold_changes(request.run, what, changes);
      live->deliver(what);
    };
    engine::event first = engine::make_start_event(request, time_.wall_now(), 1, "bench");
    add(first);
    live->go_live();
    while (stored.size() < events) {
      live->machine().set_time(time_.wall_now());
      for (engine::attempt_start& start : live->machine().take_starts())
        live->machine().attempt_ended(start.op, {.number = 1, .value = std::move(start.input)});
      for (engine::produced& made : live->machine().take_events()) add(made.what);
    }
    if (!store_->begin_copy(request, stored, changes, {}).ok()) std::exit(1);
    return request.run;
  }

  /// Nothing of the file is in memory afterwards.
  void chill() {
    store_.reset();
    for (const char* end : {"", "-wal"}) {
      const int file = ::open((path_ + end).c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0) continue;
      ::fsync(file);
      ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
      ::close(file);
    }
    store_ = must(engine::open_store("sqlite:" + path_));
  }

  /// Returns how many events it delivered.
  std::size_t replay(const engine::run_id& run) {
    auto live = make_live(run);
    const engine::head head = must(store_->read_head(run));
    runtime::history found = runtime::read_history(*store_, run, head.position, {}, [] {});
    if (found.why != runtime::history::problem::none) fail(found.text);
    live->machine().history_ends_at(head.position);
    for (engine::event& what : found.events) live->deliver(std::move(what));
    live->go_live();
    if (live->machine().take_starts().size() != 1)
      fail("a replayed run doesn't stand at its last step");
    return found.events.size();
  }

 private:
  engine::start_request start_of(std::size_t events) {
    engine::start_request request;
    request.run = request.chain = request.origin = engine::new_run_id(time_, chance_);
    const auto seed = chance_.salt16();
    request.seed.assign(seed.data(), seed.size());
    request.workflow = "run_many";
    request.queue = "default";
    request.requested = time_.wall_now();
    request.input =
        detail::to_engine(detail::encode(make_work(static_cast<std::int64_t>(events), 0, bytes_)));
    return request;
  }

  std::unique_ptr<detail::live_run> make_live(const engine::run_id& run) {
    engine::machine_options options;
    options.run = options.chain = run;
    return std::make_unique<detail::live_run>(std::move(options), code_, defaults_);
  }

  const std::string path_;
  const std::size_t bytes_;
  const detail::workflow_function code_;
  const engine::step_plan defaults_;
  engine::real_clock time_;
  engine::real_random chance_;
  std::shared_ptr<engine::store> store_;
};

void replay_some(const settings& how, std::size_t events, std::size_t runs, report& to) {
  histories all(how.folder + "/w8.db", how.payload_bytes);
  std::vector<engine::run_id> ids;
  for (std::size_t i = 0; i < runs; ++i) ids.push_back(all.make(events));
  std::vector<double> speeds;
  double cpu = 0;
  forget_peak();
  for (int i = 0; i < how.repeat; ++i) {
    all.chill();
    const double cpu_before = used_until_now().cpu_s;
    const double began = now_s();
    std::size_t delivered = 0;
    for (const engine::run_id& id : ids) delivered += all.replay(id);
    speeds.push_back(static_cast<double>(delivered) / (now_s() - began));
    cpu += used_until_now().cpu_s - cpu_before;
  }
  const double replayed = static_cast<double>(events * runs) * how.repeat;
  to.add(line("W8")
             .put("histories", static_cast<double>(runs), 0)
             .put("events_each", static_cast<double>(events), 0)
             .put("events_per_s", median(speeds), 0)
             .put("cpu_us_per_event", cpu * 1e6 / replayed)
             .put("peak_rss_mb", peak_mb(), 1));
  remove_journal(how.folder + "/w8.db");
}

}  // namespace

void w8_replay(const settings& how, report& to) {
  for (const int events : how.events) replay_some(how, static_cast<std::size_t>(events), 1, to);
  replay_some(how, 65, how.runs > 0 ? static_cast<std::size_t>(how.runs) : 10'000, to);
}

}  // namespace fermata::bench
