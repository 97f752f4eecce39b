// SPDX-License-Identifier: Apache-2.0
// Finds the recorded histories, and records what this version hasn't recorded yet.
#include "history.hpp"
#include "scenes.hpp"
#include "src/journal_impl.hpp"

#include <fermata/version.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace replay {

namespace files = std::filesystem;

namespace {

const files::path root = FERMATA_HISTORIES_DIR;

void record(const scene& what, const files::path& to) {
  kit t;
  what.serve(t);
  what.act(t);
  t.work();
  const recording all{to.string(), std::string(what.name),
                      runs_of(fermata::detail::inside(t.journal).store())};
  files::create_directories(to.parent_path());
  std::ofstream(to, std::ios::binary) << text_of(all);
}

/// A file that is there is never written again.
void record_missing() {
  for (const scene& one : all_scenes()) {
    const files::path to =
        root / std::string(fermata::version()) / (std::string(one.name) + ".jsonl");
    if (!files::exists(to)) record(one, to);
  }
}

std::vector<recording> read_all() {
  if (std::getenv("FERMATA_RECORD_HISTORIES") != nullptr) record_missing();
  std::set<files::path> paths;
  for (const auto& entry : files::recursive_directory_iterator(root))
    if (entry.path().extension() == ".jsonl") paths.insert(entry.path());
  std::vector<recording> all;
  for (const files::path& path : paths) {
    std::ifstream in(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    all.push_back(read_recording(files::relative(path, root).string(), text));
  }
  return all;
}

}  // namespace

std::vector<scene> all_scenes() {
  std::vector<scene> all;
  for (const auto* some :
       {&step_scenes(), &branch_scenes(), &ending_scenes(), &open_scenes(), &queue_scenes()})
    all.insert(all.end(), some->begin(), some->end());
  return all;
}

const std::vector<recording>& all_recordings() {
  static const std::vector<recording> all = read_all();
  return all;
}

}  // namespace replay
