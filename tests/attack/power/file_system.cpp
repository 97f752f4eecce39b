// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/file_system.hpp"

#include "tests/attack/power/machine.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace fermata::attack::power {

namespace {

struct open_file;

/// What the handles of one file share while any is open: its locks, and the log's index.
struct shared_file {
  std::vector<open_file*> handles;
  std::vector<std::unique_ptr<char[]>> regions;
};

struct open_file {
  std::string name;
  std::shared_ptr<shared_file> shared;
  bool new_log = false;  // its first sync makes its name durable
  int level = SQLITE_LOCK_NONE;
  bool maps = false;
  unsigned shm_shared = 0;
  unsigned shm_exclusive = 0;
};

/// What SQLite allocates for us: it ends with our own part.
struct handle {
  sqlite3_file base;
  open_file* at;
};

open_file& of(sqlite3_file* file) { return *reinterpret_cast<handle*>(file)->at; }

std::shared_ptr<shared_file> share(const std::string& name) {
  static std::map<std::string, std::weak_ptr<shared_file>> all;
  std::shared_ptr<shared_file> found = all[name].lock();
  if (!found) all[name] = found = std::make_shared<shared_file>();
  return found;
}

// ---- bytes ----

int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
  if (const int code = this_machine()->ask(request::read)) return code;
  const std::string& bytes = this_machine()->files.read(of(file).name);
  const auto from = std::min(static_cast<std::size_t>(at), bytes.size());
  const auto count = std::min(static_cast<std::size_t>(size), bytes.size() - from);
  std::memcpy(to, bytes.data() + from, count);
  if (count == static_cast<std::size_t>(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + count, 0, static_cast<std::size_t>(size) - count);
  return SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
  const int code = this_machine()->ask(request::write);
  // One that fails may have written a part.
  if (code != 0)
    size = static_cast<int>(this_machine()->chance().below(static_cast<unsigned>(size)));
  this_machine()->tell({.what = operation::kind::write,
                        .name = of(file).name,
                        .at = at,
                        .bytes = {static_cast<const char*>(from), static_cast<std::size_t>(size)}});
  return code;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = this_machine()->ask(request::truncate)) return code;
  this_machine()->tell({.what = operation::kind::truncate, .name = of(file).name, .at = size});
  return SQLITE_OK;
}

int sync(sqlite3_file* file, int) {
  open_file& which = of(file);
  if (const int code = this_machine()->ask(request::sync)) {
    this_machine()->tell({.what = operation::kind::sync_failed,
                          .name = which.name,
                          .chance = this_machine()->chance().next()});
    return code;
  }
  this_machine()->tell({.what = operation::kind::sync, .name = which.name});
  if (which.new_log) this_machine()->tell({.what = operation::kind::sync_folder});
  which.new_log = false;
  return SQLITE_OK;
}

int size_of(sqlite3_file* file, sqlite3_int64* size) {
  if (const int code = this_machine()->ask(request::size)) return code;
  *size = static_cast<sqlite3_int64>(this_machine()->files.read(of(file).name).size());
  return SQLITE_OK;
}

// ---- locks of the file ----

/// The highest that others hold.
int others_hold(const open_file& me) {
  int level = SQLITE_LOCK_NONE;
  for (const open_file* one : me.shared->handles) {
    if (one != &me) level = std::max(level, one->level);
  }
  return level;
}

int lock(sqlite3_file* file, int level) {
  open_file& me = of(file);
  if (me.level >= level) return SQLITE_OK;
  if (const int code = this_machine()->ask(request::lock)) return code;
  const int others = others_hold(me);
  if (level == SQLITE_LOCK_SHARED && others >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
  if (level >= SQLITE_LOCK_RESERVED && others >= SQLITE_LOCK_RESERVED) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_EXCLUSIVE && others != SQLITE_LOCK_NONE) {
    me.level = SQLITE_LOCK_PENDING;
    return SQLITE_BUSY;
  }
  me.level = level;
  return SQLITE_OK;
}

int unlock(sqlite3_file* file, int level) {
  of(file).level = std::min(of(file).level, level);
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* file, int* reserved) {
  *reserved = others_hold(of(file)) >= SQLITE_LOCK_RESERVED ? 1 : 0;
  return SQLITE_OK;
}

// ---- the log's index ----

int shm_map(sqlite3_file* file, int region, int size, int extend, void volatile** at) {
  if (const int code = this_machine()->ask(request::shm_map)) return code;
  open_file& me = of(file);
  me.maps = true;
  auto& regions = me.shared->regions;
  while (extend != 0 && regions.size() <= static_cast<std::size_t>(region))
    regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  const bool there = static_cast<std::size_t>(region) < regions.size();
  *at = there ? regions[static_cast<std::size_t>(region)].get() : nullptr;
  return SQLITE_OK;
}

