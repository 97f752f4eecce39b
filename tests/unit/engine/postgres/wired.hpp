// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/conformance/writer.hpp"
#include "tests/unit/engine/postgres/wire.hpp"
#include "tests/unit/sdk/postgres_server.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace fermata::postgres_tests {

/// Journals of the private server, each in a schema of its own, reached over a wire that breaks.
class wired_factory final : public conformance::store_factory {
 public:
  wired_factory();
  ~wired_factory() override;

  std::shared_ptr<engine::store> fresh() override;
  std::shared_ptr<engine::store> reopen() override { return open(address()); }
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t) override { handle.reset(); }

  std::string address() const;  // over the wire
  std::string schema;
  std::string user = "fermata";
  std::int64_t patience_ms = 10'000;
  wire line{server_port()};
  /// Another process, whose line doesn't break.
  std::shared_ptr<engine::store> beside();

 private:
  std::shared_ptr<engine::store> open(const std::string& address);
  std::filesystem::path folder_;
};

/// What a test of it has.
struct wired_scene : conformance::scene {
  wired_factory& made = static_cast<wired_factory&>(*factory);
  wire& line = made.line;

  explicit wired_scene(std::int64_t patience_ms = 10'000);
  /// How many rows such a statement counts.
  int count(const std::string& what) const;
};

}  // namespace fermata::postgres_tests
