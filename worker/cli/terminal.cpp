// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

namespace fermata::cli {

namespace {

extern "C" void on_interrupt(int) {
  constexpr char show_cursor[] = "\x1b[?25h\n";
  if (isatty(STDERR_FILENO) != 0) (void)!write(STDERR_FILENO, show_cursor, sizeof show_cursor - 1);
  _exit(130);
}

std::size_t number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : static_cast<std::size_t>(std::strtoul(text, nullptr, 10));
}

}  // namespace

world real_world() {
  world w{std::cin, std::cout, std::cerr};
  w.in_is_terminal = isatty(STDIN_FILENO) != 0;
  w.out_is_terminal = isatty(STDOUT_FILENO) != 0;
  w.err_is_terminal = isatty(STDERR_FILENO) != 0;
  if (w.out_is_terminal) {
    winsize size{};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    w.width = size.ws_col != 0 ? size.ws_col : number("COLUMNS") != 0 ? number("COLUMNS") : 80;
    w.height = size.ws_row != 0 ? size.ws_row : 24;
  }
  w.variable = [](const char* name) -> std::optional<std::string> {
    const char* text = std::getenv(name);
    if (text == nullptr || *text == '\0') return std::nullopt;
    return std::string(text);
  };
  return w;
}

void end_on_interrupt() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGPIPE, SIG_DFL);
}

std::string painted(std::string_view text, tint how, bool colour) {
  if (!colour || how == tint::plain || text.empty()) return std::string(text);
  const char* code = "0";
  switch (how) {
    case tint::red:
      code = "31";
      break;
    case tint::yellow:
      code = "33";
      break;
    case tint::magenta:
      code = "35";
      break;
    case tint::green:
      code = "32";
      break;
    case tint::blue:
      code = "34";
      break;
    case tint::cyan:
      code = "36";
      break;
    case tint::dim:
      code = "2";
      break;
    case tint::bold:
      code = "1";
      break;
    case tint::plain:
      break;
  }
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

}  // namespace fermata::cli
