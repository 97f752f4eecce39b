// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/black_box.hpp"

#include "engine/ports/real.hpp"
#include "worker/runtime/black_box_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <system_error>

namespace fermata::runtime {

namespace {

using box_file::header;
using box_file::slot;

[[noreturn]] void refuse(int why, const std::string& path) {
  throw std::system_error(why, std::generic_category(), "making the black box " + path);
}

class descriptor {
 public:
  explicit descriptor(int number) : number_(number) {}
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  operator int() const { return number_; }  // NOLINT(google-explicit-constructor): it is its number

 private:
  int number_;
};

/// As much as fits with a NUL behind it; no half of a character.
template <std::size_t N>
void put(std::array<char, N>& to, std::string_view text) noexcept {
  std::size_t size = std::min(text.size(), N - 1);
  if (size < text.size())
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  if (size > 0) std::memcpy(to.data(), text.data(), size);
  to[size] = '\0';
}

template <std::size_t N>
std::string taken(const std::array<char, N>& from) {
  return {from.data(), strnlen(from.data(), N)};
}

engine::clock& kernel_clock() {
  static engine::real_clock real;
  return real;
}

/// Where this thread found room last: it fits again nearly always.
thread_local std::size_t last_slot = 0;

class mapped_box final : public black_box {
 public:
  mapped_box(const std::string& path, std::string_view worker, std::size_t slots,
             engine::clock& time)
      : time_(time), size_(box_file::size_of(slots)), at_(map(path, size_)) {
    auto* head = new (at_) header{.magic = {},
                                  .version = box_file::version,
                                  .slot_size = sizeof(slot),
                                  .slots = static_cast<std::uint32_t>(slots),
                                  .pid = static_cast<std::uint32_t>(::getpid()),
                                  .worker = {}};
    put(head->worker, worker);
    // The file is all zero: every slot is free.
    slots_ = {reinterpret_cast<slot*>(head + 1), slots};
    std::atomic_signal_fence(std::memory_order_seq_cst);
    head->magic = box_file::magic;  // last: what died before is no box
    seen_ = {.pid = head->pid, .slots = slots_};
    box_file::show_to_handler(&seen_);
    note_modules();
  }
  ~mapped_box() override {
    box_file::hide_from_handler(&seen_);
    ::munmap(at_, size_);
  }
  mapped_box(const mapped_box&) = delete;
  mapped_box& operator=(const mapped_box&) = delete;

  int enter(const engine::run_id& run, std::string_view operation, std::string_view step,
            int attempt, bool alone) noexcept override {
    const std::optional<std::size_t> found = claim();
    if (!found) return -1;
    slot& mine = slots_[*found];
    mine.generation.fetch_add(1, std::memory_order_relaxed);
    mine.thread.store(box_file::this_thread(), std::memory_order_relaxed);
    mine.signal.store(0, std::memory_order_relaxed);
    mine.runaway.store(0, std::memory_order_relaxed);
    mine.backtrace_size.store(0, std::memory_order_relaxed);
    mine.attempt = attempt;
    mine.alone = alone ? 1 : 0;
    mine.since = time_.wall_now();
    mine.run = run.bytes;
    put(mine.operation, operation);
    put(mine.step, step);
    mine.state.store(box_file::slot_valid, std::memory_order_release);
    return static_cast<int>(*found);
  }

  void leave(int number) noexcept override {
    if (slot* one = at(number)) one->state.store(box_file::slot_free, std::memory_order_release);
  }

  void pause(int number) noexcept override {
    std::uint32_t mine = box_file::this_thread();
    if (slot* one = at(number))
      one->thread.compare_exchange_strong(mine, box_file::no_thread, std::memory_order_relaxed);
  }

  void resume(int number) noexcept override {
    if (slot* one = at(number))
      one->thread.store(box_file::this_thread(), std::memory_order_relaxed);
  }

  void mark_runaway(int number) noexcept override {
    if (slot* one = at(number)) one->runaway.store(1, std::memory_order_relaxed);
  }

