// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "documents.hpp"

/// The steps that read files. Doing one twice does no harm.
namespace documents {

/// Regular files in byte order of their paths, as `find -type f | LC_ALL=C sort` has them.
page list(const page_request& wanted);

std::string hash(const std::string& path);  ///< SHA-256, as sha256sum prints it
counts count(const std::string& path);      ///< as wc counts, white space being that of ASCII
std::string title(
    const std::string& path);  ///< the first comment that says what it is, or its name

/// Throws: `fermata::failure` when it can't be read.
std::string text(const std::string& path);

}  // namespace documents
