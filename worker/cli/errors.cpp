// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/errors.hpp"

#include "src/convert.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace fermata::cli {

whole_error usage_error(const std::string& sentence) { return whole_error(codes::usage, sentence); }

whole_error refusal(const code_info& code, const std::string& sentence, std::string run) {
  return whole_error(code, sentence, std::move(run));
}

int exit_code_of(std::string_view fer_code) {
  struct mapping {
    std::string_view fer;
    int code;
  };
  static constexpr std::array all{
      mapping{codes::wait_over, timed_out},         mapping{codes::key_conflict, not_allowed},
      mapping{codes::unknown_run, not_found},       mapping{codes::run_ended, not_allowed},
      mapping{codes::unknown_workflow, not_found},  mapping{codes::bad_input, bad_usage},
      mapping{codes::ambiguous_id, bad_usage},      mapping{codes::bad_key, bad_usage},
      mapping{codes::not_allowed_now, not_allowed}, mapping{codes::bad_text, bad_usage},
      mapping{codes::text_too_long, bad_usage},     mapping{codes::too_far, bad_usage},
      mapping{codes::bad_address, bad_usage},       mapping{codes::not_a_journal, not_found},
      mapping{codes::no_permission, not_allowed},   mapping{codes::usage, bad_usage},
      mapping{codes::no_journal, bad_usage}};
  const auto* found = std::ranges::find(all, fer_code, &mapping::fer);
  return found == all.end() ? failed : found->code;
}

std::string bare_message(std::string_view message) {
  std::string text(message);
  for (std::size_t at = text.find("[FER-"); at != std::string::npos; at = text.find("[FER-")) {
    const std::size_t end = text.find(']', at);
    if (end == std::string::npos) break;
    const std::size_t begin = at > 0 && text[at - 1] == ' ' ? at - 1 : at;
    text.erase(begin, end + 1 - begin);
  }
  while (!text.empty() && (text.back() == '.' || text.back() == ' ')) text.pop_back();
  return text;
}

namespace {

/// Whether the message says what to do in the remedy's own words, but for commas and capitals.
bool says_already(std::string_view text, std::string_view remedy) {
  const auto letters = [](std::string_view of) {
    std::string out;
    for (const char c : of)
      if (std::isalnum(static_cast<unsigned char>(c)) != 0)
        out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
  };
  return letters(text).find(letters(remedy.substr(0, remedy.find_first_of(".;")))) !=
         std::string::npos;
}

}  // namespace

std::string sentence_of(const error& problem) {
  std::string text = bare_message(problem.what());
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::string below = text.substr(end);  // a place that is pointed at
  text.resize(end);
  const code_info* known = code_named(problem.code());
  const bool whole = dynamic_cast<const whole_error*>(&problem) != nullptr;
  if (whole || (known != nullptr && says_already(text, known->remedy)))
    text += text.ends_with('?') || text.ends_with('!') ? "" : ".";
  else if (known != nullptr)
    text += ". " + std::string(known->remedy);
  return text + " [" + problem.code() + "]" + below;
}

void check(const absl::Status& status, const std::string& run) { detail::raise(status, run); }

}  // namespace fermata::cli
