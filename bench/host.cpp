// SPDX-License-Identifier: Apache-2.0
#include "bench/host.hpp"

#include "bench/usage.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace fermata::bench {

namespace {
constexpr std::size_t runs_max = 8'000'000;
}

work make_work(std::int64_t run, int step, std::size_t bytes) {
  // {"run":12345,"step":10,"text":"…"}
  constexpr std::size_t around = 34;
  return {run, step, std::string(bytes > around ? bytes - around : 0, 'x')};
}

task<work> run_ten_steps(context& ctx, work input) {
  for (int i = 0; i < steps_per_run; ++i) {
    input.step = i;
    input = co_await ctx.call(do_nothing, input);
  }
  co_return input;
}

// Pages that nobody touches take no memory.
executions::executions()
    : counts_(static_cast<std::atomic<std::uint8_t>*>(
          std::calloc(runs_max * steps_per_run, sizeof(std::atomic<std::uint8_t>)))) {}
executions::~executions() { std::free(static_cast<void*>(counts_)); }

void executions::note(const work& what) noexcept {
  const auto run = static_cast<std::size_t>(what.run);
  if (run < runs_max)
    counts_[run * steps_per_run + static_cast<std::size_t>(what.step)].fetch_add(
        1, std::memory_order_relaxed);
}

executions::verdict executions::judge(std::int64_t completed) const {
  verdict found;
  for (std::int64_t i = steps_per_run; i < (completed + 1) * steps_per_run; ++i) {
    const int times = counts_[i].load(std::memory_order_relaxed);
    if (times == 0) ++found.lost;
    if (times > 1) ++found.repeated;
  }
  return found;
}

void remove_journal(const std::string& path) {
  const std::filesystem::path file(path);
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path()))
    if (entry.path().filename().string().starts_with(file.filename().string()))
      std::filesystem::remove(entry.path());
}

namespace {
journal open_new(const std::string& path) {
  remove_journal(path);
  return open("sqlite:" + path);
}
}  // namespace

host::host(const std::string& path, worker_options options)
    : journal(open_new(path)), worker(journal, std::move(options)), client(journal), path_(path) {
  worker.serve(do_nothing, [this](const work& what) {
    ran.note(what);
    return what;
  });
  worker.serve(ten_steps, run_ten_steps);
}

host::~host() {
  worker.stop();
  if (working_.joinable()) working_.join();
}

void host::run() {
  working_ = std::thread([this] { worker.run(); });
}

/// The third number of the file through which processes wake each other.
std::uint32_t host::commits() const {
  std::uint32_t count = 0;
  const int file = ::open((path_ + "-wake").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  if (::pread(file, &count, sizeof count, 8) != sizeof count) count = 0;
  ::close(file);
  return count;
}

void host::wait_until_quiet() const {
  std::uint32_t before = commits() + 1;
  while (commits() != before) {
    before = commits();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

}  // namespace fermata::bench
