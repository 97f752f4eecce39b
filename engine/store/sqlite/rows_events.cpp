// SPDX-License-Identifier: Apache-2.0
#include "engine/event/encode.hpp"
#include "engine/event/flags.hpp"
#include "engine/limits.hpp"
#include "engine/store/sqlite/rows.hpp"

namespace fermata::engine::sqlite {

namespace {

enum part : int { part_value = 0, part_input = 1 };

void insert_blob(connection& db, std::int64_t run, position_t position, part which,
                 std::string_view bytes) {
  db.sql("INSERT INTO blobs(run, position, part, bytes) VALUES (?1, ?2, ?3, ?4)")
      .with(run, position, static_cast<int>(which), blob{bytes})
      .run();
}

/// When it isn't there `found` becomes false.
std::string read_blob(connection& db, std::int64_t run, position_t position, part which,
                      bool& found) {
  use row = db.sql("SELECT bytes FROM blobs WHERE run = ?1 AND position = ?2 AND part = ?3");
  row.with(run, position, static_cast<int>(which));
  if (row.next()) return std::string(row.bytes(0));
  found = false;
  return {};
}

/// A number that doesn't fit was changed by somebody else: `fits` becomes false.
template <class Number>
Number narrow(std::int64_t stored, bool& fits) {
  const auto value = static_cast<Number>(stored);
  if (static_cast<std::int64_t>(value) != stored) fits = false;
  return value;
}

bool too_long(std::string_view bytes) { return bytes.size() > limits::payload_inline; }

}  // namespace

const std::string event_columns =
    "e.position, e.kind, e.epoch, e.at, e.operation, e.name, e.place, e.flags, e.codec, e.key_id, "
    "e.content_type, e.input_content_type, e.value, e.input, e.salt, e.digest, e.details, e.chain, "
    "e.crc";

encoded_event read_event(connection& db, use& row, std::int64_t run) {
  encoded_event what;
  bool fits = true;
  what.position = static_cast<position_t>(row.integer(0));
  what.kind = static_cast<event_kind>(narrow<std::uint8_t>(row.integer(1), fits));
  what.epoch = narrow<epoch_t>(row.integer(2), fits);
  what.at = row.integer(3);
  what.operation = std::string(row.text(4));  // made, not assigned: that costs twice as much
  what.name = db.names.text(row.integer(5));
  what.place = db.places.shared(row.integer(6));
  what.flags = narrow<std::uint8_t>(row.integer(7), fits);
  what.codec = narrow<std::uint8_t>(row.integer(8), fits);
  what.key_id = narrow<std::uint32_t>(row.integer(9), fits);
  what.content_type = db.names.shared(row.integer(10));
  what.input_content_type = db.names.shared(row.integer(11));
  what.value = std::string(row.bytes(12));
  what.input = std::string(row.bytes(13));
  what.salt = row.bytes(14);
  what.digest = row.bytes(15);
  what.details = std::string(row.bytes(16));
  what.chain = row.hash(17);
  what.crc = narrow<std::uint32_t>(row.integer(18), fits);
  if ((what.flags & flag::value_in_blob) != 0)
    what.value = read_blob(db, run, what.position, part_value, fits);
  if ((what.flags & flag::input_in_blob) != 0)
    what.input = read_blob(db, run, what.position, part_input, fits);
  if (!fits) what.crc = ~what.crc;  // so that its checksum tells
  what.flags = static_cast<std::uint8_t>(what.flags & ~flag::in_blob);
  return what;
}

namespace {

constexpr std::size_t many = 16;

/// For `rows` events; a literal for each, since statements are known by address. OR FAIL: whoever inserts rolls the
/// transaction back when it doesn't work, so SQLite needn't be able to undo the statement alone.
const char* insert_sql(std::size_t rows) {
  static const auto text = [](std::size_t count) {
    const std::string row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    std::string sql =
        "INSERT OR FAIL INTO events(run, position, kind, epoch, at, operation, name, place, flags, "
        "codec, "
        "key_id, content_type, input_content_type, value, input, salt, digest, details, chain, "
        "crc) "
        "VALUES ";
    for (std::size_t i = 0; i < count; ++i) sql += (i == 0 ? "" : ", ") + row;
    return sql;
  };
  static const std::string one = text(1);
  static const std::string several = text(many);
  return rows == 1 ? one.c_str() : several.c_str();
}

void bind_event(connection& db, use& insert, std::int64_t run, const encoded_event& what) {
  unsigned flags = what.flags & ~static_cast<unsigned>(flag::in_blob);
  if (too_long(what.value)) flags |= flag::value_in_blob;
  if (too_long(what.input)) flags |= flag::input_in_blob;
  insert.with(run, what.position, static_cast<int>(what.kind), what.epoch, what.at, what.operation,
              db.names.id_of(what.name), db.places.id_of_shared(what.place), flags, what.codec,
              what.key_id, db.names.id_of_shared(what.content_type),
              db.names.id_of_shared(what.input_content_type));
  const bool has_value =
      !what.content_type.empty() && (flags & (flag::value_in_blob | flag::value_erased)) == 0;
  const bool has_input =
      !what.input_content_type.empty() && (flags & (flag::input_in_blob | flag::input_erased)) == 0;
  if (has_value) {
    insert.with(blob{what.value});
  } else {
    insert.with(nullptr);
  }
  if (has_input) {
    insert.with(blob{what.input});
  } else {
    insert.with(nullptr);
  }
  insert.with(blob_or_null{what.salt}, blob_or_null{what.digest}, blob{what.details},
              bytes_of(what.chain), what.crc);
}

void insert_blobs(connection& db, std::int64_t run, const encoded_event& what) {
  if (too_long(what.value)) insert_blob(db, run, what.position, part_value, what.value);
  if (too_long(what.input)) insert_blob(db, run, what.position, part_input, what.input);
}

}  // namespace

void insert_event(connection& db, std::int64_t run, const encoded_event& what) {
  const event_of one{run, &what};
  insert_events(db, {&one, 1});
}

void insert_events(connection& db, std::span<const event_of> all) {
  for (const event_of& one : all) insert_blobs(db, one.run, *one.what);
  while (!all.empty()) {
    const std::size_t count = all.size() >= many ? many : 1;
    use insert = db.sql(insert_sql(count));
    for (const event_of& one : all.first(count)) bind_event(db, insert, one.run, *one.what);
    insert.run();
    all = all.subspan(count);
  }
}

time_us newest_time(connection& db, time_us wall) {
  constexpr time_us ahead = 1'000'000;
  {
    use last = db.sql("SELECT at FROM events ORDER BY lsn DESC LIMIT 1");
    if (!last.next()) return 0;
    if (last.integer(0) <= wall + ahead) return last.integer(0);
  }
  static const std::string sql = "SELECT " + event_columns +
                                 ", e.run, r.run FROM events e LEFT JOIN runs r ON r.id = e.run "
                                 "ORDER BY e.lsn DESC LIMIT 100";
  use rows = db.sql(sql.c_str());
  while (rows.next()) {
    const encoded_event what = read_event(db, rows, rows.integer(19));
    if (!absl::IsDataLoss(decode_envelope(rows.id<run_id>(20), what).status())) return what.at;
  }
  return 0;
}

}  // namespace fermata::engine::sqlite
