// SPDX-License-Identifier: Apache-2.0
#include "bench/postgres_pipeline.hpp"

#include <libpq-fe.h>

#include <vector>

namespace fermata::bench {

void put_number(std::string& to, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(value >> shift));
}

std::string uuid_of(std::int64_t run) {
  std::string id;
  put_number(id, 0x0190'0000'0000'0000, 8);
  put_number(id, static_cast<std::uint64_t>(run), 8);
  return id;
}

void postgres_array::add(std::string_view bytes) {
  ++count_;
  if (binary_) {
    put_number(body_, bytes.size(), 4);
    body_.append(bytes);
    return;
  }
  if (count_ > 1) body_ += ',';
  if (element_ == oid_int8) {
    body_ += bytes;
    return;
  }
  body_ += element_ == oid_bytea ? "\"\\\\x" : "\"";
  constexpr char digits[] = "0123456789abcdef";
  for (const char c : bytes) {
    body_ += digits[static_cast<unsigned char>(c) >> 4];
    body_ += digits[static_cast<unsigned char>(c) & 15];
  }
  body_ += '"';
}

void postgres_array::add(std::int64_t number) {
  if (!binary_) return add(std::string_view(std::to_string(number)));
  std::string bytes;
  put_number(bytes, static_cast<std::uint64_t>(number), 8);
  add(std::string_view(bytes));
}

std::string postgres_array::whole() const {
  if (!binary_) return '{' + body_ + '}';
  std::string all;
  put_number(all, count_ == 0 ? 0 : 1, 4);
  put_number(all, 0, 4);
  put_number(all, element_, 4);
  if (count_ != 0) {
    put_number(all, count_, 4);
    put_number(all, 1, 4);
  }
  return all + body_;
}

postgres_pipeline::postgres_pipeline(const std::string& address, const std::string& schema)
    : connection_(address) {
  connection_.script("SET synchronous_commit = on; SET search_path = " + schema);
}

void postgres_pipeline::prepare(const char* name, const char* sql) {
  PGresult* done = PQprepare(get(), name, sql, 0, nullptr);
  if (PQresultStatus(done) != PGRES_COMMAND_OK) connection_.fail(sql);
  PQclear(done);
}

void postgres_pipeline::enter() {
  if (PQenterPipelineMode(get()) != 1) connection_.fail("pipeline");
}

void postgres_pipeline::send(const char* name, std::initializer_list<const postgres_array*> given) {
  std::vector<std::string> values;
  std::vector<const char*> pointers;
  std::vector<int> lengths, formats;
  for (const postgres_array* one : given) {
    values.push_back(one->whole());
    formats.push_back(one->binary() ? 1 : 0);
  }
  for (const std::string& one : values) {
    pointers.push_back(one.data());
    lengths.push_back(static_cast<int>(one.size()));
  }
  if (PQsendQueryPrepared(get(), name, static_cast<int>(values.size()), pointers.data(),
                          lengths.data(), formats.data(), 1) != 1)
    connection_.fail(name);
  ++sent_;
}

void postgres_pipeline::finish() {
  if (PQpipelineSync(get()) != 1) connection_.fail("sync");
  for (; sent_ > 0; --sent_) {
    while (PGresult* one = PQgetResult(get())) {
      const ExecStatusType status = PQresultStatus(one);
      if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) connection_.fail("pipeline");
      PQclear(one);
    }
  }
  PGresult* sync = PQgetResult(get());
  if (PQresultStatus(sync) != PGRES_PIPELINE_SYNC) connection_.fail("pipeline sync");
  PQclear(sync);
  if (PQexitPipelineMode(get()) != 1) connection_.fail("pipeline end");
}

}  // namespace fermata::bench
