// SPDX-License-Identifier: Apache-2.0
#include "sample_events.hpp"

#include "engine/event/checks.hpp"
#include "engine/event/encode.hpp"
#include "engine/ports/simulated.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace fermata::engine::testing {
namespace {

constexpr time_us begin = 1'704'067'200'000'000;
constexpr std::string_view json = "application/json";

std::string id_bytes(char last) { return std::string(15, '\x01') + last; }

payload value(std::string bytes, std::uint64_t type = 0) {
  return {.bytes = std::move(bytes), .content_type = std::string(json), .type = type};
}

std::string repeated(std::string_view what, std::size_t size) {
  std::string out;
  while (out.size() < size) out += what;
  out.resize(size);
  return out;
}

std::string noise(std::size_t size) {
  std::string out(size, '\0');
  seeded_random(7).fill(out.data(), out.size());
  return out;
}

class journal_of_samples {
 public:
  sample& add(event_kind kind, std::string operation, std::string name,
              std::string_view means = "{}") {
    samples.push_back({.means = means});
    event& what = samples.back().what;
    what.position = samples.size();
    what.kind = kind;
    what.epoch = samples.size() < 27 ? 3 : 4;
    what.at = begin + static_cast<time_us>(samples.size()) * 1'500'001;
    what.operation = std::move(operation);
    what.name = std::move(name);
    return samples.back();
  }

  std::vector<sample> samples;
};

void add_start(journal_of_samples& to) {
  event& what = to.add(event_kind::run_started, "", "place_order",
                       R"({"started":{"chain":"01010101010101010101010101010163",
                 "seed":"000102030405060708090a0b0c0d0e0f",
                 "origin":"0101010101010101010101010101016f","tenant":"default","queue":"orders",
                 "priority":-5,"deadline_us":1704153600000000,"key":"order-42",
                 "tags":{"customer":"acme","region":"eu","a":"first"},"build":"b1d0",
                 "format_level":1,"traceparent":"00-aa-bb-01","input_type":11400714819323198485,
                 "requested_us":1704067200000001}})")
                    .what;
  what.value = value(R"({"id":"order-42","cents":990})", 0x9e3779b97f4a7c15);
  auto* started = what.details.mutable_started();
  started->set_chain(id_bytes('c'));
  started->set_seed(sample_seed());
  started->set_origin(id_bytes('o'));
  started->set_tenant("default");
  started->set_queue("orders");
  started->set_priority(-5);
  started->set_deadline_us(begin + 86'400'000'000);
  started->set_key("order-42");
  (*started->mutable_tags())["customer"] = "acme";
  (*started->mutable_tags())["region"] = "eu";
  (*started->mutable_tags())["a"] = "first";
  started->set_build("b1d0");
  started->set_format_level(1);
  started->set_traceparent("00-aa-bb-01");
  started->set_input_type(0x9e3779b97f4a7c15);
  started->set_requested_us(begin + 1);
}

