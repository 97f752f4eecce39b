// SPDX-License-Identifier: Apache-2.0
#include "worker/testing/place.hpp"

#include "engine/check.hpp"
#include "engine/store/memory/memory_store.hpp"
#include "engine/store/postgres/linked.hpp"
#include "src/convert.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::testing {

namespace {

namespace files = std::filesystem;

class in_memory final : public place {
 public:
  explicit in_memory(engine::open_options how) : how_(std::move(how)) {}
  std::shared_ptr<engine::store> open() override {
    return kept_ = std::make_shared<engine::memory_store>("memory:", how_);
  }
  std::shared_ptr<engine::store> reopen(std::int64_t worker,
                                        std::shared_ptr<engine::store>) override {
    kept_->kill_worker(worker);
    return kept_;
  }

 private:
  const engine::open_options how_;
  std::shared_ptr<engine::memory_store> kept_;
};

/// What the process held is closed, its locks with it, and the file is opened again.
class in_sqlite final : public place {
 public:
  explicit in_sqlite(engine::open_options how) : how_(std::move(how)) {
    const files::path memory = "/dev/shm";  // a sync costs nothing there
    const files::path root = files::is_directory(memory) ? memory : files::temp_directory_path();
    std::string pattern = root / "fermata-kit-XXXXXX";
    FERMATA_CHECK(::mkdtemp(pattern.data()) != nullptr, "no folder can be made in {}",
                  root.string());
    folder_ = pattern;
  }
  ~in_sqlite() override {
    std::error_code ignored;
    files::remove_all(folder_, ignored);
  }
  std::shared_ptr<engine::store> open() override {
    auto opened = engine::open_store("sqlite:" + (folder_ / "journal.db").string(), how_);
    detail::raise(opened.status());
    return *opened;
  }
  std::shared_ptr<engine::store> reopen(std::int64_t,
                                        std::shared_ptr<engine::store> held) override {
    FERMATA_CHECK(held.use_count() == 1, "{} others hold the store of a dead process",
                  held.use_count() - 1);
    held.reset();
    return open();
  }

 private:
  const engine::open_options how_;
  files::path folder_;
};

/// A schema of a test's own server. One takes a tenth of a second to make, so those of worlds that have
/// ended are emptied and used again.
class in_postgres final : public place {
 public:
  explicit in_postgres(engine::open_options how) : how_(std::move(how)) {
    const char* server = std::getenv("FERMATA_TEST_POSTGRES");
    FERMATA_CHECK(server != nullptr, "FERMATA_TEST_POSTGRES must name a server");
    FERMATA_CHECK(engine::empty_postgres_journal != nullptr,
                  "this program is linked without Postgres: link fermata::fermata");
    const std::lock_guard guard(mutex_);
    if (free_.empty()) {
      address_ = std::string(server) + "?schema=kit_" + std::to_string(::getpid()) + "_" +
                 std::to_string(++made_);
      return;
    }
    address_ = std::move(free_.back());
    free_.pop_back();
    detail::raise(engine::empty_postgres_journal(address_));
  }
  ~in_postgres() override {
    const std::lock_guard guard(mutex_);
    free_.push_back(std::move(address_));
  }
  std::shared_ptr<engine::store> open() override {
    auto opened = engine::open_store(address_, how_);
    detail::raise(opened.status());
    return *opened;
  }
  std::shared_ptr<engine::store> reopen(std::int64_t,
                                        std::shared_ptr<engine::store> held) override {
    FERMATA_CHECK(held.use_count() == 1, "{} others hold the store of a dead process",
                  held.use_count() - 1);
    held.reset();
    return open();
  }

 private:
  inline static std::mutex mutex_;
  // Guarded by mutex_.
  inline static std::vector<std::string> free_;
  inline static int made_ = 0;

  const engine::open_options how_;
  std::string address_;
};

}  // namespace

std::unique_ptr<place> make_place(const std::shared_ptr<engine::clock>& time,
                                  const std::shared_ptr<engine::random>& chance) {
  const char* asked = std::getenv("FERMATA_KIT_STORE");
  engine::open_options how{.time = time, .chance = chance};
  if (asked != nullptr && std::string_view(asked) == "sqlite")
    return std::make_unique<in_sqlite>(std::move(how));
  if (asked != nullptr && std::string_view(asked) == "postgres")
    return std::make_unique<in_postgres>(std::move(how));
  return std::make_unique<in_memory>(std::move(how));
}

}  // namespace fermata::testing
