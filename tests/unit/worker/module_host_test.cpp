// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "worker/build_id.hpp"
#include "worker/module_host.hpp"
#include "worker/worker_impl.hpp"

#include <filesystem>
#include <string>

using namespace fermata;
using namespace fermata::detail;

namespace {

std::string module_named(const std::string& name) {
  return std::string(FERMATA_SAMPLE_MODULES) + "/sample_" + name + ".so";
}

/// "FER-3102 the module … was built with …"
std::string refusal_of(const std::string& file, worker& into) {
  try {
    module_host(into).load(file);
  } catch (const error& why) {
    return why.code() + " " + why.what();
  }
  return "loaded";
}
std::string refusal_of(const std::string& file) {
  worker fresh;
  return refusal_of(file, fresh);
}

bool says(const std::string& text, std::string_view code, std::string_view what) {
  CAPTURE(text);
  const bool is_so = text.starts_with(code) && text.find(what) != std::string::npos;
  CHECK(is_so);
  return is_so;
}

}  // namespace

TEST_CASE("a module's steps and workflows are served, and its build is its own") {
  worker into;
  module_host host(into);

  const loaded_module& found = host.load(module_named("good"));

  CHECK(found.name == "sample");
  CHECK(found.workflows == std::vector<std::string>{"quadruple"});
  CHECK(found.steps == std::vector<std::string>{"twice"});
  CHECK(found.build.size() >= 16);
  CHECK(found.build != own_build_id());
  const step_entry* step = into.inside().serves().step("twice");
  REQUIRE(step != nullptr);
  CHECK(std::holds_alternative<sync_body>(step->body));
}

TEST_CASE("two modules stand beside one another") {
  worker into;
  module_host host(into);

  host.load(module_named("good"));
  host.load(module_named("second"));

  CHECK(host.loaded().size() == 2);
  CHECK(host.loaded()[1].steps == std::vector<std::string>{"thrice"});
  CHECK(into.inside().serves().step("twice") != nullptr);
  CHECK(into.inside().serves().workflow("quadruple") != nullptr);
}

TEST_CASE("a name that is served already is refused, and stays as it was") {
  worker into;
  module_host host(into);
  host.load(module_named("good"));

  CHECK_THROWS_WITH_AS(host.load(module_named("same_name")), doctest::Contains("step 'twice'"),
                       error);

  CHECK(into.inside().serves().step("twice")->body.index() == 0);
  CHECK(host.loaded().size() == 1);
}

TEST_CASE("a module is loaded once") {
  worker into;
  module_host host(into);
  host.load(module_named("good"));

  CHECK_THROWS_WITH_AS(host.load(module_named("good")), doctest::Contains("loaded already"), error);
}

TEST_CASE("what can't be loaded says why") {
  says(refusal_of("/no/such/module.so"), "FER-3101", "there is no module /no/such/module.so");
  says(refusal_of("libnobodyhasthis.so"), "FER-3101", "there is no module");
  says(refusal_of("/proc/self/cmdline"), "FER-3101", "can't be loaded");
  says(refusal_of(module_named("no_entry")), "FER-3101", "no function fermata_module_v1");
  says(refusal_of(module_named("lacks_symbol")), "FER-3101", "another version of Fermata");
  CHECK_THROWS_AS(
      [] {
        worker into;
        module_host(into).load("/no/such/module.so");
      }(),
      module_not_found);
}

TEST_CASE("what was built otherwise is refused before it serves anything") {
  for (const auto& [name, what] :
       {std::pair{"other_abi", "module interface 999"}, std::pair{"other_version", "Fermata 9.9.9"},
        std::pair{"other_compiler", "compiler quill pen 3"}}) {
    worker into;
    says(refusal_of(module_named(name), into), "FER-3102", what);
    CHECK(into.inside().serves().steps().empty());
  }
}

TEST_CASE("a module's own reason to refuse is told") {
  says(refusal_of(module_named("throws")), "FER-3103", "no warehouse in sight");
  says(refusal_of(module_named("refuses")), "FER-3103", "no licence");
}
