// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/interleavings/ground.hpp"
#include "tests/unit/engine/postgres/wire.hpp"
#include "tests/unit/sdk/postgres_server.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fermata::interleavings {
namespace {

using postgres_tests::connection;
using postgres_tests::wire;

/// Each process has a line of its own to the server; a step is what it says until it waits for answers.
class postgres_ground final : public ground {
 public:
  postgres_ground() {
    std::string pattern = std::filesystem::temp_directory_path() / "fermata-interleavings-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
    folder_ = pattern;
    setenv("FERMATA_STATE", folder_.c_str(), 1);
  }
  ~postgres_ground() override {
    stores = {};
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::shared_ptr<engine::store> fresh() override {
    std::shared_ptr<engine::store> plain = reopen();
    for (std::size_t i = 0; i < stores.size(); ++i)
      stores[i] = open("postgres://fermata@127.0.0.1:" + std::to_string(lines_[i].port()) +
                       "/fermata?" + std::string(wire::options) + "&schema=interleavings");
    return plain;
  }
  std::shared_ptr<engine::store> reopen() override {
    return open(postgres_tests::server_address() + "?schema=interleavings");
  }
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t) override { handle.reset(); }

  void enter(int) override {}
  bool waits_for_other(int) override {
    return looking_.text("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0";
  }
  bool is_concurrent_within_worker() const override { return true; }
  std::string_view name() const override { return "postgres"; }

 private:
  std::shared_ptr<engine::store> open(const std::string& address) {
    auto opened = engine::open_store(address, both());
    if (!opened.ok()) throw std::runtime_error(std::string(opened.status().message()));
    return *opened;
  }

  std::filesystem::path folder_;
  wire lines_[2] = {wire(postgres_tests::server_port(), [this] { gates[0].step(); }),
                    wire(postgres_tests::server_port(), [this] { gates[1].step(); })};
  connection looking_{postgres_tests::server_address()};
};

}  // namespace
}  // namespace fermata::interleavings

namespace fermata::conformance {
std::unique_ptr<store_factory> make_factory() {
  return std::make_unique<interleavings::postgres_ground>();
}
}  // namespace fermata::conformance
