// SPDX-License-Identifier: Apache-2.0
// Films, whose pictures are rendered on queue gpu. $ROLE is what this process serves: films (the
// workflows and what is done near them), gpu (nothing but the step), or both. What the step is told to do
// is the first word of the film's name; $PLACE/begun tells who began what.
#include <fermata/fermata.hpp>

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

using namespace std::chrono_literals;

// [names]
constexpr fermata::step<std::string(std::string)> render{
    "render", {.retry = {.first_delay = 50ms}, .queue = "gpu"}};
constexpr fermata::step<std::string(std::string)> cut{"cut"};
constexpr fermata::workflow<std::string(std::string)> make_film{"make_film"};
// [names] end
constexpr fermata::workflow<std::string(std::string)> make_watched{"make_watched"};
constexpr fermata::workflow<std::string(std::string)> make_once{"make_once"};
constexpr fermata::workflow<std::string(int)> make_series{"make_series"};

namespace {

std::filesystem::path place() {
  const char* place = std::getenv("PLACE");
  return place != nullptr ? place : ".";
}

bool is_there(const std::string& name) { return std::filesystem::exists(place() / name); }

void tell(const std::string& file, const std::string& line) {
  std::ofstream(place() / file, std::ios::app) << line + "\n";
}

/// "slow 1" is done when $PLACE/go is there, or stops when it is told to; "beating 1" says meanwhile
/// how far it is; "deadly 1" kills its process unless $PLACE/mended is there.
std::string rendered(const std::string& film, fermata::step_context& s) {
  tell("begun", film + " by " + std::to_string(::getpid()) + " attempt " +
                    std::to_string(s.attempt()) + " after " +
                    std::to_string(s.last_heartbeat<int>().value_or(0)));
  if (film.starts_with("deadly") && !is_there("mended")) std::raise(SIGSEGV);
  const bool beats = film.starts_with("beating");
  for (int i = 1; (beats || film.starts_with("slow")) && !is_there("go"); ++i) {
    if (s.stop_token().stop_requested()) {
      tell("stopped", film);
      throw fermata::cancelled("told to stop", std::string(s.run_id()));
    }
    if (beats) s.heartbeat(i);
    std::this_thread::sleep_for(20ms);
  }
  tell("rendered", film);
  return film + " rendered";
}

// [film]
fermata::task<std::string> film(fermata::context& ctx, std::string name) {
  std::string picture = co_await ctx.call(render, name);
  std::string done = co_await ctx.call(cut, picture);
  co_return done;
}
// [film] end

fermata::task<std::string> watched(fermata::context& ctx, std::string name) {
  std::string picture = co_await ctx.call(render, name, {.heartbeat_timeout = 2s});
  co_return picture;
}

fermata::task<std::string> once(fermata::context& ctx, std::string name) {
  std::string picture = co_await ctx.call(render, name, {.on_crash = fermata::on_crash::fail});
  co_return picture;
}

fermata::task<std::string> series(fermata::context& ctx, int parts) {
  std::vector<std::string> names;
  for (int i = 0; i < parts; ++i) names.push_back("part " + std::to_string(i));
  std::vector<std::string> all = co_await ctx.map(render, names);
  co_return std::to_string(all.size());
}

}  // namespace

int main(int argc, char** argv) {
  const char* role = std::getenv("ROLE");
  const std::string serves = role != nullptr ? role : "both";
  fermata::worker worker{{.drain_grace = 300ms}};
  if (serves != "gpu") {
    worker.serve(cut, [](const std::string& picture) { return picture + " and cut"; });
    worker.serve(make_film, film);
    worker.serve(make_watched, watched);
    worker.serve(make_once, once);
    worker.serve(make_series, series);
  }
  if (serves != "films") worker.serve(render, rendered);
  return fermata::main(worker, argc, argv);
}
