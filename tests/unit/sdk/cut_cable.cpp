// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/sdk/cut_cable.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace fermata::postgres_tests {

namespace {

sockaddr_in here(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

int new_socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

int connect_to(int port) {
  const int made = new_socket();
  const sockaddr_in at = here(port);
  if (::connect(made, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    throw std::runtime_error("no server to connect to");
  return made;
}

void close_and_forget(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

}  // namespace

struct cut_cable::line {
  int client = -1;
  int server = -1;
  bool swallows_answer = false;
};

cut_cable::cut_cable(int server_port, loses what) : server_port_(server_port), what_(what) {
  listening_ = new_socket();
  sockaddr_in at = here(0);
  socklen_t size = sizeof at;
  if (::bind(listening_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
      ::listen(listening_, 16) != 0 ||
      ::getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
    throw std::runtime_error("can't listen");
  port_ = ntohs(at.sin_port);
  carrier_ = std::thread([this] { carry(); });
}

cut_cable::~cut_cable() {
  over_ = true;
  carrier_.join();
  ::close(listening_);
}

void cut_cable::carry() {
  std::vector<line> lines;
  while (!over_) {
    std::vector<pollfd> wanted{{listening_, POLLIN, 0}};
    for (const line& one : lines) {
      wanted.push_back({one.client, POLLIN, 0});
      wanted.push_back({one.server, POLLIN, 0});
    }
    ::poll(wanted.data(), wanted.size(), 20);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      line& one = lines[i];
      if (wanted[2 * i + 1].revents != 0 && !pass(one, true)) close_and_forget(one.client);
      if (wanted[2 * i + 2].revents != 0 && !pass(one, false)) {
        close_and_forget(one.client);
        close_and_forget(one.server);
      }
    }
    if (wanted[0].revents != 0)
      lines.push_back({::accept(listening_, nullptr, nullptr), connect_to(server_port_)});
  }
  for (line& one : lines) {
    close_and_forget(one.client);
    close_and_forget(one.server);
  }
}

/// False: the side that was read from is over.
bool cut_cable::pass(line& on, bool to_server) {
  std::array<char, 65536> bytes;
  const ssize_t size = ::read(to_server ? on.client : on.server, bytes.data(), bytes.size());
  if (size <= 0) {
    // Who hung up by itself is told to the server; whose line was cut isn't.
    if (to_server && !on.swallows_answer) close_and_forget(on.server);
    return false;
  }
  const std::string_view said(bytes.data(), static_cast<std::size_t>(size));
  if (to_server && said.find("COMMIT") != std::string_view::npos && !cut_.exchange(true)) {
    if (what_ == loses::the_question) {
      on.swallows_answer = true;
      return false;
    }
    on.swallows_answer = true;
  } else if (!to_server && on.swallows_answer) {
    close_and_forget(on.client);
    return true;
  }
  const int to = to_server ? on.server : on.client;
  return ::write(to, bytes.data(), static_cast<std::size_t>(size)) == size;
}

}  // namespace fermata::postgres_tests
