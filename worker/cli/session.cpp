// SPDX-License-Identifier: Apache-2.0
#include "worker/cli/session.hpp"

#include "engine/ports/real.hpp"
#include "engine/store/postgres/address.hpp"
#include "engine/utf8.hpp"
#include "src/convert.hpp"
#include "worker/cli/text.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <ostream>

namespace fermata::cli {

namespace {

constexpr std::int64_t database_patience_ms = 5'000;  // somebody sits and waits

output output_of(const std::string& text) {
  if (text == "table") return output::table;
  if (text == "wide") return output::wide;
  if (text == "json") return output::json;
  if (text == "jsonl") return output::jsonl;
  if (text == "ids") return output::ids;
  throw usage_error(fmt::format("-o is table, wide, json, jsonl or ids, not '{}'", text));
}

time_style style_of(const std::string& text, bool people) {
  if (text.empty()) return people ? time_style::relative : time_style::iso;
  if (text == "relative") return time_style::relative;
  if (text == "iso") return time_style::iso;
  if (text == "raw") return time_style::raw;
  throw usage_error(fmt::format("--time is relative, iso or raw, not '{}'", text));
}

/// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (!text.empty() && text.find_first_not_of(plain) == std::string::npos) return text;
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

session::session(world& where, const common_flags& flags, opening how)
    : world_(where), ns_(flags.ns), opening_(how), yes_(flags.yes) {
  detail::check_utf8("--namespace", flags.ns);
  output_ = output_of(flags.output);
  times_ = style_of(flags.times, where.out_is_terminal && as_table());
  const bool colours = !where.variable("NO_COLOR") && where.variable("TERM") != "dumb";
  colour_ = where.out_is_terminal && colours && as_table();
  err_colour_ = where.err_is_terminal && colours;
  address_ = flags.journal;
  if (!flags.journal.empty()) said_ = " -j " + shell_word(flags.journal);
  if (address_.empty()) address_ = where.variable("FERMATA_JOURNAL").value_or("");
  if (address_.empty() && how != opening::none)
    throw refusal(codes::no_journal,
                  "which journal? Give --journal ADDRESS or set FERMATA_JOURNAL, for example "
                  "FERMATA_JOURNAL=sqlite:orders.db");
}

engine::store& session::store() {
  if (store_) return *store_;
  if (address_.empty())
    throw refusal(codes::no_journal,
                  "which journal? Give --journal ADDRESS or set FERMATA_JOURNAL");
  time_ = std::make_shared<engine::real_clock>();
  chance_ = std::make_shared<engine::real_random>();
  engine::open_options options;
  // A database is there already, so migrating it may begin with nothing.
  options.create =
      opening_ == opening::creating ||
      (opening_ == opening::migrating && engine::postgres::is_postgres_address(address_));
  options.migrate = opening_ == opening::migrating;
  options.read_only = opening_ == opening::looking;
  options.patience_ms = database_patience_ms;
  options.warn = [](std::string_view) {};  // the error says it
  auto opened = engine::open_store(address_, options);
  check(opened.status());
  store_ = std::move(*opened);
  return *store_;
}

bool session::has_no_journal() const {
  constexpr std::string_view scheme = "sqlite:";
  if (!address_.starts_with(scheme)) return false;
  const std::string path = address_.substr(scheme.size(), address_.find('?') == std::string::npos
                                                              ? std::string::npos
                                                              : address_.find('?') - scheme.size());
  std::error_code error;
  return !path.empty() && !std::filesystem::exists(path, error) && !error;
}

detail::journal_impl& session::journal() {
  store();
  if (!journal_) journal_ = std::make_unique<detail::journal_impl>(store_, ns_, time_, chance_);
  return *journal_;
}

showing session::shown(bool reveal) const {
  return {.reveal = reveal, .times = times_ == time_style::raw ? time_style::raw : time_style::iso};
}

void session::print(const boost::json::value& what) const {
  if (output_ == output::json)
    print_json(world_.out, what);
  else
    print_line(world_.out, what);
}

std::string session::command(std::string_view verb, const engine::run_row& row,
                             std::string_view more) const {
  std::string text = fmt::format("fermata {} {}", verb, call_of(row));
  if (!more.empty()) text += fmt::format(" {}", more);
  if (row.space != "default") text += " --namespace " + shell_word(row.space);
  return text + said_;
}

std::string session::command(std::string_view verb) const {
  std::string text = fmt::format("fermata {}", verb);
  if (ns_ != "default") text += " --namespace " + shell_word(ns_);
  return text + said_;
}

void session::hint(const std::string& text) const {
  if (world_.err_is_terminal) world_.err << painted(text, tint::dim, err_colour_) << '\n';
}

tint tint_of(engine::run_state state, engine::attention why) {
  using engine::run_state;
  if (why != engine::attention::none && !engine::ended(state)) return tint::yellow;
  switch (state) {
    case run_state::waiting_to_start:
      return tint::cyan;
    case run_state::running:
      return tint::blue;
    case run_state::compensating:
      return tint::yellow;
    case run_state::completed:
    case run_state::continued:
      return tint::green;
    case run_state::failed:
      return tint::red;
    case run_state::cancelled:
    case run_state::terminated:
      return tint::magenta;
    case run_state::expired:
      return tint::yellow;
  }
  return tint::plain;
}

std::string state_text(const engine::run_row& row) {
  std::string text(text_of(row.state));
  if (row.attention != engine::attention::none && !engine::ended(row.state))
    text += " · " + std::string(text_of(row.attention));
  return text;
}

std::string call_of(const engine::run_row& row) {
  if (row.key.empty() || row.key.find_first_of(" \t'\"$`\\;&|<>*?()!#~") != std::string::npos ||
      clean(row.key) != row.key)
    return row.run.text();
  return row.key;
}

std::string who(const world& where) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return engine::as_utf8(
      fmt::format("{}@{} (fermata)", where.variable("USER").value_or("somebody"), host.data()));
}

}  // namespace fermata::cli
