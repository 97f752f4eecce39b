// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/worker/cli/prepared.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <set>

using namespace fermata::cli;
namespace json = boost::json;

TEST_CASE("without arguments, and with help, all commands are shown on standard output") {
  for (const auto& arguments : {std::vector<std::string>{}, {"help"}, {"--help"}}) {
    const ran shown = run_alone(arguments);

    CHECK(shown.code == 0);
    CHECK(shown.err.empty());
    for (const command& one : commands()) CHECK(shown.out.find(one.name) != std::string::npos);
  }
}

TEST_CASE("the help of each command has its sentence, its usual call and three examples") {
  for (const command& one : commands()) {
    CAPTURE(one.name);
    const ran shown = run_alone({std::string(one.name), "--help"});

    CHECK(shown.code == 0);
    CHECK(shown.out.starts_with(std::string(one.summary) + "."));
    CHECK(shown.out.find(one.usage) != std::string::npos);
    for (const std::string_view example : one.examples) {
      CHECK(example.find("fermata") != std::string_view::npos);
      CHECK(shown.out.find(example) != std::string::npos);
    }
    CHECK(run_alone({"help", std::string(one.name)}).out == shown.out);
  }
}

TEST_CASE("help --json describes every command, its flags, exit codes and error codes") {
  const ran shown = run_alone({"help", "--json"});

  const json::object all = json::parse(shown.out).as_object();
  CHECK(all.at("$type") == "commands");
  CHECK(all.at("commands").as_array().size() == commands().size());
  for (const json::value& one : all.at("commands").as_array())
    CHECK(one.at("examples").as_array().size() == 3);
  CHECK(all.at("error_codes").as_array().size() == fermata::all_codes().size());
  CHECK(all.at("exit_codes").as_array().size() == 7);
}

TEST_CASE("each command's document has a type of its own name") {
  for (const command& one : commands())
    if (one.name != "help" && one.name != "completion") CHECK(!one.document.empty());
}

TEST_CASE("a command without a journal says how to name one") {
  const ran refused = run_alone({"list"});

  CHECK(refused.code == 2);
  CHECK(refused.out.empty());
  CHECK(refused.err.find("--journal ADDRESS or set FERMATA_JOURNAL") != std::string::npos);
  CHECK(refused.err.ends_with("[FER-4002]\n"));
}

TEST_CASE("a mistyped command is guessed") {
  const ran refused = run_alone({"shwo", "order-42"});

  CHECK(refused.code == 2);
  CHECK(refused.err == "fermata: there is no command 'shwo', did you mean 'show'? [FER-4001]\n");
}

TEST_CASE("an unknown flag or a missing argument is a usage error with the usual call") {
  prepared p;
  const ran unknown = p.call({"list", "--sorted"});
  const ran missing = p.call({"show"});

  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("--sorted") != std::string::npos);
  CHECK(missing.code == 2);
  CHECK(missing.err.find("fermata show RUN") != std::string::npos);
  CHECK(missing.err.find("[FER-4001]") != std::string::npos);
}

TEST_CASE("with -o json an error is a JSON object on standard error") {
  prepared p;
  const ran refused = p.call({"show", "order-43", "-o", "json"});

  CHECK(refused.code == 4);
  CHECK(refused.out.empty());
  const json::object problem = json::parse(refused.err).as_object();
  CHECK(problem.at("$type") == "error");
  CHECK(problem.at("code") == "FER-1302");
  CHECK(problem.at("exit") == 4);
  CHECK(problem.at("remedy").as_string().size() > 10);
}

TEST_CASE("a wrong value of a common flag names what is right") {
  prepared p;
  CHECK(p.call({"list", "-o", "xml"}).err.find("table, wide, json, jsonl or ids") !=
        std::string::npos);
  CHECK(p.call({"list", "--time", "utc"}).err.find("relative, iso or raw") != std::string::npos);
  CHECK(p.call({"list", "--state", "done"}).err.find("waiting_to_start, running") !=
        std::string::npos);
  CHECK(p.call({"list", "--since", "soon"}).code == 2);
}

TEST_CASE("common flags may stand before the command, too") {
  prepared p;
  p.ask("place_order", "order-42");
  const ran shown = run_alone({"--journal", p.address, "-o", "ids", "list"});

  CHECK(shown.code == 0);
  CHECK(shown.out.starts_with("run_"));
}

TEST_CASE("an address that isn't one is told from a journal that isn't there") {
  CHECK(run_alone({"list", "--journal", "mysql:x"}).err.find("[FER-2001]") != std::string::npos);
  const ran missing = run_alone({"list", "--journal", "sqlite:/tmp/fermata-no-such-journal.db"});
  CHECK(missing.code == 4);
  CHECK(missing.err.find("[FER-2002]") != std::string::npos);
}

TEST_CASE("completion is written for three shells, and knows every command") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const ran script = run_alone({"completion", shell});
    CHECK(script.code == 0);
    for (const command& one : commands()) CHECK(script.out.find(one.name) != std::string::npos);
    CHECK(script.out.find("--follow") + script.out.find("-l follow") != 2 * std::string::npos);
  }
  CHECK(run_alone({"completion", "cmd"}).code == 2);
}

TEST_CASE("output that couldn't be written is an error, and not done") {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  world where{in, out, err};
  where.variable = [](const char*) { return std::optional<std::string>(); };
  out.setstate(std::ios::badbit);

  CHECK(fermata::cli::run({"help"}, where) == 1);
  CHECK(fermata::cli::run({"--version"}, where) == 1);
  CHECK(err.str().find("[FER-4003]") != std::string::npos);
}

TEST_CASE("a code is found however it is written, and all are listed") {
  const std::string whole = run_alone({"help", "FER-1202"}).out;
  CHECK(run_alone({"help", "fer-1202"}).out == whole);
  CHECK(run_alone({"help", "1202"}).out == whole);
  const ran all = run_alone({"help", "codes"});
  for (const fermata::code_info& one : fermata::all_codes())
    CHECK(all.out.find(one.code) != std::string::npos);
}
