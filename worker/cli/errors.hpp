// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/error.hpp>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

/// What went wrong, as a person reads it: one sentence that ends with what to do, and its code.
namespace fermata::cli {

/// What the process ends with.
enum exit_code {
  done = 0,
  failed = 1,
  bad_usage = 2,
  not_allowed = 3,
  not_found = 4,
  timed_out = 5,
  interrupted = 130,
};
struct exit_meaning {
  int code;
  std::string_view meaning;
};
inline constexpr exit_meaning exit_meanings[] = {
    {done, "done"},
    {failed, "failed: the request, or the run whose result was asked for"},
    {bad_usage, "the command line can't be understood"},
    {not_allowed, "the run's state, a key, or the system's permissions don't allow it"},
    {not_found, "no such run, key, workflow or journal"},
    {timed_out, "timed out while waiting; what was waited for goes on"},
    {interrupted, "interrupted"}};

/// An error whose sentence says already what to do.
class whole_error : public error {
 public:
  using error::error;
};

whole_error usage_error(const std::string& sentence);  // FER-4001
whole_error refusal(const code_info& code, const std::string& sentence, std::string run = {});

int exit_code_of(std::string_view fer_code);

/// "no run 'x' in this journal. Check the namespace … [FER-1302]"
std::string sentence_of(const error& problem);
/// The message alone, without its code.
std::string bare_message(std::string_view message);

/// Throws the `error` that a status of the engine is.
void check(const absl::Status& status, const std::string& run = {});
template <class T>
T must(absl::StatusOr<T> value, const std::string& run = {}) {
  check(value.status(), run);
  return std::move(*value);
}

}  // namespace fermata::cli