// tidy: one sample after the other, nothing to follow
void add_commands(journal_of_samples& to) {
  event* what = &to.add(event_kind::timer_set, "1", "",
                        R"({"timer":{"due_us":1704067260000000,"asked_ms":60000,"purpose":1}})")
                     .what;
  what->details.mutable_timer()->set_due_us(begin + 60'000'000);
  what->details.mutable_timer()->set_asked_ms(60'000);
  what->details.mutable_timer()->set_purpose(1);

  what = &to.add(event_kind::child_started, "2", "bill",
                 R"({"child":{"child":"01010101010101010101010101010162","close_policy":1,
                    "input_hash":77,"input_type":5,"key":"bill-42"}})")
              .what;
  what->place = "orders.cpp:41";
  what->details.mutable_child()->set_child(id_bytes('b'));
  what->details.mutable_child()->set_close_policy(1);
  what->details.mutable_child()->set_input_hash(77);
  what->details.mutable_child()->set_input_type(5);
  what->details.mutable_child()->set_key("bill-42");

  to.add(event_kind::marker, "3", "faster-shipping");

  what = &to.add(event_kind::published, "4", "current_draft",
                 R"({"written":{"input_hash":18446744073709551615,"type":9}})")
              .what;
  what->value = value("\"Grüße, 世界 𝄐\"", 9);  // UTF-8 of two, three and four bytes
  what->details.mutable_written()->set_input_hash(~std::uint64_t{0});
  what->details.mutable_written()->set_type(9);

  what = &to.add(event_kind::tagged, "5", "customer", R"({"written":{"input_hash":1}})").what;
  what->value = {.bytes = "acme", .content_type = "text/plain"};
  what->details.mutable_written()->set_input_hash(1);

  what = &to.add(event_kind::signal_sent, "6", "reviewed",
                 R"({"sent":{"chain":"01010101010101010101010101010164",
                    "message":"0101010101010101010101010101016d","input_hash":2,"type":3}})")
              .what;
  what->value = {.bytes = "", .content_type = "application/x-protobuf", .type = 3};  // no bytes
  what->details.mutable_sent()->set_chain(id_bytes('d'));
  what->details.mutable_sent()->set_message(id_bytes('m'));
  what->details.mutable_sent()->set_input_hash(2);
  what->details.mutable_sent()->set_type(3);

  what = &to.add(event_kind::compensation_registered, "7", "refund_card",
                 R"({"compensation":{"operation_kind":1,"options":{"timeout_ms":20000,
                    "max_attempts":3,"backoff":1.5,"queue":"bank","on_crash":2},"input_hash":4,
                    "input_type":6,"undoes":"run_0/7/charge_card","undoes_operation":"7"}})")
              .what;
  what->value = value(R"({"id":"ch_1"})", 6);
  auto* compensation = what->details.mutable_compensation();
  compensation->set_operation_kind(1);
  compensation->mutable_options()->set_timeout_ms(20'000);
  compensation->mutable_options()->set_max_attempts(3);
  compensation->mutable_options()->set_backoff(1.5);
  compensation->mutable_options()->set_queue("bank");
  compensation->mutable_options()->set_on_crash(2);
  compensation->set_input_hash(4);
  compensation->set_input_type(6);
  compensation->set_undoes("run_0/7/charge_card");
  compensation->set_undoes_operation("7");

  what =
      &to.add(event_kind::cancel_requested, "8", "", R"({"cancel_request":{"target":"3.2"}})").what;
  what->details.mutable_cancel_request()->set_target("3.2");
}

