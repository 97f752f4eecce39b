// SPDX-License-Identifier: Apache-2.0
// A scope with a deadline, a race between providers, a stretch that must finish, and cancellation.
#include "semantics.hpp"

using namespace semantics;

namespace {

struct shot {
  std::string camera;
  int seconds = 0;
};
struct clip {
  std::string url;
};
BOOST_DESCRIBE_STRUCT(shot, (), (camera, seconds))
BOOST_DESCRIBE_STRUCT(clip, (), (url))

constexpr fermata::step<clip(shot)> record_shot{"record_shot"};
constexpr fermata::step<std::string(clip)> upload_east{"upload_east"}, upload_west{"upload_west"};
constexpr fermata::step<void(std::string)> announce{"announce"}, retract{"retract"},
    file_report{"file_report"};
constexpr fermata::workflow<std::string(std::vector<shot>)> cover_show{"cover_show"};

fermata::task<clip> film(fermata::context& ctx, shot s) {
  co_await ctx.sleep(std::chrono::seconds(s.seconds));
  clip filmed = co_await ctx.call(record_shot, s);
  co_return filmed;
}

fermata::task<void> wrap_up(fermata::context& ctx, std::string how) {
  co_await ctx.sleep(5s);
  co_await ctx.call(file_report, how);
}

fermata::task<std::string> cover(fermata::context& ctx, std::vector<shot> shots) {
  fermata::scope crew(ctx, {.deadline = 1h});
  std::vector<fermata::future<clip>> clips;
  for (const shot& s : shots) clips.push_back(crew.spawn(film(ctx, s)));
  co_await crew.join();

  clip best = co_await clips.front();
  std::variant<std::string, std::string> uploaded =
      co_await ctx.race(ctx.call(upload_east, best), ctx.call(upload_west, best));
  std::string url = std::visit([](const std::string& u) { return u; }, uploaded);
  ctx.on_failure(retract, url);

  fermata::outcome<void> told = co_await ctx.settle(ctx.call(announce, url));
  if (!told) ctx.log("nobody was told: " + std::string(told.error().what()));
  co_await ctx.shield(wrap_up(ctx, told ? "announced" : "silent"));
  co_await ctx.timeout(ctx.sleep(2h), 3h);
  co_return url + " " + std::to_string(ctx.random(1, 6)) + " " + ctx.uuid();
}

void serve(kit& t, outside& world) {
  t.worker.serve(record_shot, [](const shot& s) { return clip{s.camera}; });
  t.worker.serve(upload_east, [](const clip& c) { return "east/" + c.url; });
  t.worker.serve(upload_west, [](const clip& c) { return "west/" + c.url; });
  t.worker.serve(announce, [](const std::string&) {
    throw fermata::failure("no network", {.retryable = false});
  });
  t.worker.serve(retract, [&](const std::string& url) { world.note("retract " + url); });
  t.worker.serve(file_report, [&](const std::string& how) { world.note("report " + how); });
  t.worker.serve(cover_show, cover);
}

const std::vector<shot> shots{{"a", 60}, {"b", 30}, {"c", 90}};

}  // namespace

TEST_CASE("a show is covered: the first upload wins, a failed announcement isn't the end") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);

    const std::string said = t.client.start(cover_show, shots).result();

    CHECK(said.starts_with("east/a "));
    CHECK(said.size() == 45);
    CHECK(world.story() == "report silent");
  });
}

TEST_CASE("cancelled in the shielded stretch: the report is filed, then the clip retracted") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);

    auto stopped = t.client.start(cover_show, shots);
    t.advance(92s);
    stopped.cancel();

    CHECK(problem_of([&] { (void)stopped.result(); }) == "run " + stopped.id() + " was cancelled");
    CHECK(world.story() == "report silent, retract east/a");
  });
}

TEST_CASE("the deadline cancels the crew") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);

    auto late = t.client.start(cover_show, {{"a", 60}, {"b", 7200}});

    CHECK(problem_of([&] { (void)late.result(); }) == "the scope's deadline passed");
  });
}

TEST_CASE("a camera without tape ends the show at once") {
  every_way([](kit& t) {
    outside world;
    serve(t, world);
    t.fail(record_shot, fermata::failure("no tape", {.retryable = false}));

    auto broken = t.client.start(cover_show, shots);

    CHECK(problem_of([&] { (void)broken.result(); }) == "no tape");
    CHECK(broken.describe().ended_at.value() - broken.describe().started_at.value() == 30s);
  });
}
