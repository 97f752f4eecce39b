// SPDX-License-Identifier: Apache-2.0
#include "engine/store/batch.hpp"

namespace fermata::engine {

std::size_t bytes_in(const append& what) noexcept {
  std::size_t bytes = 0;
  for (const encoded_event& one : what.events)
    bytes += one.value.size() + one.input.size() + one.details.size();
  for (const start_request& one : what.children) bytes += one.input.bytes.size();
  for (const message& one : what.messages) bytes += one.value.bytes.size();
  for (const task_row& one : what.tasks) bytes += one.input.bytes.size();
  return bytes;
}

std::size_t bytes_in(const batch& what) noexcept {
  std::size_t bytes = 0;
  for (const append& one : what.appends) bytes += bytes_in(one);
  for (const start_item& one : what.starts) bytes += one.request.input.bytes.size();
  for (const message& one : what.messages) bytes += one.value.bytes.size();
  for (const task_finish& one : what.finish) bytes += one.outcome.value.bytes.size();
  return bytes;
}

}  // namespace fermata::engine
