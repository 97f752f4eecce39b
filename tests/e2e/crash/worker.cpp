// SPDX-License-Identifier: Apache-2.0
// Steps and workflow code with bugs that take the process down. $PLACE/mended stands for the new
// version that has them no more.
#include <fermata/asio.hpp>
#include <fermata/fermata.hpp>
#include <fermata/sqlite.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace std::chrono_literals;

constexpr fermata::step<std::string(std::string)> decode_picture{"decode_picture"};
constexpr fermata::step<std::string(std::string)> pay{"pay"};
constexpr fermata::workflow<std::string(std::string)> pay_or_fail{"pay_or_fail"};
constexpr fermata::workflow<std::string(std::string)> pay_or_ask{"pay_or_ask"};
constexpr fermata::workflow<std::string(std::string)> make_thumbnail{"make_thumbnail"};
constexpr fermata::workflow<std::string(std::string)> crash_outside{"crash_outside"};

constexpr fermata::step<int(int)> count_to{"count_to"};
constexpr fermata::workflow<int(int)> count{"count"};
constexpr fermata::step<std::string(std::string)> fetch_picture{"fetch_picture"};
constexpr fermata::step<std::string(std::string)> store_picture{"store_picture"};
constexpr fermata::workflow<std::string(std::string)> fetch{"fetch"};
constexpr fermata::workflow<std::string(std::string)> store{"store"};
constexpr fermata::database<sqlite3> albums{"albums"};

struct picture_header {
  char magic[16];
  int width;
};

/// Not static, not inlined: the test looks for its name in the backtrace.
[[gnu::noinline]] int width_of_picture(const volatile picture_header* header) {
  return header->width;
}

namespace {

std::filesystem::path place() {
  const char* place = std::getenv("PLACE");
  return place != nullptr ? place : ".";
}

bool is_mended() { return std::filesystem::exists(place() / "mended"); }

std::string decode(const std::string& picture) {
  const picture_header good{.magic = "", .width = 80};
  const bool broken = picture.starts_with("broken") && !is_mended();
  return picture + " " + std::to_string(width_of_picture(broken ? nullptr : &good));
}

/// Money leaves, then the process dies, or is still busy when something else ends it.
std::string transfer(const std::string& what) {
  std::ofstream(place() / "paid", std::ios::app) << what << '\n';
  while (what == "slow" && !is_mended()) std::this_thread::sleep_for(20ms);
  return decode(what);
}

fermata::task<std::string> pay_once(fermata::context& ctx, std::string what) {
  fermata::outcome<std::string> paid =
      co_await ctx.settle(ctx.call(pay, what, {.on_crash = fermata::on_crash::fail}));
  if (!paid) co_return "unknown, " + paid.error().type() + ": " + paid.error().what();
  co_return paid.value();
}

fermata::task<std::string> pay_and_ask(fermata::context& ctx, std::string what) {
  std::string paid = co_await ctx.call(pay, what, {.on_crash = fermata::on_crash::ask});
  co_return paid;
}

fermata::task<std::string> shrink(fermata::context& ctx, std::string picture) {
  std::string pixels = co_await ctx.call(decode_picture, picture);
  co_return "a thumbnail of " + pixels;
}

/// Between two awaits, in the workflow's own code.
fermata::task<std::string> run_crash_outside(fermata::context& ctx, std::string picture) {
  std::string pixels = co_await ctx.call(decode_picture, picture);
  if (!is_mended()) std::abort();
  co_return pixels;
}

/// Dies when it has told how far it got; the next attempt goes on from there.
int count_up(int last, fermata::step_context& attempt) {
  if (const auto before = attempt.last_heartbeat<int>()) return *before + 1;
  attempt.heartbeat(last - 1);
  std::raise(SIGKILL);
  return 0;
}

fermata::task<int> run_count(fermata::context& ctx, int last) {
  co_return co_await ctx.call(count_to, last);
}

/// The good ones wait beside the broken one, on the same thread.
boost::asio::awaitable<std::string> fetch_later(const std::string& picture) {
  const auto patience = picture.starts_with("broken") ? 50ms : 1500ms;
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, patience);
  co_await timer.async_wait(boost::asio::use_awaitable);
  co_return decode(picture);
}

fermata::task<std::string> run_fetch(fermata::context& ctx, std::string picture) {
  co_return co_await ctx.call(fetch_picture, picture);
}

fermata::task<std::string> run_store(fermata::context& ctx, std::string picture) {
  co_return co_await ctx.call(store_picture, picture);
}

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(decode_picture, decode);
  worker.serve(pay, transfer);
  worker.serve(pay_or_fail, pay_once);
  worker.serve(pay_or_ask, pay_and_ask);
  worker.serve(count_to, count_up);
  worker.serve(make_thumbnail, shrink);
  worker.serve(count, run_count);
  worker.serve(crash_outside, run_crash_outside);
  worker.serve(fetch_picture, fetch_later);
  worker.serve(fetch, run_fetch);
  worker.connect(albums, fermata::journal_tables());
  worker.serve(store_picture, albums, [](sqlite3&, const std::string& p) { return decode(p); });
  worker.serve(store, run_store);
  return fermata::main(worker, argc, argv);
}
