// SPDX-License-Identifier: Apache-2.0
#include "workflows.hpp"

#include <algorithm>

namespace documents {

namespace {
constexpr std::int64_t page_size = 250;
constexpr std::size_t files_at_once = 32;
}  // namespace

fermata::task<totals> walk(fermata::context& ctx, folder f) {
  totals sum;
  page now;
  while (!now.last) {
    page_request next{.folder = f.path, .at_most = page_size};
    if (f.at_most > 0) next.at_most = std::min(page_size, f.at_most - sum.files);
    if (!now.paths.empty()) next.after = now.paths.back();
    now = co_await ctx.call(list_files, next);

    std::vector<counts> sizes = co_await ctx.map(index_file, now.paths, {.at_most = files_at_once});
    for (const counts& c : sizes) {
      sum.files += 1;
      sum.bytes += c.bytes;
      sum.lines += c.lines;
      sum.words += c.words;
    }
    ctx.publish(so_far, sum);
    if (sum.files == f.at_most) break;
  }
  co_return sum;
}

/// A file's text never enters the journal: steps hand each other its path.
fermata::task<counts> take_in(fermata::context& ctx, std::string path) {
  auto [sha256, size, title] = co_await ctx.all(
      ctx.call(hash_file, path), ctx.call(count_file, path), ctx.call(find_title, path));

  document found{.path = path, .sha256 = sha256, .title = title, .size = size};
  co_await ctx.call(add_to_index, found);
  co_return size;
}

fermata::task<report> look_up(fermata::context& ctx, std::string words) {
  auto [index, hits] = co_await ctx.all(ctx.call(count_index), ctx.call(search_index, words));
  co_return report{.index = index, .hits = hits};
}

}  // namespace documents
