// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/fermata.hpp>
#include <fermata/protobuf.hpp>

#include <string>

#if VERSION == 1
#include "tests/e2e/deploy/slip_v1.pb.h"
#else
#include "tests/e2e/deploy/slip_v2.pb.h"
#endif

// Two versions of the types under the same durable names: each loses a field and gets one.
#if VERSION == 1

struct order {
  std::string id;
  int cents = 0;
  std::string coupon = "no coupon";
};
struct bill {
  std::string id;
  int cents = 0;
  std::string till = "no till";
};
struct charge {
  std::string id;
  std::string terminal = "no terminal";
};
struct receipt {
  std::string text;
  std::string note = "no note";
};
struct review {
  bool approved = false;
  std::string by = "nobody";
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents, coupon))
BOOST_DESCRIBE_STRUCT(bill, (), (id, cents, till))
BOOST_DESCRIBE_STRUCT(charge, (), (id, terminal))
BOOST_DESCRIBE_STRUCT(receipt, (), (text, note))
BOOST_DESCRIBE_STRUCT(review, (), (approved, by))

inline std::string text_of(const order& o) { return o.id + "/" + o.coupon; }
inline std::string text_of(const bill& b) { return b.id + "/" + b.till; }
inline std::string text_of(const charge& c) { return c.id + "/" + c.terminal; }
inline std::string text_of(const receipt& r) { return r.text + "/" + r.note; }
inline std::string text_of(const review& r) { return r.by; }
inline std::string text_of(const deploy::slip& s) { return s.id() + "/" + s.till(); }

inline bill bill_of(const order& o) { return {o.id, o.cents, "till-1"}; }
inline charge charge_of(const bill& b) { return {"c1-" + b.id, "terminal-1"}; }
inline receipt receipt_of(std::string text) { return {std::move(text), "note-1"}; }
inline deploy::slip slip_of(const std::string& id, int cents) {
  deploy::slip made;
  made.set_id(id);
  made.set_cents(cents);
  made.set_till("till-1");
  return made;
}

#else

struct order {
  std::string id;
  int cents = 0;
  std::string currency = "no currency";
};
struct bill {
  std::string id;
  int cents = 0;
  int instalments = 1;
};
struct charge {
  std::string id;
  int points = -1;
};
struct receipt {
  std::string text;
  int pages = -1;
};
struct review {
  bool approved = false;
  int stars = -1;
};
BOOST_DESCRIBE_STRUCT(order, (), (id, cents, currency))
BOOST_DESCRIBE_STRUCT(bill, (), (id, cents, instalments))
BOOST_DESCRIBE_STRUCT(charge, (), (id, points))
BOOST_DESCRIBE_STRUCT(receipt, (), (text, pages))
BOOST_DESCRIBE_STRUCT(review, (), (approved, stars))

inline std::string text_of(const order& o) { return o.id + "/" + o.currency; }
inline std::string text_of(const bill& b) { return b.id + "/" + std::to_string(b.instalments); }
inline std::string text_of(const charge& c) { return c.id + "/" + std::to_string(c.points); }
inline std::string text_of(const receipt& r) { return r.text + "/" + std::to_string(r.pages); }
inline std::string text_of(const review& r) { return std::to_string(r.stars); }
inline std::string text_of(const deploy::slip& s) {
  return s.id() + "/" + std::to_string(s.copies());
}

inline bill bill_of(const order& o) { return {o.id, o.cents, 2}; }
inline charge charge_of(const bill& b) { return {"c2-" + b.id, 2}; }
inline receipt receipt_of(std::string text) { return {std::move(text), 2}; }
inline deploy::slip slip_of(const std::string& id, int cents) {
  deploy::slip made;
  made.set_id(id);
  made.set_cents(cents);
  made.set_copies(2);
  return made;
}

#endif
