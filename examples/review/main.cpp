// SPDX-License-Identifier: Apache-2.0
// A person decides: the run waits for their signal, but not for ever.
#include <fermata/fermata.hpp>

#include <iostream>
#include <thread>

using namespace std::chrono_literals;

struct draft {
  std::string title;
  fermata::duration patience = 72h;
};
struct verdict {
  bool approved = false;
  std::string by, notes;
};
BOOST_DESCRIBE_STRUCT(draft, (), (title, patience))
BOOST_DESCRIBE_STRUCT(verdict, (), (approved, by, notes))

constexpr fermata::step<void(std::string)> ask_reviewers{"ask_reviewers"};
constexpr fermata::step<std::string(std::string)> publish_article{"publish_article"};
constexpr fermata::signal<verdict> reviewed{"reviewed"};
constexpr fermata::workflow<std::string(draft)> review_article{"review_article"};

fermata::task<std::string> review(fermata::context& ctx, draft d) {
  co_await ctx.call(ask_reviewers, d.title);

  // Nothing runs while it waits: no thread, no timer in memory. The process may end meanwhile.
  std::optional<verdict> answer = co_await ctx.receive(reviewed, d.patience);
  if (!answer) throw fermata::failure("nobody answered in time", {.type = "no_answer"});
  if (!answer->approved) co_return "refused by " + answer->by + ": " + answer->notes;

  std::string address = co_await ctx.call(publish_article, d.title);
  co_return "published at " + address + ", approved by " + answer->by;
}

void tell(const fermata::run<std::string>& run) {
  try {
    const std::string how = run.result();
    std::cout << "  " << how << "\n";
  } catch (const fermata::failure& why) {
    std::cout << "  " << why.what() << " (" << why.type() << ")\n";
  }
}

int main() {
  fermata::journal journal = fermata::open("sqlite:review.db");

  fermata::worker worker{journal};
  worker.serve(ask_reviewers, [](const std::string& title) {
    std::cout << "please review \"" << title << "\"\n";
  });
  worker.serve(publish_article, [](const std::string&) { return std::string("/articles/1"); });
  worker.serve(review_article, review);
  std::jthread working([&] { worker.run(); });

  // A signal that comes before the run asks for it is kept.
  fermata::client client{journal};
  auto approved = client.start(review_article, draft{"On waiting"});
  approved.signal(reviewed, verdict{true, "Ada", ""});
  tell(approved);

  auto refused = client.start(review_article, draft{"On hurrying"});
  refused.signal(reviewed, verdict{false, "Grace", "too short"});
  tell(refused);

  auto forgotten = client.start(review_article, draft{"On silence", 1s});
  tell(forgotten);

  worker.stop();
}
