// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/black_box.hpp"
#include "worker/runtime/black_box_file.hpp"
#include "worker/runtime/black_box_trace.hpp"

#include <execinfo.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <mutex>

namespace fermata::runtime {

namespace {

constexpr int handled[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::size_t boxes_max = 16;
constexpr std::size_t stack_size = 64 * 1024;  // unwinding takes some 10 KiB, more when sanitized

// Read by the handler: no locks. The modules of before stay, since a handler may be reading them.
std::atomic<const box_file::mapping*> open_boxes[boxes_max];
std::atomic<const box_file::module_table*> modules{nullptr};

void* interrupted_at(const void* context) {
  [[maybe_unused]] const auto* machine = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return reinterpret_cast<void*>(machine->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(machine->uc_mcontext.pc);
#else
  return nullptr;
#endif
}

/// Only the kernel knows an address, and for these two only; a `raise` has none.
bool has_address(const siginfo_t& info) {
  const bool of_memory = info.si_signo == SIGSEGV || info.si_signo == SIGBUS;
  return of_memory && info.si_code > 0 && info.si_code != SI_KERNEL;
}

/// Goes to the first slot of the thread and is copied to the others. An interleaving of several
/// attempts on one thread can't be told apart here.

void write_down(int signal, const siginfo_t& info, const void* context) {
  const auto pid = static_cast<std::uint32_t>(::getpid());
  const std::uint32_t thread = static_cast<std::uint32_t>(::syscall(SYS_gettid));
  box_file::slot* first = nullptr;
  // Whose fault it is first: unwinding a broken stack may be the end.
  const auto each_slot = [&](const auto& act) {
    for (const auto& box : open_boxes) {
      const box_file::mapping* one = box.load(std::memory_order_acquire);
      if (one == nullptr || one->pid != pid) continue;  // a forked child maps its parent's
      for (box_file::slot& slot : one->slots)
        if (slot.state.load(std::memory_order_acquire) == box_file::slot_valid &&
            slot.thread.load(std::memory_order_relaxed) == thread)
          act(slot);
    }
  };
  each_slot([&](box_file::slot& mine) {
    mine.signal.store(signal, std::memory_order_release);
    if (first == nullptr) first = &mine;
  });
  if (first == nullptr) return;
  const std::span<char> room(first->backtrace);
  std::size_t size = has_address(info) ? box_file::note_fault(room, info.si_addr) : 0;
  size += box_file::trace(room.subspan(size), interrupted_at(context),
                          modules.load(std::memory_order_acquire));
  each_slot([&](box_file::slot& mine) {
    if (&mine != first) std::memcpy(mine.backtrace.data(), first->backtrace.data(), size);
    mine.backtrace_size.store(static_cast<std::uint32_t>(size), std::memory_order_release);
  });
}

void on_signal(int signal, siginfo_t* info, void* context) {
  write_down(signal, *info, context);
  struct sigaction by_default{};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(signal, &by_default, nullptr);
  // Blocked while we are here, it comes when we return: with its own address, for the core dump.
  const long sent =
      ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), signal, info);
  if (sent != 0) ::raise(signal);
}

/// A stack for handlers; what was in its place before comes back at the thread's end, since a
/// sanitizer unmaps whatever it finds there.
class handler_stack {
 public:
  handler_stack() {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    size_ = page + stack_size;
    void* at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) return;
    at_ = at;
    ::mprotect(at, page, PROT_NONE);
    stack_t mine{};
    mine.ss_sp = static_cast<char*>(at) + page;
    mine.ss_size = stack_size;
    ::sigaltstack(&mine, &before_);
  }
  ~handler_stack() {
    if (at_ == nullptr) return;
    ::sigaltstack(&before_, nullptr);
    ::munmap(at_, size_);
  }
  handler_stack(const handler_stack&) = delete;
  handler_stack& operator=(const handler_stack&) = delete;

 private:
  void* at_ = nullptr;
  std::size_t size_ = 0;
  stack_t before_{};
};

}  // namespace

namespace box_file {

bool show_to_handler(const mapping* box) noexcept {
  for (auto& place : open_boxes) {
    const mapping* none = nullptr;
    if (place.compare_exchange_strong(none, box, std::memory_order_release)) return true;
  }
  return false;
}

void hide_from_handler(const mapping* box) noexcept {
  for (auto& place : open_boxes) {
    const mapping* same = box;
    place.compare_exchange_strong(same, nullptr, std::memory_order_acq_rel);
  }
}

std::uint32_t this_thread() noexcept {
  thread_local const auto id = static_cast<std::uint32_t>(::syscall(SYS_gettid));
  return id;
}

}  // namespace box_file

void black_box::prepare_thread() { thread_local const handler_stack stack; }

void black_box::note_modules() {
  static std::mutex mutex;
  // Never destroyed: a signal may come while the process ends.
  static auto& kept = *new std::vector<std::unique_ptr<const box_file::module_table>>;
  auto now = std::make_unique<const box_file::module_table>(box_file::loaded_modules());
  const std::lock_guard lock(mutex);
  if (!kept.empty() && *kept.back() == *now) return;
  modules.store(now.get(), std::memory_order_release);
  kept.push_back(std::move(now));
}

void black_box::install_handlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    void* warm_up[4];
    ::backtrace(warm_up, 4);  // loads the unwinder, which allocates
    note_modules();
    struct sigaction ours{};
    ours.sa_sigaction = on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    for (const int signal : handled) sigaddset(&ours.sa_mask, signal);
    for (const int signal : handled) ::sigaction(signal, &ours, nullptr);
  });
  prepare_thread();
}

}  // namespace fermata::runtime
