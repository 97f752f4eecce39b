// SPDX-License-Identifier: Apache-2.0
// What people type behind `fermata` and a worker's name: durations, instants, JSON, shapes, flags.
#include "worker/command_line.hpp"

#include "engine/check.hpp"
#include "tests/fuzz/reader.hpp"
#include "worker/cli/command.hpp"
#include "worker/cli/input.hpp"
#include "worker/cli/text.hpp"
#include "worker/cli/times.hpp"
#include "worker/durations.hpp"

#include <fermata/error.hpp>

#include <CLI/Error.hpp>
#include <boost/json.hpp>

#include <vector>

using namespace fermata;

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

void try_span(std::string_view text) {
  const auto span = detail::parse_duration(text);
  if (!span) return;
  const auto again = detail::parse_duration(detail::format_duration(*span));
  FERMATA_CHECK(again && *again <= *span, "'{}' is written as what isn't it", text);
}

void try_worker(std::string_view text) {
  const std::vector<std::string> words = words_of(text);
  std::vector<const char*> arguments = {"worker"};
  for (const std::string& word : words) arguments.push_back(word.c_str());
  worker_options options;
  detail::worker_line line;
  (void)detail::read_command_line(static_cast<int>(arguments.size()), arguments.data(), true,
                                  options, line);
  (void)detail::queues_text(options.queues);
}

/// Its flags are read; nothing is done.
void try_command(std::uint8_t which, std::string_view text) {
  const auto all = cli::commands();
  cli::parser flags(all[which % all.size()]);
  std::vector<std::string> words = words_of(text);
  std::ranges::reverse(words);
  try {
    flags.app.parse(words);
  } catch (const CLI::Error&) {
  }
}

void try_text(std::string_view text) {
  FERMATA_CHECK(cli::width_of(cli::truncated(cli::clean(text), 10)) <= 10, "it is too wide");
  (void)cli::clean_lines(text);
  (void)cli::lines_in(text);
}

void try_json(std::string_view shape, std::string_view text) {
  const boost::json::value value = cli::parse_argument(std::string(text), "the input");
  cli::check_shape(value, shape, "the input");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::reader from(data, size);
  const std::uint8_t what = from.byte();
  try {
    switch (what % 8) {
      case 0:
        try_span(from.rest());
        break;
      case 1:
        (void)cli::read_duration_ms(from.rest(), "--flag");
        break;
      case 2:
        (void)cli::iso_text(cli::read_instant(from.rest(), "--since", 1'700'000'000'000'000, true));
        (void)cli::read_instant(from.rest(), "--at", 1'700'000'000'000'000, false);
        break;
      case 3: {
        const std::string shape = from.text();
        try_json(shape, from.rest());
        break;
      }
      case 4:
        try_json("{}", from.rest());
        break;
      case 5:
        try_worker(from.rest());
        break;
      case 6:
        try_command(from.byte(), from.rest());
        break;
      default:
        try_text(from.rest());
    }
  } catch (const error&) {
    // A sentence with a code.
  }
  return 0;
}
