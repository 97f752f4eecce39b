// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/process.hpp"

#include "engine/limits.hpp"
#include "engine/ports/make_id.hpp"
#include "tests/attack/simulation/workload.hpp"
#include "worker/worker_impl.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fermata::simulation {

namespace {

constexpr micros soon = 50;  // until a thread that was woken runs
constexpr micros drain_grace = 10 * second;
constexpr std::uint32_t roles = 16;  // numbers of a process's actors

}  // namespace

process::process(world& in, int slot) : in_(in), slot_(slot), name_("w" + std::to_string(slot)) {
  const auto drawn = [&](std::uint32_t permille, std::uint32_t sides, const char* what) {
    const auto value =
        in_.by.ask(choice::setting, static_cast<std::uint32_t>(slot), permille, sides);
    if (value != 0) in_.tell_decision("{} begins {} ({})", name_, what, value);
    return value;
  };
  options_.queues = {"default", std::string(far)};
  options_.build = "simulated";
  options_.evict_always = drawn(150, 1, "with frames that leave memory at once") != 0;
  if (const auto frames = drawn(200, 4, "with room for few frames")) options_.frames_max = frames;
  if (const auto runs = drawn(200, 4, "with room for few runs"))
    options_.max_runs = static_cast<int>(runs);
  if (const auto places = drawn(200, 3, "with few places for steps"))
    options_.concurrency = static_cast<int>(places);
  options_.inline_commits = drawn(150, 1, "as one that commits by itself") != 0;
  const std::size_t lanes = drawn(500, 1, "with three lanes") != 0 ? 3 : 1;
  store_ = std::make_shared<faulty_store>(in_, at_, lanes);
  journal_ = std::make_shared<detail::journal_impl>(
      store_, "default", in_.time,
      std::make_shared<engine::seeded_random>(in_.by.fixed(
          static_cast<std::uint64_t>(in_.turns.now()) << 8 | static_cast<std::uint64_t>(slot))));
  journal_->pump_with([](std::int64_t) { return false; });
  journal_->writer().by_hand([this] {
    for (const std::shared_ptr<actor>& one : writers_) in_.turns.ring(one);
  });
  serve_programs(worker_);
}

process::~process() = default;

std::shared_ptr<actor> process::add(const char* role, std::uint32_t number,
                                    std::function<void()> body) {
  return in_.turns.add(
      fmt::format("{}.{}", name_, role), static_cast<std::uint32_t>(slot_) * roles + number, at_,
      [self = shared_from_this(), body = std::move(body)] { body(); }, soon);
}

void process::begin() {
  main_ = add("loop", 0, [this] { live(); });
  watcher_ = add("watcher", 1, [this] { watch(); });
  for (std::size_t nth = 0; nth < store_->lanes(); ++nth)
    writers_.push_back(
        add("writer", 3 + static_cast<std::uint32_t>(nth), [this, nth] { write(nth); }));
}

void process::die() {
  at_->dead = true;
  if (row_ != 0) in_.journal->kill_worker(row_);
  for (const auto& one : {main_, guard_, watcher_}) in_.turns.rouse(one);
  for (const auto& one : writers_) in_.turns.rouse(one);
  for (const auto& one : steps_) in_.turns.rouse(one.lock());
}

void process::leave() {
  leaving_ = true;
  in_.turns.ring(main_);
}

/// Registers again under a new id for as long as it was only marked dead.
void process::live() {
  while (!at_->dead && !leaving_) {
    if (!enter_store()) {
      in_.turns.sleep(second);
      continue;
    }
    run_loop_until_stopped();
    end_session();
  }
  over_ = true;
  for (const auto& one : writers_) in_.turns.ring(one);
  in_.turns.ring(watcher_);
}

