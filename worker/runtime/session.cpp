// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/session.hpp"

#include "engine/failpoint.hpp"
#include "engine/limits.hpp"
#include "engine/ports/make_id.hpp"
#include "src/convert.hpp"
#include "worker/build_id.hpp"
#include "worker/log.hpp"
#include "worker/ports/io_threads.hpp"

#include <fmt/format.h>

#include <pthread.h>
#include <unistd.h>

#include <climits>
#include <system_error>

namespace fermata::runtime {

namespace {

std::string build_of(const worker_options& options) {
  if (options.build && !options.build->empty()) return *options.build;
  return detail::own_build_id();
}

/// Steps at once, all queues together.
std::size_t places_of(const worker_options& options) {
  int places = std::max(1, options.concurrency);
  for (const served_queue& queue : options.queues) places += std::max(0, queue.concurrency);
  return static_cast<std::size_t>(places);
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

}  // namespace

session::session(detail::journal_impl& journal, std::shared_ptr<const registry> serves,
                 const worker_options& options, std::shared_ptr<bell> wakes,
                 const stop_request& stopping)
    : journal_(journal),
      store_(journal.store()),
      serves_(std::move(serves)),
      build_(build_of(options)),
      drain_grace_(options.drain_grace),
      pool_(places_of(options)),
      bell_(std::move(wakes)),
      stopping_(stopping) {
  enter_store(options);
}

session::~session() {
  host_->close();
  loop_.reset();
}

void session::enter_store(const worker_options& options) {
  engine::worker_row who;
  who.id = engine::new_worker_id(journal_.time(), journal_.chance());
  who.host = host_name();
  who.pid = ::getpid();
  who.build = build_;
  for (const served_queue& queue : options.queues) who.queues.push_back(queue.name);
  auto made = store_.register_worker(who);
  detail::raise(made.status());
  engine::failpoint("register.after");
  me_ = std::move(*made);
  if (const std::string path = box_path(me_.slot); !path.empty()) {
    black_box::install_handlers();
    try {
      box_ = black_box::open(path, me_.id.text(), places_of(options) + 8, &journal_.time());
    } catch (const std::system_error& why) {
      log(level::warning, fmt::format("no black box, crashes won't be attributed: {}", why.what()));
    }
  }
  if (const absl::Status told = put_serving(); !told.ok()) {
    store_.leave(me_.row).IgnoreError();
    detail::raise(told);
  }
  lineage_ = store_.lineage();
  host_ = std::make_shared<attempt_host>(
      attempt_host::parts{.serves = serves_,
                          .store = journal_.shared_store(),
                          .time = journal_.shared_time(),
                          .box = box_,
                          .wake = [bell = bell_] { bell->ring(); },
                          .make_io =
                              [] {
                                const auto io = std::make_shared<io_threads>(1);
                                return std::shared_ptr<void>(io, io->context());
                              }});
  loop_options how;
  how.concurrency = std::max(1, options.concurrency);
  how.max_runs = std::max(1, options.max_runs);
  how.queues = me_.queues;
  for (const served_queue& queue : options.queues)
    if (queue.concurrency > 0) how.places.push_back({queue.name, queue.concurrency});
  how.build = build_;
  how.own_build_only = options.own_build_only;
  how.defaults = detail::plan_of(options.steps);
  if (options.record_input == record_input::hash) how.record_input_max = 0;
  loop_ = std::make_unique<run_loop>(journal_, host_, me_.row, std::move(how), *this);
}

absl::Status session::put_serving() {
  std::vector<engine::serving_row> rows;
  auto add = [&](const char* kind, const auto& entry) {
    engine::serving_row row;
    row.kind = kind;
    row.name = entry.name;
    row.input_type = entry.input.type;
    row.input_shape = entry.input.shape;
    row.result_shape = entry.result.shape;
    row.build = build_;
    row.worker = me_.id;
    rows.push_back(std::move(row));
  };
  for (const auto& [name, entry] : serves_->workflows()) add("workflow", entry);
  for (const auto& [name, entry] : serves_->steps()) add("step", entry);
  return store_.put_serving(me_.row, rows);
}

std::string session::box_path(int slot) const {
  auto info = store_.info();
  if (!info.ok() || info->beside.empty()) return {};
  return fmt::format("{}-blackbox-{}", info->beside, slot);
}

// ---- the loop's thread ----

bool session::run() {
  ::pthread_setname_np(::pthread_self(), "fermata-loop");
  black_box::prepare_thread();
  journal_.attach_worker(loop_.get());
  guard_ = std::thread([this] { guard(); });
  while (stopping_.load() == 0 && !dead_.load()) {
    const std::int64_t due = loop_->turn();
    if (stopping_.load() == 0 && !dead_.load()) sleep_until(due);
  }
  loop_->stop_claiming();
  if (dead_.load())
    loop_->stop_attempts();
  else
    drain();
  journal_.attach_worker(nullptr);
  {
    const std::lock_guard lock(guard_mutex_);
    guard_over_ = true;
  }
  guard_stop_.notify_all();
  guard_.join();
  pool_.abandon_running();
  journal_.writer().drain();
  if (!dead_.load()) {
    engine::failpoint("leave.before");
    // Before its slot is free for another worker's.
    if (box_) black_box::remove(box_path(me_.slot));
    if (auto left = store_.leave(me_.row); !left.ok())
      log(level::warning, std::string(left.message()));
    engine::failpoint("leave.after");
  }
  return !dead_.load() || stopping_.load() != 0;
}

void session::sleep_until(std::int64_t steady_us) noexcept {
  asleep_ = true;
  bell_->sleep_until(steady_us);
  asleep_ = false;
}

void session::drain() {
  const std::int64_t begun = journal_.time().steady_now_us();
  const std::int64_t patience = drain_grace_.count() * 1000;
  bool told = false;
  while (!loop_->idle() || loop_->attempts() > 0) {
    const std::int64_t now = journal_.time().steady_now_us();
    if (!told && (stopping_.load() >= 2 || now - begun >= patience)) {
      loop_->stop_attempts();
      told = true;
    }
    if (stopping_.load() >= 2 || now - begun >= patience + 1'000'000) break;
    (void)loop_->turn();
    if (loop_->idle() && loop_->attempts() == 0) break;
    sleep_until(now + 50'000);
  }
}

void session::log(level how, std::string_view text) {
  detail::say(how, text, {{"worker", me_.id.text()}});
}

void session::run_line(const engine::log_line& line) {
  detail::say(static_cast<level>(line.level), line.text,
              {{"run", line.run.text()}, {"place", line.place}});
}

void session::leased(std::int64_t since_boot_us) noexcept { host_->held.claimed(since_boot_us); }

}  // namespace fermata::runtime
