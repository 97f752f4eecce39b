// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/scope.hpp>
#include <fermata/testing.hpp>

#include <string>
#include <string_view>
#include <vector>

/// What the histories were recorded from. Once a scene has a recorded history, its workflows are
/// never changed: today's engine must replay what yesterday's wrote for this very code.
namespace replay {

using namespace std::chrono_literals;
using fermata::testing::kit;

struct scene {
  std::string_view name;  // of its file in `histories/VERSION/`
  void (*serve)(kit& t);  // the workflows and steps, as they are served today
  void (*act)(kit& t);    // what happened while it was recorded
  /// How its open runs end, after a worker of today took them over. None: all runs have ended.
  void (*go_on)(kit& t) = nullptr;
};

const std::vector<scene>& step_scenes();
const std::vector<scene>& branch_scenes();
const std::vector<scene>& ending_scenes();
const std::vector<scene>& open_scenes();
const std::vector<scene>& queue_scenes();
std::vector<scene> all_scenes();

/// Waits until the run has ended, however it does. Returns: what it threw; empty: it completed.
template <class Run>
std::string end_of(const Run& run) {
  try {
    (void)run.result();
  } catch (const fermata::error& why) {
    return why.what();
  }
  return "";
}

/// The one run of this workflow.
template <class R>
fermata::run<R> only_run(kit& t, std::string_view workflow) {
  const fermata::run_page found = t.client.list({.workflow = std::string(workflow)});
  if (found.size() != 1)
    throw fermata::testing::mismatch("not one run of " + std::string(workflow));
  return {t.journal, found[0].id};
}

}  // namespace replay
