// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/detail/worker_port.hpp>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::runtime {

/// What a worker serves. Written by `worker.serve` before it runs, only read afterwards.
class registry final : public detail::worker_port {
 public:
  /// Called with each step before it is kept: the testing kit's door.
  void on_step(std::function<void(detail::step_entry&)> look) { on_step_ = std::move(look); }

  /// Called with each workflow before it is kept.
  void on_workflow(std::function<void(const detail::workflow_entry&)> look) {
    on_workflow_ = std::move(look);
  }

  void serve_step(detail::step_entry&& what) override {
    if (on_step_) on_step_(what);
    steps_.insert_or_assign(what.name, std::move(what));
  }
  void serve_workflow(detail::workflow_entry&& what) override {
    if (on_workflow_) on_workflow_(what);
    workflows_.insert_or_assign(what.name, std::move(what));
  }
  void connect(std::string_view database, detail::connector how) override {
    databases_.insert_or_assign(std::string(database), std::move(how));
    in_journal_.erase(std::string(database));
  }
  void connect(std::string_view database, detail::tables_of where) override {
    databases_.insert_or_assign(std::string(database), detail::connector());
    in_journal_.insert_or_assign(std::string(database), where);
  }

  const detail::step_entry* step(std::string_view name) const { return look(steps_, name); }
  const detail::workflow_entry* workflow(std::string_view name) const {
    return look(workflows_, name);
  }
  /// Null: not connected. An empty connector: tables in the journal's own database.
  const detail::connector* database(std::string_view name) const { return look(databases_, name); }
  /// Databases whose tables lie in the journal's own.
  const auto& in_journal() const noexcept { return in_journal_; }
  const auto& steps() const noexcept { return steps_; }
  const auto& workflows() const noexcept { return workflows_; }
  std::vector<std::string> step_names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : steps_) names.push_back(name);
    return names;
  }
  std::vector<std::string> workflow_names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : workflows_) names.push_back(name);
    return names;
  }

 private:
  template <class T>
  using table = std::map<std::string, T, std::less<>>;
  template <class T>
  static const T* look(const table<T>& all, std::string_view name) {
    auto found = all.find(name);
    return found == all.end() ? nullptr : &found->second;
  }

  std::function<void(detail::step_entry&)> on_step_;
  std::function<void(const detail::workflow_entry&)> on_workflow_;
  table<detail::step_entry> steps_;
  table<detail::workflow_entry> workflows_;
  table<detail::connector> databases_;
  table<detail::tables_of> in_journal_;
};

}  // namespace fermata::runtime
