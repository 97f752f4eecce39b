// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/store/status.hpp"
#include "tests/conformance/writer.hpp"
#include "tests/unit/sdk/postgres_server.hpp"

#include <string>

namespace fermata::postgres_tests {

inline std::string address_of(const conformance::scene& at) { return at.journal->info()->address; }

inline std::string schema_of(const conformance::scene& at) {
  const std::string where = address_of(at);
  return where.substr(where.find("schema=") + 7);
}

/// A session that knows nothing of us, in the schema of this journal.
struct beside : connection {
  explicit beside(const conformance::scene& at) : connection(server_address()) {
    execute("SET client_min_messages = error");
    execute("SET search_path = " + schema_of(at));
  }
};

/// What `work` does has been counted by the server when its sessions have ended: all that it opens.
template <class Work>
void and_wait(beside& on, Work&& work) {
  const std::string others =
      "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
      "backend_type = 'client backend' AND pid <> pg_backend_pid()";
  const std::string sessions = on.text(others);
  work();
  on.wait_for(others, sessions);
}

inline std::string hex_of(const engine::run_id& run) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const char c : run.view()) {
    text += digits[static_cast<unsigned char>(c) >> 4];
    text += digits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

}  // namespace fermata::postgres_tests