bool process::enter_store() {
  engine::worker_row who;
  who.id = engine::new_worker_id(*in_.time, journal_->chance());
  who.host = "host";
  who.pid = slot_;
  who.build = options_.build;
  who.queues = options_.queues;
  auto made = store_->register_worker(who);
  if (!made.ok()) return false;  // one that looks for it finds no lock: nobody holds it
  row_ = made->row;
  marked_dead_ = false;
  renewed_ = look_next_ = 0;
  const std::weak_ptr<process> self = weak_from_this();
  host_ = std::make_shared<runtime::attempt_host>(
      runtime::attempt_host::parts{.serves = worker_.inside().shared_serves(),
                                   .store = store_,
                                   .time = in_.time,
                                   .box = nullptr,
                                   .wake =
                                       [self] {
                                         if (const auto here = self.lock())
                                           here->in_.turns.ring(here->main_);
                                       },
                                   .make_io = [] { return std::shared_ptr<void>(); }});
  loop_ = std::make_unique<runtime::run_loop>(*journal_, host_, row_, options_, *this);
  journal_->attach_worker(loop_.get());
  guard_told_ = guard_over_ = false;
  guard_ = add("guard", 2, [this] { guard(); });
  return true;
}

void process::run_loop_until_stopped() {
  while (!stopping()) {
    const std::int64_t due = loop_->turn();
    if (stopping()) return;
    asleep_ = true;
    in_.turns.wait_until(in_.turns.now() + std::max<std::int64_t>(due - steady(), soon));
    asleep_ = false;
    in_.turns.sleep(soon);
  }
}

/// As `session::run` ends.
void process::end_session() {
  loop_->stop_claiming();
  if (marked_dead_)
    loop_->stop_attempts();
  else if (!at_->dead)
    drain();
  while (visits_ != 0) in_.turns.sleep(1'000);
  journal_->attach_worker(nullptr);
  guard_told_ = true;
  while (!guard_over_) {
    in_.turns.ring(guard_);
    in_.turns.sleep(1'000);
  }
  // All that was submitted is answered before the loop goes.
  while (journal_->writer().write_next() || store_->commits() != 0) in_.turns.sleep(1'000);
  journal_->writer().drain();
  if (!marked_dead_ && !at_->dead && !store_->leave(row_).ok() && !at_->dead)
    in_.journal->kill_worker(row_);  // the process ends, and its lock is free
  host_->close();
  loop_.reset();
}

void process::drain() {
  const std::int64_t begun = steady();
  bool told = false;
  while (!at_->dead && (!loop_->idle() || loop_->attempts() > 0)) {
    const std::int64_t now = steady();
    if (!told && now - begun >= drain_grace) {
      loop_->stop_attempts();
      told = true;
    }
    if (now - begun >= drain_grace + second) break;
    (void)loop_->turn();
    if (loop_->idle() && loop_->attempts() == 0) break;
    in_.turns.wait_until(in_.turns.now() + 50'000);
  }
}

/// One of the writer's threads.
void process::write(std::size_t) {
  while (!over_) {
    if (journal_->writer().write_next()) {
      in_.turns.sleep(soon);
      continue;
    }
    in_.turns.wait_until(in_.turns.now() + 60 * second);
  }
}

/// The journal's watcher: what others wrote is told to the loop; or later, or twice, or not at all.
void process::watch() {
  constexpr std::array<micros, 3> late = {3'000, 200'000, 5 * second};
  std::uint32_t seen = in_.journal->wake_count();
  while (!over_) {
    in_.turns.wait_until(in_.turns.now() + 30 * second);
    const std::uint32_t now = in_.journal->wake_count();
    if (over_ || std::exchange(seen, now) == now || !loop_) continue;
    const auto drawn =
        in_.by.ask(choice::wake, static_cast<std::uint32_t>(slot_), in_.sky.wakes, 5);
    if (drawn != 0)
      in_.tell_decision("{}: a wake-up {}", name_,
                        drawn <= 3   ? "comes late"
                        : drawn == 4 ? "comes twice"
                                     : "is lost");
    if (drawn == 5) continue;
    if (drawn >= 1 && drawn <= 3) in_.turns.sleep(late[drawn - 1]);
    if (loop_) loop_->poke_for(now);
    if (drawn == 4 && loop_) loop_->poke();
  }
}

void process::execute(std::vector<runtime::step_pool::task>&& tasks) {
  std::erase_if(steps_, [](const auto& one) { return one.expired(); });
  for (runtime::step_pool::task& task : tasks)
    steps_.push_back(add("step", roles - 1, std::move(task)));
}

void process::leased(std::int64_t since_boot_us) noexcept { host_->held.claimed(since_boot_us); }

}  // namespace fermata::simulation
