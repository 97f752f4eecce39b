// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/simulation/fiber.hpp"

#include "engine/check.hpp"

#include <cxxabi.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <array>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#endif

namespace fermata::simulation {

namespace {

constexpr std::size_t stack_bytes = 512 * 1024;
constexpr std::size_t guard_bytes = 4096;

/// Stacks of fibers that are over, to be used again.
std::vector<char*>& spare_stacks() {
  static std::vector<char*> all;
  return all;
}

char* take_stack() {
  if (!spare_stacks().empty()) {
    char* one = spare_stacks().back();
    spare_stacks().pop_back();
    return one;
  }
  void* made = ::mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  FERMATA_CHECK(made != MAP_FAILED, "no memory for a fiber's stack");
  FERMATA_CHECK(::mprotect(made, guard_bytes, PROT_NONE) == 0, "a stack can't be guarded");
  return static_cast<char*>(made);
}

/// Where the thread that resumes runs, for the sanitizer.
struct stack_span {
  const void* bottom = nullptr;
  std::size_t size = 0;
};

/// What the C++ runtime keeps of exceptions under way: of a thread, so that each fiber needs its own.
using exceptions = std::array<char, 2 * sizeof(void*)>;

exceptions swap_exceptions(const exceptions& with) {
  exceptions before;
  void* now = __cxxabiv1::__cxa_get_globals();
  std::memcpy(before.data(), now, before.size());
  std::memcpy(now, with.data(), with.size());
  return before;
}

}  // namespace

struct fiber::impl {
  std::function<void()> body;
  char* stack = take_stack();
  ucontext_t inside{};
  ucontext_t outside{};
  exceptions caught{};
  stack_span resumer;
  void* fake_stack = nullptr;
  bool over = false;

  static impl* running;
  jmp_buf inside_jump;
  jmp_buf outside_jump;
  bool begun = false;

  /// `swapcontext` asks the kernel for the signal mask, which none of these changes: a jump doesn't. The
  /// sanitizer follows no jumps between stacks.
  static void go([[maybe_unused]] ucontext_t& from, [[maybe_unused]] jmp_buf& from_here,
                 ucontext_t& to, [[maybe_unused]] jmp_buf& to_there,
                 [[maybe_unused]] bool been_there) {
#if __has_feature(address_sanitizer)
    ::swapcontext(&from, &to);
#else
    if (_setjmp(from_here) != 0) return;
    if (been_there) _longjmp(to_there, 1);
    ::setcontext(&to);
#endif
  }

  void to_inside() {
#if __has_feature(address_sanitizer)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack, stack_bytes);
#endif
    go(outside, outside_jump, inside, inside_jump, std::exchange(begun, true));
#if __has_feature(address_sanitizer)
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }
  void to_outside() {
#if __has_feature(address_sanitizer)
    __sanitizer_start_switch_fiber(over ? nullptr : &fake_stack, resumer.bottom, resumer.size);
#endif
    go(inside, inside_jump, outside, outside_jump, true);
    arrived();
  }
  void arrived() {
#if __has_feature(address_sanitizer)
    __sanitizer_finish_switch_fiber(fake_stack, &resumer.bottom, &resumer.size);
#endif
  }

  /// The first function on a new stack.
  static void begin() {
    impl* const self = running;
    self->arrived();
    try {
      self->body();
    } catch (const std::exception& why) {
      FERMATA_CHECK(false, "an exception left a fiber: {}", why.what());
    }
    self->body = {};
    self->over = true;
    self->to_outside();
  }
};

fiber::impl* fiber::impl::running = nullptr;

fiber::fiber(std::function<void()> body) : impl_(std::make_unique<impl>()) {
  impl_->body = std::move(body);
  ::getcontext(&impl_->inside);
  impl_->inside.uc_stack.ss_sp = impl_->stack;
  impl_->inside.uc_stack.ss_size = stack_bytes;
  impl_->inside.uc_link = nullptr;
  ::makecontext(&impl_->inside, &impl::begin, 0);
}

fiber::~fiber() {
  FERMATA_CHECK(impl_->over, "a fiber is destroyed where it stands");
  spare_stacks().push_back(impl_->stack);
}

void fiber::resume() {
  impl* const before = std::exchange(impl::running, impl_.get());
  const exceptions mine = swap_exceptions(impl_->caught);
  impl_->to_inside();
  impl_->caught = swap_exceptions(mine);
  impl::running = before;
}

void fiber::pause() { impl::running->to_outside(); }

bool fiber::over() const noexcept { return impl_->over; }

}  // namespace fermata::simulation