int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  open_file& me = of(file);
  const unsigned mask = ((1U << static_cast<unsigned>(count)) - 1U)
                        << static_cast<unsigned>(offset);
  if ((flags & SQLITE_SHM_UNLOCK) != 0) {
    me.shm_shared &= ~mask;
    me.shm_exclusive &= ~mask;
    return SQLITE_OK;
  }
  if (const int code = this_machine()->ask(request::shm_lock)) return code;
  const bool shared = (flags & SQLITE_SHM_SHARED) != 0;
  for (const open_file* one : me.shared->handles) {
    if (one == &me) continue;
    if (((one->shm_exclusive | (shared ? 0U : one->shm_shared)) & mask) != 0) return SQLITE_BUSY;
  }
  (shared ? me.shm_shared : me.shm_exclusive) |= mask;
  return SQLITE_OK;
}

void shm_barrier(sqlite3_file*) {}

/// The index goes with the last who uses it, as os_unix.c's next one finds it empty.
int shm_unmap(sqlite3_file* file, int) {
  open_file& me = of(file);
  me.maps = false;
  me.shm_shared = me.shm_exclusive = 0;
  if (std::ranges::none_of(me.shared->handles, &open_file::maps)) me.shared->regions.clear();
  return SQLITE_OK;
}

// ---- handles ----

int close(sqlite3_file* file) {
  open_file* me = &of(file);
  shm_unmap(file, 0);
  std::erase(me->shared->handles, me);
  delete me;
  return SQLITE_OK;
}

int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4'096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

constexpr sqlite3_io_methods methods{.iVersion = 2,
                                     .xClose = close,
                                     .xRead = read,
                                     .xWrite = write,
                                     .xTruncate = truncate,
                                     .xSync = sync,
                                     .xFileSize = size_of,
                                     .xLock = lock,
                                     .xUnlock = unlock,
                                     .xCheckReservedLock = check_reserved,
                                     .xFileControl = control,
                                     .xSectorSize = sector_size,
                                     .xDeviceCharacteristics = characteristics,
                                     .xShmMap = shm_map,
                                     .xShmLock = shm_lock,
                                     .xShmBarrier = shm_barrier,
                                     .xShmUnmap = shm_unmap,
                                     .xFetch = nullptr,
                                     .xUnfetch = nullptr};

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  file->pMethods = nullptr;
  if (const int code = this_machine()->ask(request::open)) return code;
  // Temporary tables and sorts are kept in memory: temp_store.
  if (name == nullptr) return SQLITE_CANTOPEN;
  const bool there = this_machine()->files.has(name);
  if (!there && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  if (!there) this_machine()->tell({.what = operation::kind::create, .name = name});
  const bool is_log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
  auto made = std::make_unique<open_file>();
  made->name = name;
  made->shared = share(name);
  made->new_log = is_log && (flags & SQLITE_OPEN_CREATE) != 0;  // also if it is there: as os_unix.c
  made->shared->handles.push_back(made.get());
  reinterpret_cast<handle*>(file)->at = made.release();
  file->pMethods = &methods;
  if (out != nullptr) *out = flags;
  return SQLITE_OK;
}

// ---- names ----

int remove(sqlite3_vfs*, const char* name, int sync_folder) {
  if (const int code = this_machine()->ask(request::remove)) return code;
  if (!this_machine()->files.has(name)) return SQLITE_IOERR_DELETE_NOENT;
  this_machine()->tell({.what = operation::kind::remove, .name = name});
  if (sync_folder != 0) this_machine()->tell({.what = operation::kind::sync_folder});
  return SQLITE_OK;
}

/// As os_unix.c: an empty file doesn't count as there.
int access(sqlite3_vfs*, const char* name, int flags, int* there) {
  const disk& files = this_machine()->files;
  *there = files.has(name) && (flags != SQLITE_ACCESS_EXISTS || !files.read(name).empty()) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* to) {
  sqlite3_snprintf(size, to, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs*, int size, char* to) {
  for (int i = 0; i < size; ++i) to[i] = static_cast<char>(this_machine()->chance().next());
  return size;
}

/// Nobody else runs who could let go meanwhile.
int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

int last_error(sqlite3_vfs*, int, char*) { return 0; }

int time_now(sqlite3_vfs*, sqlite3_int64* milliseconds) {
  *milliseconds = 212'577'696'000'000;  // 2024-05-05, of the Julian day
  return SQLITE_OK;
}

int time_of_day(sqlite3_vfs*, double* days) {
  *days = 212'577'696'000'000 / 86'400'000.0;
  return SQLITE_OK;
}

}  // namespace

sqlite3_vfs* file_system() {
  static sqlite3_vfs made{};
  made.iVersion = 2;
  made.szOsFile = sizeof(handle);
  made.mxPathname = 512;
  made.zName = "machine";
  made.xOpen = open;
  made.xDelete = remove;
  made.xAccess = access;
  made.xFullPathname = full_path;
  made.xRandomness = randomness;
  made.xSleep = sleep;
  made.xCurrentTime = time_of_day;
  made.xGetLastError = last_error;
  made.xCurrentTimeInt64 = time_now;
  return &made;
}

}  // namespace fermata::attack::power
