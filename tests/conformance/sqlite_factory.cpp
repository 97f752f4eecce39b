// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/store_suite.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace fermata::conformance {
namespace {

/// Each journal lies in a folder of its own, beside its lock and wake files.
class sqlite_factory final : public store_factory {
 public:
  sqlite_factory() {
    std::string pattern = std::filesystem::temp_directory_path() / "fermata-store-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
    folder_ = pattern;
  }
  ~sqlite_factory() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  std::shared_ptr<engine::store> fresh() override {
    file_ = folder_ / ("journal" + std::to_string(++number_) + ".db");
    return reopen();
  }
  std::shared_ptr<engine::store> reopen() override {
    auto opened = engine::open_store("sqlite:" + file_.string(), options());
    if (!opened.ok()) throw std::runtime_error(std::string(opened.status().message()));
    return *opened;
  }
  /// The handle's locks go with it, as they do with a process.
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t) override { handle.reset(); }

 private:
  std::filesystem::path folder_;
  std::filesystem::path file_;
  int number_ = 0;
};

}  // namespace

std::unique_ptr<store_factory> make_factory() { return std::make_unique<sqlite_factory>(); }

}  // namespace fermata::conformance
