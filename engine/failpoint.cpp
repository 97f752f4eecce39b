// SPDX-License-Identifier: Apache-2.0
#include "engine/failpoint.hpp"

#include "engine/planted.hpp"

#ifdef FERMATA_FAILPOINTS
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace fermata::engine {

namespace {

struct plan {
  std::string name;
  std::string act;
  int at = 1;
};

plan read_plan() {
  const char* text = std::getenv("FERMATA_FAILPOINT");
  if (text == nullptr) return {};
  const std::string_view whole = text;
  const std::size_t equals = whole.find('=');
  const std::size_t at = whole.find('@');
  plan made;
  made.name = std::string(whole.substr(0, equals));
  if (equals != whole.npos) made.act = std::string(whole.substr(equals + 1, at - equals - 1));
  if (at != whole.npos)
    std::from_chars(whole.data() + at + 1, whole.data() + whole.size(), made.at);
  return made;
}

}  // namespace

void failpoint(std::string_view name) {
  static const plan wanted = read_plan();
  static std::atomic<int> hits = 0;
  if (wanted.name != name || ++hits != wanted.at) return;
  if (wanted.act == "kill") ::kill(::getpid(), SIGKILL);
  if (wanted.act == "stop") ::raise(SIGSTOP);  // of this thread: it goes no step further
  if (wanted.act == "exit") ::_exit(70);
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

bool planted(std::string_view name) {
  static const char* wanted = std::getenv("FERMATA_PLANT");
  return wanted != nullptr && name == wanted;
}

}  // namespace fermata::engine

#else

namespace fermata::engine {
void failpoint(std::string_view) {}
std::int64_t bound(std::string_view, std::int64_t usual) { return usual; }
bool planted(std::string_view) { return false; }
}  // namespace fermata::engine

#endif