 private:
  static void* map(const std::string& path, std::size_t size) {
    // Never cut an old one short: a process that maps it would die of SIGBUS.
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) refuse(errno, path);
    const descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (file < 0) refuse(errno, path);
    // Room on the disk now, since a store that finds none later is a SIGBUS as well.
    if (const int why = ::posix_fallocate(file, 0, static_cast<off_t>(size)); why != 0) {
      ::unlink(path.c_str());
      refuse(why, path);
    }
    void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (at == MAP_FAILED) refuse(errno, path);
    return at;
  }

  slot* at(int number) noexcept {
    const auto index = static_cast<std::size_t>(number);
    return number >= 0 && index < slots_.size() ? &slots_[index] : nullptr;
  }

  std::optional<std::size_t> claim() noexcept {
    for (std::size_t tried = 0; tried < slots_.size(); ++tried) {
      const std::size_t number = (last_slot + tried) % slots_.size();
      std::atomic<std::uint32_t>& state = slots_[number].state;
      std::uint32_t free = box_file::slot_free;
      if (state.load(std::memory_order_relaxed) == free &&
          state.compare_exchange_strong(free, box_file::slot_being_written,
                                        std::memory_order_acquire)) {
        last_slot = number;
        return number;
      }
    }
    return std::nullopt;
  }

  // Set once.
  engine::clock& time_;
  std::size_t size_;
  void* at_;
  std::span<slot> slots_;
  box_file::mapping seen_;
};

/// The slot as it stood at one moment; nothing when it is free, torn, or changes just now.
std::optional<black_box::entry> entry_of(const slot& from) {
  const std::uint32_t generation = from.generation.load(std::memory_order_acquire);
  if (from.state.load(std::memory_order_acquire) != box_file::slot_valid) return std::nullopt;
  black_box::entry out;
  std::copy(from.run.begin(), from.run.end(), out.run.bytes.begin());
  out.operation = taken(from.operation);
  out.step = taken(from.step);
  out.attempt = from.attempt;
  out.alone = from.alone != 0;
  out.since = from.since;
  out.signal = from.signal.load(std::memory_order_relaxed);
  out.runaway = from.runaway.load(std::memory_order_relaxed) != 0;
  const std::size_t traced = from.backtrace_size.load(std::memory_order_acquire);
  out.backtrace.assign(from.backtrace.data(), std::min(traced, from.backtrace.size()));
  std::atomic_thread_fence(std::memory_order_acquire);
  const bool same = from.generation.load(std::memory_order_relaxed) == generation &&
                    from.state.load(std::memory_order_relaxed) == box_file::slot_valid;
  if (!same || out.run.empty()) return std::nullopt;
  return out;
}

bool is_ours(const header& head, std::size_t file_size) {
  return head.magic == box_file::magic && head.version == box_file::version &&
         head.slot_size == sizeof(slot) && head.slots <= box_file::slots_max &&
         file_size >= box_file::size_of(head.slots);
}

}  // namespace

std::unique_ptr<black_box> black_box::open(const std::string& path, std::string_view worker,
                                           std::size_t slots, engine::clock* time) {
  slots = std::clamp<std::size_t>(slots, 1, box_file::slots_max);
  return std::make_unique<mapped_box>(path, worker, slots, time ? *time : kernel_clock());
}

std::vector<black_box::entry> black_box::read(const std::string& path, std::string* worker) {
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat about{};
  if (file < 0 || ::fstat(file, &about) != 0) return {};
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size < sizeof(header)) return {};
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  if (at == MAP_FAILED) return {};
  std::vector<entry> out;
  const auto* head = static_cast<const header*>(at);
  if (is_ours(*head, size)) {
    if (worker != nullptr) *worker = taken(head->worker);
    for (const slot& one : std::span(reinterpret_cast<const slot*>(head + 1), head->slots))
      if (std::optional<entry> found = entry_of(one)) out.push_back(std::move(*found));
  }
  ::munmap(at, size);
  return out;
}

void black_box::remove(const std::string& path) { ::unlink(path.c_str()); }

}  // namespace fermata::runtime