// tidy: one sample after the other, nothing to follow
void add_steps(journal_of_samples& to) {
  event* what =
      &to.add(event_kind::step_completed, "9", "charge_card",
              R"({"step":{"operation_kind":1,"input_hash":81985529216486895,"input_type":12,
                 "attempts":2,"started_us":1704067201000000,"first_started_us":1704067200500000,
                 "result_type":11}})")
           .what;
  what->place = "orders.cpp:52";
  what->value = value(R"({"id":"ch_1"})", 11);
  what->value.sensitive = true;
  what->input = value(R"({"id":"order-42","cents":990})", 12);
  what->input.canonical = false;
  auto* step = what->details.mutable_step();
  step->set_operation_kind(1);
  step->set_input_hash(0x0123456789abcdef);
  step->set_input_type(12);
  step->set_attempts(2);
  step->set_started_us(begin + 1'000'000);
  step->set_first_started_us(begin + 500'000);
  step->set_result_type(11);

  what = &to.add(event_kind::step_failed, "3.2", "ship_parcel",
                 R"({"step":{"operation_kind":2,"attempts":5,"why":{"type":"carrier_down",
                    "message":"no pickup today","details":"{\"eta\":1}","retryable":true,
                    "code":"FER-1101"}}})")
              .what;
  what->input = value("{}");
  what->input.sensitive = true;
  what->details.mutable_step()->set_operation_kind(2);
  what->details.mutable_step()->set_attempts(5);
  auto* why = what->details.mutable_step()->mutable_why();
  why->set_type("carrier_down");
  why->set_message("no pickup today");
  why->set_details(R"({"eta":1})");
  why->set_retryable(true);
  why->set_code("FER-1101");

  what = &to.add(event_kind::step_cancelled, "10", "resize",
                 R"({"step":{"operation_kind":3,"input_left_out":true}})")
              .what;
  what->details.mutable_step()->set_operation_kind(3);
  what->details.mutable_step()->set_input_left_out(true);

  // Payloads of all sorts.
  what =
      &to.add(event_kind::step_completed, "11", "render", R"({"step":{"operation_kind":1}})").what;
  what->value = value(repeated("a page that compresses well; ", 6'000));
  what->input = value(repeated("and its input; ", 4'096));
  what->details.mutable_step()->set_operation_kind(1);

  what =
      &to.add(event_kind::step_completed, "12", "encrypt", R"({"step":{"operation_kind":1}})").what;
  what->value = {
      .bytes = noise(4'200), .content_type = "application/octet-stream", .canonical = false};
  what->details.mutable_step()->set_operation_kind(1);

  what =
      &to.add(event_kind::step_completed, "13", "report", R"({"step":{"operation_kind":1}})").what;
  what->value = value(repeated("{\"row\":1,\"long\":\"enough for the blob table\"},", 20'000));
  what->details.mutable_step()->set_operation_kind(1);

  sample& erased = to.add(event_kind::step_completed, "14", "read_passport",
                          R"({"step":{"operation_kind":1,"input_type":2,"result_type":1}})");
  erased.erase = true;
  erased.what.value = value(R"({"name":"Erika Mustermann"})", 1);
  erased.what.value.sensitive = true;
  erased.what.input = value(repeated("a scan ", 5'000), 2);
  erased.what.details.mutable_step()->set_operation_kind(1);
  erased.what.details.mutable_step()->set_input_type(2);
  erased.what.details.mutable_step()->set_result_type(1);
}

void add_messages(journal_of_samples& to) {
  to.add(event_kind::timer_fired, "1", "");

  event* what = &to.add(event_kind::signal_received, "", "reviewed",
                        R"({"signal":{"message":"0101010101010101010101010101016e",
                           "sender":"01010101010101010101010101010173",
                           "accepted_us":1704067209000000,"type":3}})")
                     .what;
  what->value = value("true", 3);
  what->details.mutable_signal()->set_message(id_bytes('n'));
  what->details.mutable_signal()->set_sender(id_bytes('s'));
  what->details.mutable_signal()->set_accepted_us(begin + 9'000'000);
  what->details.mutable_signal()->set_type(3);

  what = &to.add(event_kind::child_completed, "2", "bill",
                 R"({"child_end":{"child":"01010101010101010101010101010162","state":3,
                    "message":"01010101010101010101010101010161","result_type":8}})")
              .what;
  what->value = value("990", 8);
  what->details.mutable_child_end()->set_child(id_bytes('b'));
  what->details.mutable_child_end()->set_state(3);
  what->details.mutable_child_end()->set_message(id_bytes('a'));
  what->details.mutable_child_end()->set_result_type(8);

  what = &to.add(event_kind::child_failed, "15", "bill",
                 R"({"child_end":{"why":{"message":"refused"},"state":4}})")
              .what;
  what->details.mutable_child_end()->mutable_why()->set_message("refused");
  what->details.mutable_child_end()->set_state(4);

  what =
      &to.add(
             event_kind::cancel_received, "", "",
             R"({"cancel":{"message":"0101010101010101010101010101017a","why":"called","by":"client"}})")
           .what;
  what->details.mutable_cancel()->set_message(id_bytes('z'));
  what->details.mutable_cancel()->set_why("called");
  what->details.mutable_cancel()->set_by("client");
}

void add_attempts(journal_of_samples& to) {
  event* what =
      &to.add(event_kind::step_scheduled, "16", "resize",
              R"({"attempt":{"number":1,"queue":"gpu","step":"resize","operation_kind":1}})")
           .what;
  what->details.mutable_attempt()->set_number(1);
  what->details.mutable_attempt()->set_queue("gpu");
  what->details.mutable_attempt()->set_step("resize");
  what->details.mutable_attempt()->set_operation_kind(1);

  what = &to.add(event_kind::attempt_started, "16", "resize",
                 R"({"attempt":{"number":1,"started_us":1704067210000000,"worker":"wrk_0"}})")
              .what;
  what->details.mutable_attempt()->set_number(1);
  what->details.mutable_attempt()->set_started_us(begin + 10'000'000);
  what->details.mutable_attempt()->set_worker("wrk_0");

  what =
      &to.add(event_kind::attempt_failed, "16", "resize",
              R"({"attempt":{"number":1,"why":{"type":"std::bad_alloc","message":"std::bad_alloc",
                    "retryable":true},"next_due_us":1704067211000000}})")
           .what;
  what->details.mutable_attempt()->set_number(1);
  what->details.mutable_attempt()->mutable_why()->set_type("std::bad_alloc");
  what->details.mutable_attempt()->mutable_why()->set_message("std::bad_alloc");
  what->details.mutable_attempt()->mutable_why()->set_retryable(true);
  what->details.mutable_attempt()->set_next_due_us(begin + 11'000'000);

  what = &to.add(event_kind::attempt_crashed, "16", "resize",
                 R"({"attempt":{"number":2,"signal":11,"backtrace":"#0 resize\n#1 main"}})")
              .what;
  what->details.mutable_attempt()->set_number(2);
  what->details.mutable_attempt()->set_signal(11);
  what->details.mutable_attempt()->set_backtrace("#0 resize\n#1 main");

  what = &to.add(event_kind::suspicion, "17", "", R"({"attempt":{"number":3,"alone":true}})").what;
  what->details.mutable_attempt()->set_number(3);
  what->details.mutable_attempt()->set_alone(true);
}

void add_run_notes(journal_of_samples& to) {
  event* what = &to.add(event_kind::owner_changed, "", "",
                        R"({"owner":{"epoch":4,"from":"wrk_0","why":"its lease ended"}})")
                     .what;
  what->details.mutable_owner()->set_epoch(4);
  what->details.mutable_owner()->set_from("wrk_0");
  what->details.mutable_owner()->set_why("its lease ended");

  what = &to.add(event_kind::failing, "", "",
                 R"({"failing":{"why":{"message":"nobody answered"},"cancelled":true}})")
              .what;
  what->details.mutable_failing()->mutable_why()->set_message("nobody answered");
  what->details.mutable_failing()->set_cancelled(true);

  what = &to.add(event_kind::operator_act, "", "",
                 R"({"act":{"act":"pause","who":"anna","why":"bank is down"}})")
              .what;
  what->details.mutable_act()->set_act("pause");
  what->details.mutable_act()->set_who("anna");
  what->details.mutable_act()->set_why("bank is down");
}

void add_ends(journal_of_samples& to) {
  event* what = &to.add(event_kind::run_completed, "", "place_order",
                        R"({"ended":{"abandoned":["16","17"],
                           "unread":["01010101010101010101010101010175"],"result_type":21}})")
                     .what;
  what->value = value(R"({"order":"42"})", 21);
  what->details.mutable_ended()->add_abandoned("16");
  what->details.mutable_ended()->add_abandoned("17");
  what->details.mutable_ended()->add_unread(id_bytes('u'));
  what->details.mutable_ended()->set_result_type(21);

  what = &to.add(event_kind::run_failed, "", "place_order",
                 R"({"ended":{"why":{"type":"failure","message":"nobody answered"}}})")
              .what;
  what->details.mutable_ended()->mutable_why()->set_type("failure");
  what->details.mutable_ended()->mutable_why()->set_message("nobody answered");

  what =
      &to.add(event_kind::run_cancelled, "", "place_order", R"({"ended":{"left":["refund_card"]}})")
           .what;
  what->details.mutable_ended()->add_left("refund_card");

  what = &to.add(event_kind::run_terminated, "", "place_order", R"({"ended":{"by":"anna"}})").what;
  what->details.mutable_ended()->set_by("anna");

  what = &to.add(event_kind::run_continued, "", "place_order",
                 R"({"ended":{"next_run":"01010101010101010101010101010172"}})")
              .what;
  what->value = value("{}");
  what->details.mutable_ended()->set_next_run(id_bytes('r'));

  to.add(event_kind::run_expired, "", "place_order");
}

}  // namespace

