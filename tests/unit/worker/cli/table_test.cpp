// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/table.hpp"
#include "worker/cli/text.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace fermata::cli;

namespace {

std::vector<column> columns() {
  return {{"RUN", false, 6},
          {"DETAILS", false, 10, true},
          {"TOOK", true, 4},
          {"WHERE", false, 8, false, 1}};
}

std::string printed(table t, std::vector<std::vector<cell>> rows) {
  std::ostringstream out;
  for (auto& row : rows) t.add(std::move(row));
  t.print(out);
  return out.str();
}

const std::vector<std::vector<cell>> two_rows{
    {{"run_1"}, {"charge_card {\"id\":\"42\"} → {\"id\":\"ch_1\"}"}, {"1.2s"}, {"orders.cpp:41"}},
    {{"run_2"}, {"short"}, {"9ms"}, {"orders.cpp:7"}}};

std::size_t widest(const std::string& text) {
  std::istringstream in(text);
  std::size_t most = 0;
  for (std::string line; std::getline(in, line);) most = std::max(most, width_of(line));
  return most;
}

}  // namespace

TEST_CASE("in a pipe nothing is cut off, and numbers stand right") {
  const std::string text = printed({columns(), 0, false}, two_rows);

  CHECK(text ==
        "RUN    DETAILS                                  TOOK  WHERE\n"
        "run_1  charge_card {\"id\":\"42\"} → {\"id\":\"ch_1\"}  1.2s  orders.cpp:41\n"
        "run_2  short                                     9ms  orders.cpp:7\n");
}

TEST_CASE("a table never is wider than the terminal") {
  for (const std::size_t width : {40U, 50U, 60U, 80U, 120U, 200U})
    CHECK(widest(printed({columns(), width, false}, two_rows)) <= width);
}

TEST_CASE(
    "too narrow for all columns, the least wanted is left out before the flexible one shrinks "
    "below its least") {
  const std::string text = printed({columns(), 30, false}, two_rows);

  CHECK(text.find("WHERE") == std::string::npos);
  CHECK_MESSAGE(text.find("charge_card {\"id…") != std::string::npos, text);
}

TEST_CASE("an empty column is left out") {
  const std::string text = printed({columns(), 0, false}, {{{"run_1"}, {""}, {"1s"}, {""}}});

  CHECK(text == "RUN    TOOK\nrun_1    1s\n");
}

TEST_CASE("colours are only there when asked for, and don't count as width") {
  const std::vector<std::vector<cell>> row{{{"run_1", tint::red}, {"x"}, {"1s"}, {""}}};

  CHECK(printed({columns(), 0, false}, row).find('\x1b') == std::string::npos);
  CHECK(printed({columns(), 0, true}, row).find("\x1b[31mrun_1\x1b[0m  x") != std::string::npos);
}

TEST_CASE("a long table is printed a page at a time, with one head") {
  std::ostringstream out;
  table t({{"A"}, {"B"}}, 0, false);
  t.add({{"1"}, {"one"}});
  t.print(out);
  t.add({{"2"}, {"two"}});
  t.print(out);

  CHECK(out.str() == "A  B\n1  one\n2  two\n");
}

TEST_CASE("a card breaks long texts between words and indents them") {
  card c(40, false);
  c.add("state", "failed");
  c.add("error", "the carrier didn't answer in time, nor later");
  c.add("nothing", "");
  std::ostringstream out;
  c.print(out);

  CHECK(out.str() ==
        "  state  failed\n"
        "  error  the carrier didn't answer in\n"
        "         time, nor later\n");
}

TEST_CASE("a number that stays whole isn't cut off when later rows are longer") {
  std::ostringstream out;
  table t({{.title = "#", .right = true, .least = 1, .whole = true}, {"EVENT", false, 6}}, 40,
          false);
  t.add({{"9"}, {"step"}});
  t.print(out);
  t.add({{"10"}, {"step"}});
  t.print(out);
  CHECK(out.str().find("10") != std::string::npos);
  CHECK(out.str().find("…") == std::string::npos);
}

TEST_CASE("a column keeps the room that rows to come will need") {
  std::ostringstream out;
  table t({{"EVENT", false, 6}, {.title = "TOOK", .right = true, .reserve = 7}}, 40, false);
  t.add({{"started"}, {""}});
  t.print(out);
  t.add({{"done"}, {"1min 3s"}});
  t.print(out);
  CHECK(out.str().find("1min 3s") != std::string::npos);
}
