// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sqlite3.h>

#include <cstdint>

/// What statements cost, in steps of SQLite's virtual machine.
namespace fermata::conformance {

inline std::int64_t steps = 0;  // of all statements that have ended

inline int count_steps(unsigned /*what*/, void* /*context*/, void* statement, void* /*time*/) {
  steps += sqlite3_stmt_status(static_cast<sqlite3_stmt*>(statement), SQLITE_STMTSTATUS_VM_STEP, 1);
  return 0;
}

inline int counts_steps(sqlite3* db, char** /*error*/, const void* /*api*/) {
  return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, count_steps, nullptr);
}

/// Each connection that is opened meanwhile counts its steps.
struct counting {
  counting() { sqlite3_auto_extension(reinterpret_cast<void (*)()>(counts_steps)); }
  ~counting() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(counts_steps)); }
  counting(const counting&) = delete;
  counting& operator=(const counting&) = delete;
};

}  // namespace fermata::conformance
