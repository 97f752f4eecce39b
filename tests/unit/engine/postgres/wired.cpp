// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/postgres/wired.hpp"

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace fermata::postgres_tests {

wired_factory::wired_factory() {
  std::string pattern = std::filesystem::temp_directory_path() / "fermata-wired-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
  folder_ = pattern;
  setenv("FERMATA_STATE", folder_.c_str(), 1);
}

wired_factory::~wired_factory() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::shared_ptr<engine::store> wired_factory::fresh() {
  static int number = 0;
  schema = "wired_" + std::to_string(getpid()) + "_" + std::to_string(++number);
  return reopen();
}

std::shared_ptr<engine::store> wired_factory::beside() {
  return open(server_address() + "?schema=" + schema);
}

std::string wired_factory::address() const {
  return "postgres://" + user + "@127.0.0.1:" + std::to_string(line.port()) + "/fermata?" +
         std::string(wire::options) + "&schema=" + schema;
}

std::shared_ptr<engine::store> wired_factory::open(const std::string& address) {
  engine::open_options how = options();
  how.patience_ms = patience_ms;
  how.warn = [](std::string_view) {};
  auto opened = engine::open_store(address, how);
  if (!opened.ok()) throw std::runtime_error(std::string(opened.status().message()));
  return *opened;
}

wired_scene::wired_scene(std::int64_t patience_ms) {
  made.patience_ms = patience_ms;
  journal = made.reopen();
}

int wired_scene::count(const std::string& what) const {
  connection on(server_address());
  on.execute("SET search_path = " + made.schema);
  return std::stoi(on.text("SELECT count(*) FROM " + what));
}

}  // namespace fermata::postgres_tests

namespace fermata::conformance {

std::unique_ptr<store_factory> make_factory() {
  return std::make_unique<postgres_tests::wired_factory>();
}

}  // namespace fermata::conformance
