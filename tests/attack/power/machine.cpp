// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/machine.hpp"

#include "tests/attack/power/file_system.hpp"

#include <sqlite3.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

namespace fermata::attack::power {

namespace {

machine* current = nullptr;
sqlite3_mem_methods usual_memory;

bool memory_fails() { return current != nullptr && current->ask(request::memory) != 0; }

void* take_memory(int bytes) { return memory_fails() ? nullptr : usual_memory.xMalloc(bytes); }

void* take_other_memory(void* before, int bytes) {
  return memory_fails() ? nullptr : usual_memory.xRealloc(before, bytes);
}

void must_be_ok(int code, const char* what) {
  if (code == SQLITE_OK) return;
  std::fprintf(stderr, "%s: SQLite says %d\n", what, code);
  std::abort();
}

}  // namespace

std::string_view text_of(request what) {
  constexpr std::array<std::string_view, request_kinds> texts{
      "memory", "open", "read", "write",   "sync",    "truncate",
      "remove", "size", "lock", "shm_map", "shm_lock"};
  return texts[static_cast<std::size_t>(what)];
}

machine* this_machine() { return current; }

machine::machine(disk begins, std::uint64_t seed) : files(std::move(begins)), chance_(seed) {
  current = this;
  sqlite3_randomness(0, nullptr);  // SQLite's own chance begins anew, with ours
}

machine::~machine() { current = nullptr; }

void machine::arm(const fault& what) {
  fault_ = what;
  asked_.fill(0);
  struck_ = 0;
}

int machine::ask(request what) {
  if (!fault_ || truce_) return 0;
  const std::uint64_t now = ++asked_[static_cast<std::size_t>(what)];
  if (fault_->what != what) return 0;
  const bool hit = fault_->lasting ? now >= fault_->nth : now == fault_->nth;
  if (!hit) return 0;
  ++struck_;
  return fault_->code;
}

void machine::tell(operation what) {
  files.apply(what);
  if (keeps_log) log.push_back(std::move(what));
}

void take_over_memory() {
  must_be_ok(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual_memory), "memory");
  static sqlite3_mem_methods failing = usual_memory;
  failing.xMalloc = take_memory;
  failing.xRealloc = take_other_memory;
  must_be_ok(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), "memory");
  // Small pieces would come from a store of their own, which doesn't fail.
  must_be_ok(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), "lookaside");
}

void take_over_sqlite() {
  must_be_ok(sqlite3_initialize(), "initialize");
  must_be_ok(sqlite3_vfs_register(file_system(), 1), "file system");
}

}  // namespace fermata::attack::power
