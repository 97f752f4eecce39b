// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>

#include <cstdint>
#include <string>
#include <vector>

struct sqlite3;

/// The names that the worker, the client and the journal agree on.
namespace documents {

using namespace std::chrono_literals;

struct folder {
  std::string path;
  std::int64_t at_most = 0;  // files; 0: all
};
BOOST_DESCRIBE_STRUCT(folder, (), (path, at_most))

/// Files come in pages, so that no value in the journal grows with the folder.
struct page_request {
  std::string folder, after;  // the last path of the page before
  std::int64_t at_most = 0;
};
struct page {
  std::vector<std::string> paths;
  bool last = false;
};
BOOST_DESCRIBE_STRUCT(page_request, (), (folder, after, at_most))
BOOST_DESCRIBE_STRUCT(page, (), (paths, last))

struct counts {
  std::int64_t bytes = 0, lines = 0, words = 0;
};
struct document {
  std::string path, sha256, title;
  counts size;
};
struct totals {
  std::int64_t files = 0, bytes = 0, lines = 0, words = 0;
};
BOOST_DESCRIBE_STRUCT(counts, (), (bytes, lines, words))
BOOST_DESCRIBE_STRUCT(document, (), (path, sha256, title, size))
BOOST_DESCRIBE_STRUCT(totals, (), (files, bytes, lines, words))

struct hit {
  std::string path, title;
};
struct report {
  totals index;
  std::vector<hit> hits;
};
BOOST_DESCRIBE_STRUCT(hit, (), (path, title))
BOOST_DESCRIBE_STRUCT(report, (), (index, hits))

constexpr fermata::step<page(page_request)> list_files{"list_files", {.timeout = 1min}};
constexpr fermata::step<std::string(std::string)> hash_file{"hash_file"};
constexpr fermata::step<counts(std::string)> count_file{"count_file"};
constexpr fermata::step<std::string(std::string)> find_title{"find_title"};

// Transactional: they get the database, and what they write is there exactly once.
constexpr fermata::database<sqlite3> index_db{"index"};
constexpr fermata::step<void(document)> add_to_index{"add_to_index"};
constexpr fermata::step<totals()> count_index{"count_index"};
constexpr fermata::step<std::vector<hit>(std::string)> search_index{"search_index"};

constexpr fermata::workflow<counts(std::string)> index_file{"index_file"};
constexpr fermata::workflow<totals(folder)> index_tree{"index_tree"};
constexpr fermata::workflow<report(std::string)> report_on{"report"};

constexpr fermata::published<totals> so_far{"so_far"};

}  // namespace documents
