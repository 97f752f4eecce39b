// SPDX-License-Identifier: Apache-2.0
#include "engine/store/postgres/turn.hpp"

#include <algorithm>

namespace fermata::engine::postgres {

namespace {

void add_names(std::vector<std::string_view>& names, const encoded_event& event) {
  names.push_back(event.name);
  names.push_back(event.place.str());
  names.push_back(event.content_type.str());
  names.push_back(event.input_content_type.str());
}

}  // namespace

void learn_names(server& at, const encoded_event& what) {
  std::vector<std::string_view> names;
  add_names(names, what);
  std::erase_if(names, [&](std::string_view text) { return at.names.knows(text); });
  if (names.empty()) return;
  at.read_beside([&](connection& db) { at.names.learn(db, names); });
}

void learn_names(server& at, const batch& what) {
  std::vector<std::string_view> names;
  std::vector<std::string_view> spaces;
  const auto learn_event = [&](const encoded_event& event) { add_names(names, event); };
  const auto learn_request = [&](const start_request& request) {
    names.push_back(request.workflow);
    names.push_back(request.queue);
    spaces.push_back(request.space);
  };
  for (const append& one : what.appends) {
    for (const encoded_event& event : one.events) learn_event(event);
    for (const start_request& child : one.children) learn_request(child);
  }
  for (const start_item& one : what.starts) {
    learn_request(one.request);
    names.push_back(one.build);
    if (one.admit) learn_event(*one.admit);
  }
  if (what.claim) {
    spaces.push_back(what.claim->space);
    names.push_back(what.claim->build);
    for (const std::string& name : what.claim->workflows) names.push_back(name);
    for (const std::string& name : what.claim->queues) names.push_back(name);
  }
  std::erase_if(names, [&](std::string_view text) { return at.names.knows(text); });
  std::erase_if(spaces, [&](std::string_view text) { return at.spaces.knows(text); });
  if (names.empty() && spaces.empty()) return;
  at.read_beside([&](connection& db) {
    at.names.learn(db, names);
    at.spaces.learn(db, spaces);
  });
}

}  // namespace fermata::engine::postgres
