// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
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
  bool create = true;               ///< what isn't there is made; false: FER-2002
  /// Gets sentences that people should read, from any thread: that the database is away, or there
  /// again; who keeps a lock. Empty: they go to standard error.
  std::function<void(std::string_view sentence)> warn = {};
};

/// Opens "sqlite:orders.db", "postgres://orders@db/fermata" or "memory:". On Postgres the tables lie in
/// a schema of their own, `fermata`, or the one of `?schema=NAME`; a database that is away is waited for
/// a while.
/// Throws: `error` FER-2001 … FER-2006 with what is wrong with the address or the journal, FER-2105 when
/// the database isn't there, FER-2107 when the role mayn't make the tables.
journal open(std::string_view address, open_options options = {});

}  // namespace fermata
