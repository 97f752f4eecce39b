// SPDX-License-Identifier: Apache-2.0
#include "engine/store/start_groups.hpp"

#include "engine/store/status.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <span>
#include <tuple>

namespace fermata::engine {

namespace {

using outcome = start_result::outcome;
using group = std::span<const start_item>;
using key_name = std::tuple<std::string_view, std::string_view, std::string_view>;

group group_at(const std::vector<start_item>& all, std::size_t first) {
  std::size_t last = first;
  while (all[last].with_next && last + 1 < all.size()) ++last;
  return group(all).subspan(first, last - first + 1);
}

bool refused(const start_result& how) {
  return how.how == outcome::conflict || how.how == outcome::exists;
}

/// The answer of a start whose key another one of its group binds just before.
start_result second_of_its_key(const start_item& first, const start_item& item) {
  if (item.on_duplicate == on_duplicate::fail) return {.how = outcome::exists};
  const bool differs = other_input(first.request.input.type, first.input_digest, item);
  return {.how = differs ? outcome::conflict : outcome::attached};
}

/// Empty when all may be applied.
std::vector<start_result> refusals(group all, const start_verbs& verbs) {
  std::map<key_name, const start_item*> binds;
  std::vector<start_result> answers;
  for (const start_item& item : all) {
    const start_request& r = item.request;
    start_result& answer = answers.emplace_back();
    answer.how = outcome::withheld;
    if (r.key.empty()) continue;
    const key_name key{r.space, r.workflow, r.key};
    const auto first = binds.find(key);
    const auto how = first != binds.end() ? std::optional(second_of_its_key(*first->second, item))
                                          : verbs.known(item);
    if (!how)
      binds[key] = &item;
    else if (refused(*how))
      answer = *how;
  }
  if (std::ranges::none_of(answers, refused)) answers.clear();
  return answers;
}

}  // namespace

std::vector<start_result> start_all(const std::vector<start_item>& all, const start_verbs& verbs) {
  std::vector<start_result> answers;
  answers.reserve(all.size());
  while (answers.size() < all.size()) {
    const group next = group_at(all, answers.size());
    const auto not_now = next.size() > 1 ? refusals(next, verbs) : std::vector<start_result>();
    if (not_now.empty())
      std::ranges::transform(next, std::back_inserter(answers), verbs.apply);
    else
      std::ranges::copy(not_now, std::back_inserter(answers));
  }
  return answers;
}

bool other_input(std::uint64_t bound_type, std::string_view bound_digest, const start_item& item) {
  return bound_type == item.request.input.type && bound_digest != item.input_digest;
}

absl::Status key_is_taken(const start_request& copy, const chain_id& by) {
  return coded(absl::StatusCode::kFailedPrecondition, "FER-2104",
               "run " + copy.run.text() + ": its key '" + copy.key + "' names chain " + by.text() +
                   " by now, and one key names one");
}

absl::Status child_has_ended(const start_request& copy, const chain_id& child) {
  return coded(absl::StatusCode::kAborted, "FER-2104",
               "run " + copy.run.text() + ": its child " + child.text() +
                   " has ended meanwhile; its journal is to be read again");
}

}  // namespace fermata::engine
