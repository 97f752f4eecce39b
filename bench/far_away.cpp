// SPDX-License-Identifier: Apache-2.0
// fermata-far-away MS COMMAND...: runs the command with the Postgres of $FERMATA_TEST_POSTGRES as far
// away as MS milliseconds each way: a fleet's database is another machine.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace {

using steady = std::chrono::steady_clock;

int port_of(sockaddr_in address) { return ntohs(address.sin_port); }

sockaddr_in local(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int no_delay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

/// What one end says comes to the other end later, in order, however much is on its way.
class line {
 public:
  line(int from, int to, std::chrono::microseconds delay) : from_(from), to_(to), delay_(delay) {}

  void run() {
    std::thread hands_out([this] { hand_out(); });
    std::array<char, 65'536> bytes;
    for (ssize_t got = 0; (got = ::read(from_, bytes.data(), bytes.size())) > 0;)
      put({steady::now() + delay_, std::string(bytes.data(), static_cast<std::size_t>(got))});
    put({steady::now() + delay_, std::string()});  // the end
    hands_out.join();
  }

 private:
  struct piece {
    steady::time_point due;
    std::string bytes;
  };

  void put(piece&& what) {
    {
      const std::lock_guard lock(mutex_);
      pieces_.push_back(std::move(what));
    }
    changed_.notify_one();
  }

  void hand_out() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !pieces_.empty(); });
      piece next = std::move(pieces_.front());
      pieces_.pop_front();
      lock.unlock();
      std::this_thread::sleep_until(next.due);
      if (next.bytes.empty()) break;
      for (std::size_t at = 0; at < next.bytes.size();) {
        const ssize_t put = ::write(to_, next.bytes.data() + at, next.bytes.size() - at);
        if (put <= 0) return;
        at += static_cast<std::size_t>(put);
      }
    }
    ::shutdown(to_, SHUT_WR);
  }

  const int from_, to_;
  const std::chrono::microseconds delay_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<piece> pieces_;
};

void carry(int client, int server_port, std::chrono::microseconds delay) {
  const int server = no_delay(::socket(AF_INET, SOCK_STREAM, 0));
  const sockaddr_in there = local(server_port);
  if (::connect(server, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0) {
    line up(client, server, delay), down(server, client, delay);
    std::thread back([&] { down.run(); });
    up.run();
    back.join();
  }
  ::close(server);
  ::close(client);
}

int listen_somewhere(sockaddr_in& where) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  where = local(0);
  socklen_t size = sizeof where;
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      ::listen(listener, 64) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&where), &size) != 0) {
    std::perror("fermata-far-away");
    std::exit(1);
  }
  return listener;
}

}  // namespace

int main(int argc, char** argv) {
  const char* given = std::getenv("FERMATA_TEST_POSTGRES");
  std::string address = given != nullptr ? given : "";
  const std::size_t colon = address.rfind(':');
  if (argc < 3 || colon == std::string::npos || address.find("://") == colon) {
    std::fputs(
        "usage: fermata-far-away MS COMMAND..., with postgres://USER@127.0.0.1:PORT/NAME in "
        "FERMATA_TEST_POSTGRES\n",
        stderr);
    return 2;
  }
  const std::chrono::microseconds delay(static_cast<int>(std::atof(argv[1]) * 1000));
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in here{};
  const int listener = listen_somewhere(here);
  const std::size_t end = address.find('/', colon);
  const int server_port = std::atoi(address.c_str() + colon + 1);
  address.replace(colon + 1, end - colon - 1, std::to_string(port_of(here)));
  ::setenv("FERMATA_TEST_POSTGRES", address.c_str(), 1);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execvp(argv[2], argv + 2);
    std::perror(argv[2]);
    ::_exit(127);
  }
  std::thread([listener, server_port, delay] {
    for (;;) {
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (client >= 0) std::thread(carry, no_delay(client), server_port, delay).detach();
    }
  }).detach();
  int status = 0;
  ::waitpid(child, &status, 0);
  std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
