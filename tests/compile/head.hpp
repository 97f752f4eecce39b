// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every program of run.py begins with; compiled once.
#include <fermata/fermata.hpp>
#include <fermata/postgres.hpp>
#include <fermata/protobuf.hpp>
#include <fermata/sqlite.hpp>
#include <fermata/testing.hpp>

using namespace std::chrono_literals;
struct order {
  std::string id;
  int cents = 0;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents))
struct hold {
  std::string id;
};
BOOST_DESCRIBE_STRUCT(hold, (), (id))
struct opaque {
  int x;
};
constexpr fermata::step<hold(order)> reserve{"reserve"};
constexpr fermata::step<void(order)> cancel_reservation{"cancel_reservation"};
constexpr fermata::step<void(hold)> release{"release"};
constexpr fermata::step<std::string(std::string)> greet{"greet"};
constexpr fermata::step<int()> count{"count"};
constexpr fermata::step<void()> uncount{"uncount"};
constexpr fermata::workflow<int(order)> flow{"flow"};
constexpr fermata::workflow<int()> bare{"bare"};
constexpr fermata::signal<hold> held{"held"};
constexpr fermata::signal<> go_on{"go_on"};
constexpr fermata::signal<std::optional<int>> maybe{"maybe"};
constexpr fermata::published<hold> shown{"shown"};
constexpr fermata::database<sqlite3> films{"films"};
using fermata::context;
using fermata::task;
