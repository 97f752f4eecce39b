// SPDX-License-Identifier: Apache-2.0
#include "engine/failpoint.hpp"

#include "engine/planted.hpp"

#ifdef FERMATA_FAILPOINTS
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <string>

namespace fermata::engine {

namespace {

struct plan {
  std::string name;
  std::string act;
  int at = 1;
  std::atomic<int> hits = 0;
};

/// NAME=ACT@N, of one place.
void read_plan(std::string_view text, plan& made) {
  const std::size_t equals = text.find('=');
  const std::size_t at = text.find('@');
  made.name = std::string(text.substr(0, equals));
  if (equals != text.npos) made.act = std::string(text.substr(equals + 1, at - equals - 1));
  if (at != text.npos) std::from_chars(text.data() + at + 1, text.data() + text.size(), made.at);
}

/// A deque, because plans don't move.
std::deque<plan> read_plans() {
  std::deque<plan> made;
  const char* text = std::getenv("FERMATA_FAILPOINT");
  std::string_view rest = text != nullptr ? text : "";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    read_plan(rest.substr(0, end), made.emplace_back());
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return made;
}

/// One write: lines of several processes don't mix.
void tell(std::string_view name) {
  static const char* const path = std::getenv("FERMATA_FAILPOINT_HITS");
  if (path == nullptr) return;
  static const int file = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const std::string line = std::string(name) + "\n";
  if (::write(file, line.data(), line.size()) < 0) ::_exit(71);
}

}  // namespace

bool failpoint(std::string_view name) {
  static std::deque<plan> plans = read_plans();
  tell(name);
  for (plan& wanted : plans) {
    if (wanted.name != name || ++wanted.hits != wanted.at) continue;
    if (wanted.act == "kill") ::kill(::getpid(), SIGKILL);
    if (wanted.act == "stop") ::raise(SIGSTOP);  // of this thread: it goes no step further
    if (wanted.act == "exit") ::_exit(70);
    if (wanted.act == "sleep") ::sleep(1);
    return wanted.act == "error";
  }
  return false;
}

bool has_failpoints() {
  static const bool asked = std::getenv("FERMATA_FAILPOINT") != nullptr ||
                            std::getenv("FERMATA_FAILPOINT_HITS") != nullptr;
  return asked;
}

std::int64_t bound(std::string_view name, std::int64_t usual) {
  const char* text = std::getenv("FERMATA_BOUND");
  if (text == nullptr) return usual;
  const std::string_view whole = text;
  const std::size_t equals = whole.find('=');
  if (equals == whole.npos || whole.substr(0, equals) != name) return usual;
  std::from_chars(whole.data() + equals + 1, whole.data() + whole.size(), usual);
  return usual;
}

#ifndef FERMATA_COVERAGE
bool planted(std::string_view name) {
  static const char* wanted = std::getenv("FERMATA_PLANT");
  return wanted != nullptr && name == wanted;
}
#endif

}  // namespace fermata::engine

#else

namespace fermata::engine {
bool failpoint(std::string_view) { return false; }
bool has_failpoints() { return false; }
std::int64_t bound(std::string_view, std::int64_t usual) { return usual; }
bool planted(std::string_view) { return false; }
}  // namespace fermata::engine

#endif
