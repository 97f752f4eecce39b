// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/json_out.hpp"

#include <boost/json.hpp>

namespace fermata::cli {

namespace json = boost::json;

namespace {

std::string id_text(const std::string& sixteen) {
  return sixteen.size() == 16 ? engine::run_id::of(engine::ulid::from_view(sixteen)).text() : "";
}
std::string message_text(const std::string& sixteen) {
  return sixteen.size() == 16 ? engine::message_id::of(engine::ulid::from_view(sixteen)).text()
                              : "";
}

template <class Texts>
json::array texts_json(const Texts& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object started_json(const pb::started& d, const showing& how) {
  json::object out{{"chain", id_text(d.chain())},
                   {"origin", id_text(d.origin())},
                   {"namespace", d.tenant()},
                   {"queue", d.queue()},
                   {"priority", d.priority()},
                   {"key", d.key()},
                   {"build", d.build()},
                   {"format_level", d.format_level()},
                   {"requested", time_json(d.requested_us(), how)},
                   {"deadline", time_json(d.deadline_us(), how)}};
  if (!d.parent().empty()) {
    out["parent"] = id_text(d.parent());
    out["parent_operation"] = d.parent_operation();
  }
  if (!d.previous_run().empty()) out["previous_run"] = id_text(d.previous_run());
  json::object& tags = out["tags"].emplace_object();
  for (const auto& [name, value] : d.tags()) tags[name] = value;
  return out;
}

json::object step_json(const pb::step_outcome& d, const showing& how) {
  json::object out{
      {"operation_kind", text_of(static_cast<engine::operation_kind>(d.operation_kind()))},
      {"attempts", d.attempts()},
      {"started", time_json(d.started_us(), how)}};
  if (d.first_started_us() != 0) out["first_started"] = time_json(d.first_started_us(), how);
  if (d.has_why()) out["why"] = failure_json(d.why());
  if (d.input_left_out()) out["input_left_out"] = true;
  return out;
}

json::object attempt_json(const pb::attempt& d, const showing& how) {
  json::object out{{"number", d.number()}, {"step", d.step()}};
  if (d.has_why()) out["why"] = failure_json(d.why());
  if (d.started_us() != 0) out["started"] = time_json(d.started_us(), how);
  if (d.next_due_us() != 0) out["next_due"] = time_json(d.next_due_us(), how);
  if (d.signal() != 0) out["signal"] = d.signal();
  if (!d.backtrace().empty()) out["backtrace"] = d.backtrace();
  if (!d.worker().empty()) out["worker"] = d.worker();
  if (!d.queue().empty()) out["queue"] = d.queue();
  if (d.alone()) out["alone"] = true;
  return out;
}

json::object ended_json(const pb::ended& d) {
  json::object out{{"abandoned", texts_json(d.abandoned())}, {"left", texts_json(d.left())}};
  json::array& unread = out["unread"].emplace_array();
  for (const std::string& id : d.unread()) unread.emplace_back(message_text(id));
  if (d.has_why()) out["why"] = failure_json(d.why());
  if (!d.by().empty()) out["by"] = d.by();
  if (!d.next_run().empty()) out["next_run"] = id_text(d.next_run());
  return out;
}

json::object child_json(const pb::details& d) {
  if (d.has_child())
    return {{"child", id_text(d.child().child())},
            {"key", d.child().key()},
            {"close_policy", d.child().close_policy()}};
  json::object out{{"child", id_text(d.child_end().child())},
                   {"state", text_of(static_cast<engine::run_state>(d.child_end().state()))}};
  if (d.child_end().has_why()) out["why"] = failure_json(d.child_end().why());
  return out;
}

json::object message_json(const pb::details& d, const showing& how) {
  if (d.has_sent())
    return {{"chain", id_text(d.sent().chain())}, {"message", message_text(d.sent().message())}};
  if (d.has_signal()) {
    json::object out{{"message", message_text(d.signal().message())},
                     {"accepted", time_json(d.signal().accepted_us(), how)}};
    if (!d.signal().sender().empty()) out["sender"] = id_text(d.signal().sender());
    return out;
  }
  return {{"by", d.cancel().by()}, {"why", d.cancel().why()}};
}

json::object care_json(const pb::details& d) {
  if (d.has_owner())
    return {{"epoch", d.owner().epoch()},
            {"from", d.owner().from()},
            {"to", d.owner().to()},
            {"why", d.owner().why()}};
  if (d.has_act()) return {{"act", d.act().act()}, {"who", d.act().who()}, {"why", d.act().why()}};
  json::object out{{"cancelled", d.failing().cancelled()},
                   {"abandoned", texts_json(d.failing().abandoned())}};
  if (d.failing().has_why()) out["why"] = failure_json(d.failing().why());
  return out;
}

json::object details_json(const pb::details& d, const showing& how) {
  switch (d.of_case()) {
    case pb::details::kStarted:
      return started_json(d.started(), how);
    case pb::details::kStep:
      return step_json(d.step(), how);
    case pb::details::kTimer:
      return {{"due", time_json(d.timer().due_us(), how)},
              {"asked_ms", d.timer().asked_ms()},
              {"purpose", d.timer().purpose() == 1 ? "patience" : "sleep"}};
    case pb::details::kChild:
    case pb::details::kChildEnd:
      return child_json(d);
    case pb::details::kSent:
    case pb::details::kSignal:
    case pb::details::kCancel:
      return message_json(d, how);
    case pb::details::kCompensation:
      return {{"undoes", d.compensation().undoes()},
              {"max_attempts", d.compensation().options().max_attempts()}};
    case pb::details::kCancelRequest:
      return {{"target", d.cancel_request().target()}};
    case pb::details::kAttempt:
      return attempt_json(d.attempt(), how);
    case pb::details::kOwner:
    case pb::details::kFailing:
    case pb::details::kAct:
      return care_json(d);
    case pb::details::kEnded:
      return ended_json(d.ended());
    case pb::details::kWritten:
    case pb::details::kTaskEnd:  // in no event
    case pb::details::OF_NOT_SET:
      break;
  }
  return {};
}

std::string_view class_text(engine::event_class of) {
  switch (of) {
    case engine::event_class::start:
      return "start";
    case engine::event_class::command:
      return "command";
    case engine::event_class::outcome:
      return "outcome";
    case engine::event_class::note:
      return "note";
    case engine::event_class::end:
      return "end";
  }
  return "";
}

}  // namespace

json::object event_json(const engine::run_id& run, const engine::event& what, const showing& how) {
  json::object out = document("event");
  out["run"] = run.text();
  out["position"] = what.position;
  out["at"] = time_json(what.at, how);
  out["kind"] = text_of(what.kind);
  out["class"] = class_text(engine::class_of(what.kind));
  out["operation"] = what.operation;
  out["name"] = what.name;
  out["place"] = what.place.str();
  out["epoch"] = what.epoch;
  if (what.value.present()) out["value"] = payload_json(what.value, how);
  if (what.input.present()) out["input"] = payload_json(what.input, how);
  out["details"] = details_json(what.details, how);
  return out;
}

}  // namespace fermata::cli