run_id sample_run() { return *run_id::parse("run_01HK153X000123456789ABCDEF"); }

std::string sample_seed() {
  std::string seed(16, '\0');
  for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<char>(i);
  return seed;
}

std::string salt_for(position_t position) {
  std::string salt(16, '\0');
  seeded_random(position).fill(salt.data(), salt.size());
  return salt;
}

std::vector<sample> sample_events() {
  journal_of_samples all;
  add_start(all);
  add_commands(all);
  add_steps(all);
  add_messages(all);
  add_attempts(all);
  add_run_notes(all);
  add_ends(all);
  return std::move(all.samples);
}

std::vector<encoded_event> sample_journal(bool erase) {
  std::vector<encoded_event> journal;
  chain_hash before{};
  for (const sample& each : sample_events()) {
    journal.push_back(encode(sample_run(), before, each.what, salt_for(each.what.position)));
    before = journal.back().chain;
    if (erase && each.erase) erase_payloads(sample_run(), journal.back());
  }
  return journal;
}

std::string to_hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::strtoul(std::string(hex.substr(i, 2)).c_str(), nullptr, 16));
  }
  return out;
}

std::string text_of(const event& what) {
  const auto text = [](const payload& of) {
    return fmt::format("[{} {} type={} {}{}{}]", of.content_type.str(), to_hex(of.bytes), of.type,
                       of.sensitive ? "sensitive " : "", of.erased ? "erased " : "",
                       of.canonical ? "" : "not canonical");
  };
  const encoded_event stored = encode(run_id{}, {}, {.position = 1, .details = what.details}, "");
  return fmt::format(
      "{} {} epoch={} at={} operation={} name={} place={} value={} input={} details={}",
      what.position, text_of(what.kind), what.epoch, what.at, what.operation, what.name,
      what.place.str(), text(what.value), text(what.input), to_hex(stored.details));
}

}  // namespace fermata::engine::testing
