// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/context.hpp>

#include <cstdio>
#include <memory>
#include <utility>

namespace fermata {
namespace detail {

template <class In>
step_options plain(const call_options<In>& o) {
  return {.timeout = o.timeout,
          .give_up_after = o.give_up_after,
          .heartbeat_timeout = o.heartbeat_timeout,
          .retry = o.retry,
          .queue = o.queue,
          .priority = o.priority,
          .isolation = o.isolation,
          .on_crash = o.on_crash};
}

template <class Signature, class In>
request step_request(const step<Signature>& what, payload input, const call_options<In>& options,
                     location at) {
  request made{.kind = op_kind::step,
               .name = what.name(),
               .input = std::move(input),
               .result = &facts<typename step<Signature>::result>(),
               .options = merge(plain(options), what.defaults()),
               .where = at};
  if (!options.undo.name().empty())
    made.undo = undo_request{options.undo.name(), options.undo.options()};
  return made;
}

template <class Signature>
request child_request(const workflow<Signature>& what, payload input, const child_options& options,
                      location at) {
  return {.kind = op_kind::child,
          .name = what.name(),
          .input = std::move(input),
          .result = &facts<typename workflow<Signature>::result>(),
          .child = options,
          .where = at};
}

}  // namespace detail

template <class R, class In>
future<R> context::call(const step<R(In)>& what, const std::type_identity_t<In>& input,
                        call_options<std::remove_cvref_t<In>> options, location at) {
  auto bytes = detail::encode<std::remove_cvref_t<In>>(input);
  return {*port_, port_->issue(detail::step_request(what, std::move(bytes), options, at))};
}
template <class R>
future<R> context::call(const step<R()>& what, call_options<detail::nothing> options, location at) {
  return {*port_, port_->issue(detail::step_request(what, detail::no_value(), options, at))};
}
template <class R, class In>
future<R> context::call(const workflow<R(In)>& what, const std::type_identity_t<In>& input,
                        child_options options, location at) {
  auto bytes = detail::encode<std::remove_cvref_t<In>>(input);
  return {*port_, port_->issue(detail::child_request(what, std::move(bytes), options, at))};
}
template <class R>
future<R> context::call(const workflow<R()>& what, child_options options, location at) {
  return {*port_, port_->issue(detail::child_request(what, detail::no_value(), options, at))};
}
template <class R, class In>
child<R> context::start_child(const workflow<R(In)>& what, const std::type_identity_t<In>& input,
                              child_options options, location at) {
  return child<R>(call(what, input, options, at));
}
template <class R>
child<R> context::start_child(const workflow<R()>& what, child_options options, location at) {
  return child<R>(call(what, options, at));
}

template <class Body>
auto context::run(fermata::name label, Body&& body, step_options options, location at)
    -> future<detail::body_result<Body>> {
  detail::check_body<Body>();
  detail::check_payload<detail::body_result<Body>>();
  using kept = detail::kept_body<std::remove_cvref_t<Body>>;
  return {*port_, port_->issue({.kind = detail::op_kind::local,
                                .name = label.view(),
                                .result = &detail::facts<detail::body_result<Body>>(),
                                .options = options,
                                .body = std::make_unique<kept>(std::forward<Body>(body)),
                                .where = at})};
}

template <class Handle, class Body>
auto context::transaction(fermata::name label, const database<Handle>& where, Body&& body,
                          step_options options, location at)
    -> future<std::invoke_result_t<Body&, Handle&>> {
  using result = std::invoke_result_t<Body&, Handle&>;
  detail::check_body<Body>();
  detail::check_payload<result>();
  using kept = detail::transaction_body<Handle, std::remove_cvref_t<Body>>;
  return {*port_, port_->issue({.kind = detail::op_kind::transaction,
                                .name = label.view(),
                                .result = &detail::facts<result>(),
                                .options = options,
                                .database = where.name(),
                                .body = std::make_unique<kept>(std::forward<Body>(body)),
                                .where = at})};
}

inline future<void> context::sleep(duration how_long, location at) {
  return {
      *port_,
      port_->issue(
          {.kind = detail::op_kind::timer, .name = "sleep", .patience = how_long, .where = at})};
}
inline future<void> context::sleep_until(time_point when, location at) {
  return {*port_,
          port_->issue(
              {.kind = detail::op_kind::timer, .name = "sleep_until", .until = when, .where = at})};
}

template <class T>
future<T> context::receive(const fermata::signal<T>& what, location at) {
  return {*port_, port_->issue({.kind = detail::op_kind::signal,
                                .name = what.name(),
                                .result = &detail::facts<T>(),
                                .where = at})};
}
template <class T>
future<detail::maybe<T>> context::receive(const fermata::signal<T>& what, duration patience,
                                          location at) {
  static_assert(!detail::is_optional<T>::value,
                "the empty result means that nobody answered: send a struct");
  return {*port_, port_->issue({.kind = detail::op_kind::signal,
                                .name = what.name(),
                                .result = &detail::facts<T>(),
                                .patience = patience,
                                .where = at})};
}
template <class T>
future<T> context::spawn(task<T> branch) {
  auto& frame = branch.promise();
  const detail::slot op = port_->spawn(frame, detail::branch_kind::plain, {});
  branch.release();
  return {*port_, op};
}
template <class Body>
  requires std::invocable<Body&, context&>
auto context::spawn(Body body)
    -> future<typename std::invoke_result_t<Body&, context&>::value_type> {
  auto kept = std::make_shared<Body>(std::move(body));
  auto branch = (*kept)(*this);
  auto& frame = branch.promise();
  const detail::slot op = port_->spawn(frame, detail::branch_kind::plain, kept);
  branch.release();
  return {*port_, op};
}
template <class T>
future<T> context::shield(task<T> stretch) {
  auto& frame = stretch.promise();
  const detail::slot op = port_->spawn(frame, detail::branch_kind::shielded, {});
  stretch.release();
  return {*port_, op};
}
template <class T>
void context::cancel(future<T> what, location at) {
  port_->cancel(what.op(), at);
}

template <class R, class In>
void context::on_failure(const step<R(In)>& undo, const std::type_identity_t<In>& input,
                         step_options options, location at) {
  port_->compensate({.kind = detail::op_kind::step,
                     .name = undo.name(),
                     .input = detail::encode<std::remove_cvref_t<In>>(input),
                     .result = &detail::facts<R>(),
                     .options = detail::merge(options, undo.defaults()),
                     .where = at});
}
template <class R, class In>
void context::on_failure(const workflow<R(In)>& undo, const std::type_identity_t<In>& input,
                         child_options options, location at) {
  auto bytes = detail::encode<std::remove_cvref_t<In>>(input);
  port_->compensate(detail::child_request(undo, std::move(bytes), options, at));
}

template <class T>
void context::publish(const published<T>& what, const std::type_identity_t<T>& value, location at) {
  (void)port_->issue({.kind = detail::op_kind::publish,
                      .name = what.name(),
                      .input = detail::encode(value),
                      .where = at});
}
inline void context::tag(fermata::name key, std::string_view value, location at) {
  (void)port_->issue({.kind = detail::op_kind::tag,
                      .name = key.view(),
                      .input = {.bytes = std::string(value), .content_type = "text/plain"},
                      .where = at});
}
template <class T>
void context::signal(std::string_view run, const fermata::signal<T>& what,
                     const std::type_identity_t<T>& value, location at) {
  port_->send(run, what.name(), detail::encode(value), at);
}
inline void context::signal(std::string_view run, const fermata::signal<void>& what, location at) {
  port_->send(run, what.name(), detail::no_value(), at);
}

inline std::int64_t context::random(std::int64_t low, std::int64_t high) {
  // Not std::uniform_int_distribution: its results differ between standard libraries.
  const std::uint64_t span = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  const std::uint64_t drawn = span == 0 ? random() : random() % span;
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + drawn);
}
inline std::string context::uuid() {
  const std::uint64_t high = (random() & 0xffffffffffff0fffULL) | 0x4000ULL;
  const std::uint64_t low = (random() & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
  char text[40];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffffULL));
  return text;
}

inline detail::run_port& detail::port_of(context& ctx) noexcept { return ctx.port(); }

}  // namespace fermata
