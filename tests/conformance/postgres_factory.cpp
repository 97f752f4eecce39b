// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/store_suite.hpp"

#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fermata::conformance {
namespace {

/// A private server, which scripts/with_postgres.sh has started; each journal is a schema of its own.
class postgres_factory final : public store_factory {
 public:
  postgres_factory() {
    const char* given = std::getenv("FERMATA_TEST_POSTGRES");
    if (given == nullptr)
      throw std::runtime_error("run this test with scripts/with_postgres.sh: it needs a server");
    server_ = given;
    std::string pattern = std::filesystem::temp_directory_path() / "fermata-store-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
    folder_ = pattern;
    setenv("FERMATA_STATE", folder_.c_str(), 1);
  }
  ~postgres_factory() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::shared_ptr<engine::store> fresh() override {
    static int number = 0;
    address_ =
        server_ + "?schema=journal_" + std::to_string(getpid()) + "_" + std::to_string(++number);
    return reopen();
  }
  std::shared_ptr<engine::store> reopen() override {
    auto opened = engine::open_store(address_, options());
    if (!opened.ok()) throw std::runtime_error(std::string(opened.status().message()));
    return *opened;
  }
  /// The handle's locks go with it, as they do with a process.
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t) override { handle.reset(); }

 private:
  std::string server_;
  std::string address_;
  std::filesystem::path folder_;
};

}  // namespace

std::unique_ptr<store_factory> make_factory() { return std::make_unique<postgres_factory>(); }

}  // namespace fermata::conformance
