// SPDX-License-Identifier: Apache-2.0
#include "engine/dispatch/deeds.hpp"

#include "engine/failpoint.hpp"

#include <algorithm>
#include <array>

namespace fermata::engine {

namespace {

struct deed {
  const char* before;
  const char* after;
  bool (*is_done_by)(const batch& what);
};

template <class Which>
bool has_append(const batch& what, Which&& which) {
  return std::ranges::any_of(what.appends, which);
}

constexpr std::array<deed, 6> all_deeds{{
    {"writer.before_claim", "writer.after_claim",
     [](const batch& b) { return b.claim.has_value(); }},
    {"writer.before_park", "writer.after_park",
     [](const batch& b) {
       return has_append(b, [](const append& a) { return a.then == then::park; });
     }},
    {"writer.before_end", "writer.after_end",
     [](const batch& b) {
       return has_append(b, [](const append& a) { return a.then == then::end; });
     }},
    {"writer.before_start", "writer.after_start",
     [](const batch& b) {
       return !b.starts.empty() ||
              has_append(b, [](const append& a) { return !a.children.empty(); });
     }},
    {"writer.before_signal", "writer.after_signal",
     [](const batch& b) {
       return !b.messages.empty() ||
              has_append(b, [](const append& a) { return !a.messages.empty(); });
     }},
    {"writer.before_task", "writer.after_task",
     [](const batch& b) {
       return !b.finish.empty() || has_append(b, [](const append& a) { return !a.tasks.empty(); });
     }},
}};

}  // namespace

deeds::deeds(const batch& what) {
  if (!has_failpoints()) return;
  for (std::size_t i = 0; i < all_deeds.size(); ++i)
    if (all_deeds[i].is_done_by(what)) which_ |= 1U << i;
}

void deeds::before() const {
  for (std::size_t i = 0; i < all_deeds.size(); ++i)
    if ((which_ >> i & 1U) != 0) failpoint(all_deeds[i].before);
}

void deeds::after() const {
  for (std::size_t i = 0; i < all_deeds.size(); ++i)
    if ((which_ >> i & 1U) != 0) failpoint(all_deeds[i].after);
}

}  // namespace fermata::engine
