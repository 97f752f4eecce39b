// SPDX-License-Identifier: Apache-2.0
// Many things at once: all of them, a few at a time, each as a run of its own, and of mixed types.
#include <fermata/fermata.hpp>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <sstream>
#include <thread>

struct chapter {
  std::string title, text;
};
struct book {
  std::string title;
  std::vector<chapter> chapters;
};
struct note {
  std::string title, longest_word;
  int words = 0;
};
struct digest {
  std::string heading;
  int words = 0;
  std::vector<std::string> first_words;
  std::vector<note> notes;
};
BOOST_DESCRIBE_STRUCT(chapter, (), (title, text))
BOOST_DESCRIBE_STRUCT(book, (), (title, chapters))
BOOST_DESCRIBE_STRUCT(note, (), (title, longest_word, words))
BOOST_DESCRIBE_STRUCT(digest, (), (heading, words, first_words, notes))

constexpr fermata::step<int(chapter)> count_words{"count_words"};
constexpr fermata::step<std::string(chapter)> find_first_word{"find_first_word"};
constexpr fermata::step<std::string(chapter)> find_longest_word{"find_longest_word"};
constexpr fermata::step<std::string(std::string)> set_heading{"set_heading"};
constexpr fermata::workflow<note(chapter)> read_chapter{"read_chapter"};
constexpr fermata::workflow<digest(book)> read_book{"read_book"};

/// Two steps side by side. `all` takes futures of different types, too.
fermata::task<note> take_note(fermata::context& ctx, chapter c) {
  auto [words, longest] =
      co_await ctx.all(ctx.call(count_words, c), ctx.call(find_longest_word, c));
  co_return note{c.title, longest, words};
}

fermata::task<digest> take_notes(fermata::context& ctx, book b) {
  digest d;

  // All at once. A call is under way as soon as it is made; co_await only waits.
  std::vector<fermata::future<int>> counting;
  for (const chapter& c : b.chapters) counting.push_back(ctx.call(count_words, c));
  std::vector<int> words = co_await ctx.all(counting);
  d.words = std::accumulate(words.begin(), words.end(), 0);

  // Two at a time. The results stand in the order of the inputs, whoever was first.
  d.first_words = co_await ctx.map(find_first_word, b.chapters, {.at_most = 2});

  // Each as a child run, with a journal of its own. Another worker may take it.
  d.notes = co_await ctx.map(read_chapter, b.chapters, {.at_most = 3});

  // A future is a name: it can wait in a variable.
  fermata::future<std::string> heading = ctx.call(set_heading, b.title);
  d.heading = co_await heading;
  co_return d;
}

std::vector<std::string> words_of(const chapter& c) {
  std::istringstream in(c.text);
  return {std::istream_iterator<std::string>(in), {}};
}

int main() {
  fermata::journal journal = fermata::open("sqlite:fan_out.db");

  fermata::worker worker{journal};
  worker.serve(count_words, [](const chapter& c) { return static_cast<int>(words_of(c).size()); });
  worker.serve(find_first_word, [](const chapter& c) { return words_of(c).at(0); });
  worker.serve(find_longest_word, [](const chapter& c) {
    const std::vector<std::string> words = words_of(c);
    return *std::ranges::max_element(words, {}, &std::string::size);
  });
  worker.serve(set_heading, [](const std::string& title) { return "== " + title + " =="; });
  worker.serve(read_chapter, take_note);
  worker.serve(read_book, take_notes);
  std::jthread working([&] { worker.run(); });

  const book kettle{"The kettle",
                    {{"Morning", "Whistling the kettle wakes the house"},
                     {"Noon", "Nobody drinks tea at noon"},
                     {"Evening", "Steam and conversation until the lamp is out"},
                     {"Night", "Quiet at last"}}};
  fermata::client client{journal};
  auto run = client.start(read_book, kettle, {.key = "kettle"});

  const digest d = run.result();
  std::cout << d.heading << "\n" << d.words << " words\n";
  for (const std::string& word : d.first_words) std::cout << word << " ";
  std::cout << "\n";
  for (const note& n : d.notes)
    std::cout << n.title << ": " << n.words << " words, the longest is " << n.longest_word << "\n";

  worker.stop();
}
