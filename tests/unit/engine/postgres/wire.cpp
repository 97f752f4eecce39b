// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/engine/postgres/wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

// The messages are described in the PostgreSQL documentation, 55.7.
namespace fermata::postgres_tests {

namespace {

constexpr int tick_ms = 20;
constexpr auto a_little = std::chrono::milliseconds(200);

sockaddr_in here(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

int new_socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

void hang_up(int& on) {
  if (on >= 0) ::close(on);
  on = -1;
}

bool readable(int on) {
  pollfd wanted{on, POLLIN, 0};
  return ::poll(&wanted, 1, tick_ms) > 0;
}

/// COMMIT isn't in READ COMMITTED.
bool has(std::string_view text, std::string_view words) {
  const bool in_word = std::isalnum(static_cast<unsigned char>(words.back())) != 0;
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string_view::npos; ++at) {
    const std::size_t end = at + words.size();
    if (!in_word || end == text.size() || std::isalnum(static_cast<unsigned char>(text[end])) == 0)
      return true;
  }
  return false;
}

/// False: the other side is over.
bool read_some(int from, std::string& to) {
  std::array<char, 65536> bytes;
  const ssize_t size = ::read(from, bytes.data(), bytes.size());
  if (size <= 0) return false;
  to.append(bytes.data(), static_cast<std::size_t>(size));
  return true;
}

bool write_all(int to, std::string_view what) {
  while (!what.empty()) {
    const ssize_t size = ::send(to, what.data(), what.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    what.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

std::size_t length_at(std::string_view bytes, std::size_t at) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < 4; ++i)
    length = length << 8 | static_cast<unsigned char>(bytes[at + i]);
  return length;
}

/// The next message of a stream, kind and length included; the first of a client has no kind.
std::optional<std::string_view> next_message(std::string_view stream, bool has_kind) {
  const std::size_t head = has_kind ? 5 : 4;
  if (stream.size() < head) return std::nullopt;
  const std::size_t size = length_at(stream, head - 4) + head - 4;
  if (stream.size() < size) return std::nullopt;
  return stream.substr(0, size);
}

}  // namespace

struct wire::conversation {
  int client = -1;
  int server = -1;
  std::string said;      // by the client, since its last whole round trip
  std::size_t read = 0;  // so much of it
  bool begun = false;
  std::map<std::string, std::string, std::less<>> prepared;
  std::vector<std::string> statements;  // of this round trip
  std::string transaction;              // what was asked since it began

  ~conversation() {
    hang_up(client);
    hang_up(server);
  }

  void note(std::string_view message) {
    const auto text = [&](std::size_t at) { return std::string(message.substr(at).data()); };
    switch (message[0]) {
      case 'P': {
        const std::string name = text(5);
        prepared[name] = text(5 + name.size() + 1);
        break;
      }
      case 'B':
        statements.push_back(prepared[text(5 + text(5).size() + 1)]);
        break;
      case 'Q':
        statements.push_back(text(5));
        break;
      default:
        break;
    }
  }

  /// All that the client has said until it waits for an answer.
  std::optional<std::string> next_round_trip() {
    while (const auto message = next_message(std::string_view(said).substr(read), begun)) {
      read += message->size();
      const bool waits = !std::exchange(begun, true) ||
                         std::string_view("SQXp").find((*message)[0]) != std::string_view::npos;
      if (begun && message->size() > 4) note(*message);
      if (!waits) continue;
      std::string whole = said.substr(0, read);
      said.erase(0, read);
      read = 0;
      return whole;
    }
    return std::nullopt;
  }

