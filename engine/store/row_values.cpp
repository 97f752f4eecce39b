// SPDX-License-Identifier: Apache-2.0
#include "engine/store/row_values.hpp"

#include <fmt/format.h>

namespace fermata::engine {

namespace {

enum payload_bit : int { bit_sensitive = 1, bit_not_canonical = 2, bit_erased = 4 };

}  // namespace

int payload_flags(const payload& what) {
  return (what.sensitive ? bit_sensitive : 0) | (what.canonical ? 0 : bit_not_canonical) |
         (what.erased ? bit_erased : 0);
}

payload make_payload(std::string_view content_type, std::int64_t type, std::int64_t flags,
                     std::string_view bytes) {
  payload what;
  what.bytes = bytes;
  what.content_type = content_type;
  what.type = static_cast<std::uint64_t>(type);
  what.sensitive = (flags & bit_sensitive) != 0;
  what.canonical = (flags & bit_not_canonical) == 0;
  what.erased = (flags & bit_erased) != 0;
  return what;
}

void read_details(std::string_view bytes, message& to) {
  if (!to.details.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    to.damage = fmt::format("its details ({} bytes) can't be read", bytes.size());
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string unreadable_message(const run_id& run, const message& bad) {
  return fmt::format(
      "message {} waits for the run and is damaged: {}. The run can't go on past it: restore the "
      "journal from a backup, or end the run with `fermata terminate {}` [FER-2103]",
      bad.id.text(), bad.damage, run.text());
}

}  // namespace fermata::engine
