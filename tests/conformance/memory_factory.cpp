// SPDX-License-Identifier: Apache-2.0
#include "engine/store/memory/memory_store.hpp"
#include "tests/conformance/store_suite.hpp"

#include <string>

namespace fermata::conformance {
namespace {

class memory_factory final : public store_factory {
 public:
  std::shared_ptr<engine::store> fresh() override {
    static int number = 0;
    address_ = "memory:conformance" + std::to_string(++number);
    keep_ = engine::open_memory_store(address_, options());
    return keep_;
  }
  std::shared_ptr<engine::store> reopen() override {
    return engine::open_memory_store(address_, options());
  }
  void kill(std::shared_ptr<engine::store>& handle, std::int64_t worker) override {
    dynamic_cast<engine::memory_store&>(*handle).kill_worker(worker);
    handle.reset();
  }

 private:
  std::string address_;
  std::shared_ptr<engine::store> keep_;
};

}  // namespace

std::unique_ptr<store_factory> make_factory() { return std::make_unique<memory_factory>(); }

}  // namespace fermata::conformance