  /// Reads until the server is ready for the next question.
  void swallow_answer(const std::atomic<bool>& over) {
    std::string stream;
    while (!over) {
      if (!readable(server)) continue;
      if (!read_some(server, stream)) return;
      while (const auto message = next_message(stream, true)) {
        if ((*message)[0] == 'Z') return;
        stream.erase(0, message->size());
      }
    }
  }
};

wire::wire(int server_port, std::function<void()> before_each)
    : server_port_(server_port), before_each_(std::move(before_each)) {
  listening_ = new_socket();
  sockaddr_in at = here(0);
  socklen_t size = sizeof at;
  if (::bind(listening_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listening_, 16) != 0 ||
      ::getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    throw std::runtime_error("can't listen");
  port_ = ntohs(at.sin_port);
  listener_ = std::thread([this] { listen(); });
}

wire::~wire() {
  over_ = true;
  listener_.join();
  for (std::thread& one : carriers_) one.join();
  ::close(listening_);
}

void wire::break_at(std::string words, loses what, std::function<void()> meanwhile) {
  const std::lock_guard guard(mutex_);
  break_next(std::move(words), {}, what, std::move(meanwhile));
}

void wire::break_commit_of(std::string words, loses what, std::function<void()> meanwhile) {
  const std::lock_guard guard(mutex_);
  break_next("COMMIT", std::move(words), what, std::move(meanwhile));
}

void wire::break_next(std::string words, std::string of, loses what,
                      std::function<void()> meanwhile) {
  words_ = std::move(words);
  of_ = std::move(of);
  what_ = what;
  meanwhile_ = std::move(meanwhile);
  broke_ = false;
  statements_.clear();
}

int wire::asked(std::string_view words) const {
  const std::lock_guard guard(mutex_);
  return static_cast<int>(
      std::ranges::count_if(statements_, [&](const std::string& all) { return has(all, words); }));
}

void wire::listen() {
  while (!over_) {
    if (!readable(listening_)) continue;
    int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (refuses_)
      hang_up(client);
    else
      carriers_.emplace_back([this, client] { carry(client); });
  }
}

void wire::carry(int client) {
  conversation on{.client = client, .server = new_socket()};
  const sockaddr_in at = here(server_port_);
  if (::connect(on.server, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return;
  std::string answers;
  while (!over_ && !refuses_) {
    std::array<pollfd, 2> wanted{{{on.client, POLLIN, 0}, {on.server, POLLIN, 0}}};
    ::poll(wanted.data(), wanted.size(), tick_ms);
    if (wanted[0].revents != 0) {
      if (!read_some(on.client, on.said)) return;
      while (const auto question = on.next_round_trip()) {
        if (before_each_) before_each_();
        if (is_due(on)) return break_now(on, *question);
        if (refuses_) return;
        if (!write_all(on.server, *question)) return;
      }
    }
    if (wanted[1].revents != 0) {
      if (!read_some(on.server, answers) || !write_all(on.client, answers)) return;
      answers.clear();
    }
  }
}

bool wire::is_due(conversation& on) {
  std::string all;
  for (const std::string& one : std::exchange(on.statements, {})) all += one + '\n';
  if (all.starts_with("BEGIN")) on.transaction.clear();
  on.transaction += all;
  const std::lock_guard guard(mutex_);
  statements_.push_back(all);
  if (words_.empty() || !has(all, words_) || on.transaction.find(of_) == std::string::npos)
    return false;
  words_.clear();
  return true;
}

void wire::break_now(conversation& on, const std::string& question) {
  loses what{};
  std::function<void()> meanwhile;
  {
    const std::lock_guard guard(mutex_);
    what = what_;
    meanwhile = meanwhile_;
  }
  broke_ = true;
  if (what == loses::answer && write_all(on.server, question)) on.swallow_answer(over_);
  if (meanwhile) {
    meanwhile();
    const std::lock_guard seen(mutex_);  // what it did, by whoever asks us next
  }
  hang_up(on.client);
  if (what == loses::answer) return;
  std::this_thread::sleep_for(a_little);  // it is open still when the client asks what became of it
  if (what == loses::order && write_all(on.server, question)) on.swallow_answer(over_);
}

}  // namespace fermata::postgres_tests
