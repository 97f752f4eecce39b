// SPDX-License-Identifier: Apache-2.0
#include "engine/store/status.hpp"

#include <doctest/doctest.h>

using namespace fermata::engine;

TEST_CASE("a status carries its stable code beside the sentence") {
  const absl::Status status = coded(absl::StatusCode::kNotFound, "FER-2101", "it isn't there");

  CHECK(status.code() == absl::StatusCode::kNotFound);
  CHECK(status.message() == "it isn't there");
  CHECK(fer_code_of(status) == "FER-2101");
}

TEST_CASE("a status without a code is told by what it is") {
  CHECK(fer_code_of(absl::DataLossError("its checksum is another")) == "FER-2103");
  CHECK(fer_code_of(absl::UnimplementedError("a newer version wrote it")) == "FER-2003");
  CHECK(fer_code_of(absl::InternalError("bare")) == "FER-2104");
}
