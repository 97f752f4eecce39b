// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/codec.hpp>
#include <fermata/codes.hpp>
#include <fermata/time.hpp>

#include <boost/json/value.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace fermata {

/// The root of what this library throws about runs and journals. The code is stable; `codes.hpp`
/// and docs/errors.md say what each means and what to do.
class error : public std::runtime_error {
 public:
  error(std::string_view code, const std::string& message, std::string run = {})
      : std::runtime_error(message), code_(code), run_(std::move(run)) {}
  const std::string& code() const noexcept { return code_; }  ///< "FER-1301"
  const std::string& run() const noexcept { return run_; }    ///< its id; empty: none in question

 private:
  std::string code_;
  std::string run_;
};

/// What a failure carries besides its message; written in braces.
struct failure_options {
  std::string type = "failure";  ///< what `catch` code, `show` and filters tell apart
  bool retryable = true;         ///< false ends the step at once
  /// The delay before the next attempt, instead of the policy's.
  std::optional<duration> retry_after = {};
  boost::json::value details = {};  ///< `fermata::json(value)` makes one from a described struct
};

/// A business outcome that went wrong. In a step it fails the attempt; in a workflow it fails the
/// run.
///
///   throw fermata::failure("card declined", {.type = "card_declined", .retryable = false});
///
/// Any other exception that leaves a step becomes a retryable failure with its type's name and
/// what().
class failure : public error {
 public:
  explicit failure(const std::string& message, failure_options options = {}, std::string run = {})
      : failure(codes::failed, message, std::move(options), std::move(run)) {}

  const std::string& type() const noexcept { return options_.type; }
  bool retryable() const noexcept { return options_.retryable; }
  std::optional<duration> retry_after() const noexcept { return options_.retry_after; }
  const boost::json::value& details() const noexcept { return options_.details; }

  /// The details as the type they were made from.
  /// Throws: `decode_error` when they are of another shape.
  template <class T>
    requires detail::json_writable<T>
  T details_as() const {
    return detail::read<T>(options_.details);
  }

 protected:
  failure(std::string_view code, const std::string& message, failure_options options,
          std::string run)
      : error(code, message, std::move(run)), options_(std::move(options)) {}

 private:
  failure_options options_;
};

/// A step, scope, child or wait took longer than it was given: a failure of type "timed_out". From
/// a client's `result(limit)` the code is FER-1103: the run itself goes on.
class timed_out : public failure {
 public:
  explicit timed_out(const std::string& what, std::string run = {},
                     std::string_view code = codes::timed_out)
      : failure(code, what, {.type = "timed_out"}, std::move(run)) {}
};

/// The branch was cancelled: thrown at its await, and at every later one, until it ends.
/// Not a `failure`, so that code that handles business failures never swallows it.
class cancelled : public error {
 public:
  explicit cancelled(const std::string& what, std::string run = {})
      : error(codes::cancelled, what, std::move(run)) {}
};

}  // namespace fermata
