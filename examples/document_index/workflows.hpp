// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "documents.hpp"

namespace documents {

/// The root: lists the folder, and has a child run for each file, so many at a time.
fermata::task<totals> walk(fermata::context& ctx, folder f);

/// One file: its facts, then its place in the index.
fermata::task<counts> take_in(fermata::context& ctx, std::string path);

/// What the index holds, and what it answers.
fermata::task<report> look_up(fermata::context& ctx, std::string words);

}  // namespace documents
