// SPDX-License-Identifier: Apache-2.0
#include <fermata/fermata.hpp>
#include <fermata/postgres.hpp>
#include <fermata/sqlite.hpp>
#include <fermata/version.hpp>
#include <iostream>

// Linked, not used: the package brings what these need.
constexpr fermata::database<pg_conn> films{"films"};
constexpr fermata::database<sqlite3> notes{"notes"};

int main() {
  fermata::worker worker;
  worker.connect(films, fermata::postgres_database("postgres://nobody@nowhere/films"));
  worker.connect(notes, fermata::sqlite_database("notes.db"));
  std::cout << "fermata " << fermata::version() << "\n";
}
