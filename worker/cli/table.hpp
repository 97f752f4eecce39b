// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "worker/cli/terminal.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace fermata::cli {

struct column {
  std::string title;
  bool right = false;       // numbers
  std::size_t least = 6;    // it isn't made narrower than this
  bool flexible = false;    // is made narrower first, and gets what is left
  int drop = 0;             // too narrow for all: those with the highest number go first; 0: stays
  std::size_t reserve = 0;  // at least that wide from the start: rows that come later need it
  bool whole = false;       // never cut off, wherever that moves the rest of its row
};

struct cell {
  std::string text;  // may have several lines
  tint colour = tint::plain;
  bool joins = false;  // its lines stand in one where that fits the column
  bool wraps = false;  // its later lines are broken rather than cut off, four at most
};

/// Rows that fit the terminal: what is too long ends with …, empty columns are left out. Widths are
/// decided by the rows of the first print, so that a long table can be printed a page at a time. The
/// second and later lines of a cell may stand below the columns to its right, which are empty there.
class table {
 public:
  /// `width` 0: no limit, nothing is cut.
  table(std::vector<column> columns, std::size_t width, bool colour);

  void add(std::vector<cell> row) { rows_.push_back(std::move(row)); }
  /// Prints what was added since the last time; the titles come first.
  void print(std::ostream& out);
  bool empty() const { return rows_.empty(); }
  /// Each line begins with that many spaces.
  void indent(std::size_t spaces) { indent_ = spaces; }

 private:
  struct laid_out {
    std::vector<std::vector<std::string>> lines;  // by column
    std::size_t height = 1;
  };

  void decide();
  void measure();
  laid_out lay_out(const std::vector<cell>& row) const;
  std::size_t room_behind(std::size_t column) const;
  void drop_columns();
  void make_fit();
  std::size_t total() const;
  void print_row(std::ostream& out, const std::vector<cell>& row) const;

  std::vector<column> columns_;
  std::size_t width_;
  bool colour_;
  std::size_t indent_ = 0;
  std::vector<std::vector<cell>> rows_;
  std::vector<std::size_t> widths_;  // of columns; 0: left out
  bool decided_ = false;
};

/// "  state     running" lines: what a card is made of.
class card {
 public:
  card(std::size_t width, bool colour) : width_(width), colour_(colour) {}
  /// Empty texts are left out. Long ones are broken between words.
  void add(std::string name, std::string text, tint colour = tint::plain);
  void print(std::ostream& out) const;

 private:
  struct line {
    std::string name, text;
    tint colour;
  };
  std::size_t width_;
  bool colour_;
  std::vector<line> lines_;
};

/// Breaks between words, at most `columns` wide where words allow it.
std::vector<std::string> wrapped(std::string_view text, std::size_t columns);

}  // namespace fermata::cli
