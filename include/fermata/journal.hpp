// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>
#include <utility>

namespace fermata {

namespace detail {
class engine_port;
}

/// A journal that is open. Cheap to copy; the last copy closes it. A client and a worker on one
/// journal object meet without leaving the process.
/// Threads: any.
class journal {
 public:
  // Below: for the library.
  explicit journal(std::shared_ptr<detail::engine_port> engine) : engine_(std::move(engine)) {}
  detail::engine_port& engine() const noexcept { return *engine_; }
  const std::shared_ptr<detail::engine_port>& shared() const noexcept { return engine_; }

 private:
  std::shared_ptr<detail::engine_port> engine_;
};

/// How a journal is opened.
struct open_options {
  std::string_view ns = "default";  ///< the namespace that everything through this journal is in
  bool create = true;               ///< a file that isn't there is made; false: FER-2002
};

/// Opens "sqlite:orders.db" or "memory:".
/// Throws: `error` FER-2001 … FER-2005 with what is wrong with the address or the journal.
journal open(std::string_view address, open_options options = {});

}  // namespace fermata
