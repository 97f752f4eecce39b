// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/build_id.hpp"

#include <gnu/libc-version.h>

#include <cstdlib>
#include <string>

using fermata::detail::build_id_of;
using fermata::detail::own_build_id;

namespace {

const int anchor = 1;

/// Takes $FERMATA_BUILD away, or sets it, for a scope.
class build_variable {
 public:
  explicit build_variable(const char* value) {
    const char* found = std::getenv("FERMATA_BUILD");
    if (found != nullptr) before_ = found;
    if (value != nullptr)
      setenv("FERMATA_BUILD", value, 1);
    else
      unsetenv("FERMATA_BUILD");
  }
  ~build_variable() {
    if (before_.empty())
      unsetenv("FERMATA_BUILD");
    else
      setenv("FERMATA_BUILD", before_.c_str(), 1);
  }
  build_variable(const build_variable&) = delete;
  build_variable& operator=(const build_variable&) = delete;

 private:
  std::string before_;
};

}  // namespace

TEST_CASE("the build id of the program is that of any address in it") {
  const build_variable none(nullptr);

  const std::string own = own_build_id();

  CHECK(own.size() >= 16);
  CHECK(own.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(build_id_of(&anchor) == own);
}

TEST_CASE("another library has another build id, and nobody's address has none") {
  const build_variable none(nullptr);

  CHECK(build_id_of(reinterpret_cast<const void*>(&::gnu_get_libc_version)) != own_build_id());
  CHECK(build_id_of(nullptr).empty());
  CHECK(build_id_of(reinterpret_cast<const void*>(8)).empty());
}

TEST_CASE("the environment's build wins") {
  const build_variable set("release-7");

  CHECK(own_build_id() == "release-7");
  CHECK(build_id_of(&anchor) == "release-7");
}
