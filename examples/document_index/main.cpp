// SPDX-License-Identifier: Apache-2.0
// The client: asks for the work, watches it, and asks the index. It works nowhere near a worker;
// they share only the journal.
#include "documents.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <span>

namespace {

using namespace std::chrono_literals;

constexpr const char* usage =
    "usage: document_index start FOLDER [FILES]   begins, or finds what has begun\n"
    "       document_index wait FOLDER            shows how far it is until it is done\n"
    "       document_index search WORDS           totals, and what the index answers\n"
    "The journal is $FERMATA_JOURNAL, or else sqlite:journal.db.\n";

std::string key_of(const std::string& folder) { return "index-" + folder; }

/// Asked again, it begins nothing: the folder's key is bound to the run.
void start(fermata::client& client, const std::string& folder, std::int64_t files) {
  const documents::folder wanted{.path = std::filesystem::absolute(folder), .at_most = files};
  auto run = client.start(documents::index_tree, wanted, {.key = key_of(folder)});
  std::cout << run.id() << "\n";
}

void wait(fermata::client& client, const std::string& folder) {
  auto run = client.attach(documents::index_tree, key_of(folder));
  while (!run.describe().ended_at) {
    if (const auto now = run.published(documents::so_far))
      std::cerr << "\r" << now->files << " files " << std::flush;
    try {
      (void)run.result(500ms);
    } catch (const fermata::timed_out&) {  // the wait is over, the run isn't
    }
  }
  const documents::totals all = run.result();
  std::cout << all.files << " files, " << all.bytes << " bytes, " << all.lines << " lines, "
            << all.words << " words\n";
}

void search(fermata::client& client, const std::string& words) {
  const documents::report found = client.start(documents::report_on, words).result();
  std::cout << "the index has " << found.index.files << " files with " << found.index.words
            << " words; the best for '" << words << "':\n";
  for (const documents::hit& h : found.hits)
    std::cout << "  " << h.path << "\n      " << h.title << "\n";
}

int run(std::span<char*> given) {
  const std::vector<std::string> said(given.begin() + 1, given.end());
  const char* address = std::getenv("FERMATA_JOURNAL");
  fermata::client client{fermata::open(address != nullptr ? address : "sqlite:journal.db")};
  if (said.size() >= 2 && said[0] == "start")
    start(client, said[1], said.size() > 2 ? std::stoll(said[2]) : 0);
  else if (said.size() == 2 && said[0] == "wait")
    wait(client, said[1]);
  else if (said.size() == 2 && said[0] == "search")
    search(client, said[1]);
  else
    return std::cerr << usage, 2;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& why) {
    std::cerr << "document_index: " << why.what() << "\n";
    return 1;
  }
}
