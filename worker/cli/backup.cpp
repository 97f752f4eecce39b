// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/command.hpp"
#include "worker/cli/text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <ostream>

namespace fermata::cli {

action declare_backup(CLI::App& flags) {
  struct options {
    std::string file;
    bool overwrite = false;
  };
  const auto o = std::make_shared<options>();
  flags.add_option("FILE", o->file, "where to; it must not exist")->required();
  flags.add_flag("--overwrite", o->overwrite,
                 "replace a copy that exists, once the new one is whole");
  return [o](session& s) -> int {
    namespace fs = std::filesystem;
    std::error_code none;
    if (!o->overwrite && fs::exists(o->file, none))
      throw usage_error(
          fmt::format("the file '{}' exists; name another, or say --overwrite", clean(o->file)));
    s.hint("Copying; the journal stays in use …");
    check(s.store().backup(o->file, o->overwrite));
    const auto size = static_cast<std::int64_t>(fs::file_size(o->file, none));
    if (s.as_json()) {
      boost::json::object out = document("backup");
      out["file"] = o->file;
      out["bytes"] = size;
      s.print(out);
    } else {
      s.out() << o->file << "  " << bytes_text(size) << '\n';
    }
    return done;
  };
}

}  // namespace fermata::cli
