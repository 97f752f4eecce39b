// SPDX-License-Identifier: Apache-2.0
// Steps and workflow code with bugs that take the process down. $PLACE/mended stands for the new
// version that has them no more.
#include <fermata/fermata.hpp>

#include <cstdlib>
#include <filesystem>

using namespace std::chrono_literals;

constexpr fermata::step<std::string(std::string)> decode_picture{"decode_picture"};
constexpr fermata::workflow<std::string(std::string)> make_thumbnail{"make_thumbnail"};
constexpr fermata::workflow<std::string(std::string)> crash_outside{"crash_outside"};

struct picture_header {
  char magic[16];
  int width;
};

/// Not static, not inlined: the test looks for its name in the backtrace.
[[gnu::noinline]] int width_of_picture(const volatile picture_header* header) {
  return header->width;
}

namespace {

bool is_mended() {
  const char* place = std::getenv("PLACE");
  return std::filesystem::exists(std::filesystem::path(place != nullptr ? place : ".") / "mended");
}

std::string decode(const std::string& picture) {
  const picture_header good{.magic = "", .width = 80};
  const bool broken = picture.starts_with("broken") && !is_mended();
  return picture + " " + std::to_string(width_of_picture(broken ? nullptr : &good));
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

}  // namespace

int main(int argc, char** argv) {
  fermata::worker worker;
  worker.serve(decode_picture, decode);
  worker.serve(make_thumbnail, shrink);
  worker.serve(crash_outside, run_crash_outside);
  return fermata::main(worker, argc, argv);
}
