// SPDX-License-Identifier: Apache-2.0
// W12: how large is a worker program, how soon has it ended a first run, and what does it take when
// there is nothing to do?
#include "bench/bench.hpp"
#include "bench/host.hpp"
#include "bench/usage.hpp"
#include "bench/workers.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace fermata::bench {

namespace {

/// The one that has this store.
std::string minimal_worker(const settings& how) {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() /
         ("fermata-minimal-worker-" +
          std::string(how.on == store_kind::postgres ? "postgres" : "sqlite"));
}

/// The worker program, which says nothing.
class program {
 public:
  program(const std::string& file, std::vector<std::string> words) {
    words.insert(words.begin(), file);
    std::vector<char*> pointers;
    for (std::string& one : words) pointers.push_back(one.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (const int open : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&files, open, "/dev/null", O_RDWR, 0);
    const int failed = ::posix_spawn(&id_, pointers[0], &files, nullptr, pointers.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed != 0) {
      std::fprintf(stderr, "fermata-bench: W12: %s can't be started; build fermata_bench\n",
                   pointers[0]);
      std::exit(1);
    }
  }
  ~program() {
    if (id_ > 0) ::kill(id_, SIGTERM);
    ended();
  }
  program(const program&) = delete;

  /// Waits for it.
  void ended() {
    if (id_ > 0) ::waitpid(id_, nullptr, 0);
    id_ = 0;
  }
  int id() const { return id_; }

 private:
  int id_ = 0;
};

/// Seconds of processor time of a process' threads, exact to far below a tick.
double cpu_s_of(int process) {
  double ns = 0;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    std::ifstream file(thread.path() / "schedstat");
    double running = 0;
    if (file >> running) ns += running;
  }
  return ns * 1e-9;
}

struct idle {
  double rss_mb = 0, cpu_s = 0;
  std::uint64_t statements = 0;
};

/// A worker process, whose memory and processor time are looked at, and a worker in this process,
/// whose statements are counted: each with a journal of its own.
idle rest(const settings& how, const program& other, double seconds) {
  const auto on = make_ground(how, "w12idle");
  host here(*on, {});
  here.run();
  (void)here.client.start(ten_steps, make_work(1, 0, how.payload_bytes)).result();
  here.wait_until_quiet();
  const double cpu_before = cpu_s_of(other.id());
  const std::uint64_t before = used_until_now().statements;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  return {.rss_mb = resident_mb_of(other.id()),
          .cpu_s = cpu_s_of(other.id()) - cpu_before,
          .statements = used_until_now().statements - before};
}

}  // namespace

void w12_footprint(const settings& how, report& to) {
  const std::string file = minimal_worker(how);
  std::vector<double> first_runs, bare_starts, commits;
  idle resting;
  const double idle_s = how.idle_seconds > 0 ? how.idle_seconds : how.seconds;
  for (int i = 0; i < how.repeat; ++i) {
    double began = now_s();
    program(file, {"--version"}).ended();
    bare_starts.push_back(now_s() - began);
    const auto on = make_ground(how, "w12");
    const journal here = open(on->address());
    const auto waiting = client(here).start(no_op, 1);
    for (const double took : on->commits()->idle(20)) commits.push_back(took);
    began = now_s();
    const program worker(file, {"--journal", on->address()});
    (void)waiting.result();
    first_runs.push_back(now_s() - began);
    if (i + 1 == how.repeat) resting = rest(how, worker, idle_s);
  }
  const double bytes = static_cast<double>(std::filesystem::file_size(file));
  line out("W12");
  out.put("stripped_mb", bytes / (1024 * 1024))
      .put("first_run_p50_ms", percentile(first_runs, 0.5) * 1e3, 1)
      .put("probe_exec_p50_ms", percentile(bare_starts, 0.5) * 1e3, 1)
      .put("probe_idle_commit_p50_ms", percentile(commits, 0.5) * 1e3, 3)
      .put("idle_s", idle_s, 1)
      .put("idle_rss_mb", resting.rss_mb, 1)
      .put("idle_cpu_ms", resting.cpu_s * 1e3)
      .put("idle_statements", static_cast<double>(resting.statements), 0)
      .put("statements_per_hour", static_cast<double>(resting.statements) * 3600 / idle_s, 0);
  to.add(std::move(out));
}

}  // namespace fermata::bench
