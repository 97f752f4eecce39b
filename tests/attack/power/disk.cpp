// SPDX-License-Identifier: Apache-2.0
#include "tests/attack/power/disk.hpp"

#include <algorithm>
#include <cstring>

namespace fermata::attack::power {

namespace {

using kind = operation::kind;

constexpr std::size_t sector_small = 512;
constexpr std::size_t sector_large = 4'096;

void write(std::string& file, const operation& what) {
  const auto at = static_cast<std::size_t>(what.at);
  if (file.size() < at + what.bytes.size()) file.resize(at + what.bytes.size());
  std::memcpy(file.data() + at, what.bytes.data(), what.bytes.size());
}

void change(std::string& file, const operation& what) {
  if (what.what == kind::write)
    write(file, what);
  else
    file.resize(static_cast<std::size_t>(what.at));
}

/// Of one write some sectors, whatever their order.
void tear(std::string& file, const operation& what, dice& chance) {
  const std::size_t sector = chance.one_in(2) ? sector_small : sector_large;
  const auto from = static_cast<std::size_t>(what.at);
  const std::size_t to = from + what.bytes.size();
  for (std::size_t at = from; at < to;) {
    const std::size_t end = std::min(to, (at / sector + 1) * sector);
    if (chance.one_in(2)) {
      operation part = what;
      part.at = static_cast<std::int64_t>(at);
      part.bytes = what.bytes.substr(at - from, end - at);
      write(file, part);
    }
    at = end;
  }
}

bool kept(dice& chance, const cut_rules& rules) { return chance.below(16) < rules.kept_of_16; }

std::string cut_file(const disk::file& of, dice& chance, const cut_rules& rules) {
  std::string left = of.durable;
  const std::size_t torn = rules.tear ? chance.below(of.pending.size() * 2)
                                      : of.pending.size();  // of two cuts, one tears
  for (std::size_t i = 0; i < of.pending.size(); ++i) {
    const operation& one = of.pending[i];
    if (i == torn && one.what == kind::write) {
      tear(left, one, chance);
    } else if (kept(chance, rules)) {
      change(left, one);
    } else if (one.what == kind::write && chance.one_in(4)) {
      // The length is there, the bytes aren't.
      left.resize(std::max(left.size(), static_cast<std::size_t>(one.at) + one.bytes.size()));
    }
  }
  return left;
}

}  // namespace

std::uint64_t dice::next() {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void disk::sync(file& which) {
  for (const operation& one : which.pending) change(which.durable, one);
  which.pending.clear();
}

/// As Linux has it: pages that couldn't be written count as clean, and no later sync tries again.
void disk::sync_failed(file& which, std::uint64_t seed) {
  dice chance(seed);
  for (const operation& one : which.pending) {
    if (chance.one_in(2)) change(which.durable, one);
  }
  which.pending.clear();
}

void disk::apply(const operation& what) {
  if (what.what == kind::create) {
    if (has(what.name)) return;
    names_[what.name] = ++made_;
    files_[made_] = {};
    pending_names_.push_back(what);
    pending_numbers_.push_back(made_);
    return;
  }
  if (what.what == kind::remove) {
    names_.erase(what.name);
    pending_names_.push_back(what);
    pending_numbers_.push_back(0);
    return;
  }
  if (what.what == kind::sync_folder) {
    durable_names_ = names_;
    pending_names_.clear();
    pending_numbers_.clear();
    return;
  }
  file& which = files_[names_.at(what.name)];
  if (what.what == kind::sync) return sync(which);
  if (what.what == kind::sync_failed) return sync_failed(which, what.chance);
  change(which.now, what);
  which.pending.push_back(what);
}

disk::names disk::cut_names(const disk& of, dice& chance, const cut_rules& rules) {
  names left = of.durable_names_;
  for (std::size_t i = 0; i < of.pending_names_.size(); ++i) {
    const operation& one = of.pending_names_[i];
    if (!kept(chance, rules)) continue;
    if (one.what == kind::create)
      left[one.name] = of.pending_numbers_[i];
    else
      left.erase(one.name);
  }
  return left;
}

disk disk::cut(dice& chance, const cut_rules& rules) const {
  disk left;
  for (const auto& [name, number] : cut_names(*this, chance, rules)) {
    file& one = left.files_[++left.made_];
    one.durable = cut_file(files_.at(number), chance, rules);
    one.now = one.durable;
    left.names_[name] = left.made_;
  }
  left.durable_names_ = left.names_;
  return left;
}

const std::string& disk::read(const std::string& name) const {
  return files_.at(names_.at(name)).now;
}

std::size_t disk::unsynced() const {
  std::size_t count = pending_names_.size();
  for (const auto& [number, one] : files_) count += one.pending.size();
  return count;
}

std::size_t disk::bytes() const {
  std::size_t count = 0;
  for (const auto& [name, number] : names_) count += files_.at(number).now.size();
  return count;
}

}  // namespace fermata::attack::power
