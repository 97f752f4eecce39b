// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <random>
#include <stdexcept>

namespace programs {

namespace {

class generator {
 public:
  explicit generator(std::int64_t seed) : chance_(static_cast<std::uint64_t>(seed)) {}

  int roll(int sides) { return static_cast<int>(chance_() % static_cast<unsigned>(sides)); }

  std::vector<op> block(int length, int depth) {
    std::vector<op> made;
    for (int i = 0; i < length; ++i) made.push_back(one(depth));
    return made;
  }

 private:
  op one(int depth) {
    op made;
    made.place = std::to_string(++places_);
    made.value = 1 + roll(20);
    made.what = static_cast<kind>(roll(depth > 0 ? kinds : static_cast<int>(kind::both)));
    if (made.what >= kind::both) made.parts.push_back(block(1 + roll(3), depth - 1));
    if (made.what == kind::both) made.parts.push_back(block(1 + roll(2), depth - 1));
    return made;
  }

  std::mt19937_64 chance_;
  int places_ = 0;
};

const op* find(const std::vector<op>& ops, const std::string& place) {
  for (const op& one : ops) {
    if (one.place == place) return &one;
    for (const std::vector<op>& part : one.parts)
      if (const op* inside = find(part, place)) return inside;
  }
  return nullptr;
}

int predict_block(const std::vector<op>& ops, bool fails, prediction& made);

/// What the op adds to the result of its block.
int predict_op(const op& of, bool fails, prediction& made) {
  ++made.operations;
  switch (of.what) {
    case kind::nap:
      return 0;
    case kind::patient:
    case kind::late:
      return for_failure;
    case kind::heard:
      made.hints[of.place] = of.value;
      return of.value;
    case kind::paid:
      made.paid[of.place] = 1;
      return of.value;
    case kind::broken:
      made.logged[of.place] = 1;
      return for_failure;
    case kind::many:
      made.logged[of.place] = 3;
      return 3 * of.value;
    case kind::both:
      return predict_block(of.parts[0], fails, made) + predict_block(of.parts[1], fails, made);
    case kind::child:
      ++made.runs;
      return predict_block(of.parts[0], false, made);
    case kind::told:
      ++made.runs;
      return of.value + predict_block(of.parts[0], false, made);
    case kind::doomed:
      ++made.runs;
      predict_block(of.parts[0], true, made);
      return for_failure;
    case kind::step:
    case kind::flaky:
    case kind::far:
    case kind::local:
    case kind::first:
      made.logged[of.place] = 1;
      if (fails && can_be_undone(of.what)) made.logged[undo_of(of.place)] = 1;
      return of.value;
  }
  throw std::logic_error("an op of no kind");
}

int predict_block(const std::vector<op>& ops, bool fails, prediction& made) {
  int sum = 0;
  for (const op& one : ops) sum += predict_op(one, fails, made);
  return sum;
}

/// A signal reaches a chain, not a branch: only the program's own run can be sent one by the client.
void keep_hints_at_home(std::vector<op>& ops, bool at_home) {
  for (op& one : ops) {
    if (one.what == kind::heard && !at_home) one.what = kind::nap;
    for (std::vector<op>& part : one.parts)
      keep_hints_at_home(part, at_home && one.what == kind::both);
  }
}

}  // namespace

program made_from(std::int64_t seed) {
  generator by(seed);
  program made;
  made.fails = by.roll(8) == 0;
  made.ops = by.block(3 + by.roll(5), 2);
  keep_hints_at_home(made.ops, true);
  return made;
}

const op& op_at(const std::vector<op>& ops, const std::string& place) {
  const op* found = find(ops, place);
  if (found == nullptr) throw std::logic_error("no op " + place);
  return *found;
}

prediction predict(const program& of) {
  prediction made;
  made.result = predict_block(of.ops, of.fails, made);
  return made;
}

}  // namespace programs
