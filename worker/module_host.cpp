// SPDX-License-Identifier: Apache-2.0
#include "worker/module_host.hpp"

#include "worker/build_id.hpp"
#include "worker/runtime/black_box.hpp"
#include "worker/worker_impl.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace fermata::detail {

namespace {

using entry_point = decltype(&fermata_module_v1);

/// Stand for what is served already while a module registers: what isn't one of them any more was
/// served again.
struct step_placeholder {
  payload operator()(const payload&, step_context&) const { return {}; }
};
struct workflow_placeholder {
  root_frame operator()(context&, const payload&) const { return {}; }
};

/// The registry lets a name be served again, which the testing kit wants; among modules it is a
/// mistake. This watches the names that are there.
class watched_names {
 public:
  explicit watched_names(runtime::registry& all) : all_(all) {
    for (const auto& [name, entry] : all.steps()) steps_.push_back(entry);
    for (const auto& [name, entry] : all.workflows()) workflows_.push_back(entry);
    for (step_entry entry : steps_) {
      entry.body = sync_body(step_placeholder());
      all.serve_step(std::move(entry));
    }
    for (workflow_entry entry : workflows_) {
      entry.function = workflow_placeholder();
      all.serve_workflow(std::move(entry));
    }
  }
  ~watched_names() {
    for (step_entry& entry : steps_) all_.serve_step(std::move(entry));
    for (workflow_entry& entry : workflows_) all_.serve_workflow(std::move(entry));
  }
  watched_names(const watched_names&) = delete;
  watched_names& operator=(const watched_names&) = delete;

  /// "step 'charge_card'"; empty when there is none.
  std::string served_again() const {
    for (const step_entry& entry : steps_) {
      const auto* body = std::get_if<sync_body>(&all_.step(entry.name)->body);
      if (body == nullptr || body->target<step_placeholder>() == nullptr)
        return "step '" + entry.name + "'";
    }
    for (const workflow_entry& entry : workflows_)
      if (all_.workflow(entry.name)->function.target<workflow_placeholder>() == nullptr)
        return "workflow '" + entry.name + "'";
    return {};
  }

  /// What came since, by name.
  void describe_new(loaded_module& as) const {
    const auto known = [](const auto& entries, const std::string& name) {
      return std::ranges::any_of(entries, [&](const auto& one) { return one.name == name; });
    };
    for (const auto& [name, entry] : all_.steps())
      if (!known(steps_, name)) as.steps.push_back(name);
    for (const auto& [name, entry] : all_.workflows())
      if (!known(workflows_, name)) as.workflows.push_back(name);
  }

 private:
  runtime::registry& all_;
  std::vector<step_entry> steps_;
  std::vector<workflow_entry> workflows_;
};

std::string path_of(const std::string& file) {
  std::error_code ignored;
  const bool is_here = std::filesystem::exists(file, ignored);
  const bool has_folder = file.find('/') != std::string::npos;
  if (has_folder && !is_here)
    throw module_not_found(codes::module_unloadable, "there is no module " + file);
  return is_here && !has_folder ? "./" + file : file;
}

void* opened(const std::string& file, const std::string& path) {
  if (void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  const char* said = ::dlerror();
  const std::string why = said != nullptr ? said : "the loader doesn't say why";
  if (why.find("cannot open shared object file") != std::string::npos &&
      why.find(path + ":") == 0 && path == file)
    throw module_not_found(codes::module_unloadable, "there is no module " + file + ": " + why);
  const bool is_ours = why.find("undefined symbol") != std::string::npos &&
                       why.find("7fermata") != std::string::npos;
  throw error(codes::module_unloadable,
              fmt::format("the module {} can't be loaded: {}{}", file, why,
                          is_ours ? "; was it built with another version of Fermata than this " +
                                        std::string(version_text) + "?"
                                  : ""));
}

entry_point entry_point_of(void* handle, const std::string& file) {
  if (void* found = ::dlsym(handle, "fermata_module_v1"))
    return reinterpret_cast<entry_point>(found);
  throw error(codes::module_unloadable,
              file +
                  " is a library but no module of Fermata: it has no function "
                  "fermata_module_v1; see <fermata/module.hpp>");
}

[[noreturn]] void refused(const std::string& file, const std::string& why) {
  throw error(codes::module_refused, fmt::format("the module {} refused: {}", file, why));
}

/// Calls it and turns each way to fail into the sentence FER-3103.
void call(entry_point module, fermata_module_info& info, worker* with, const std::string& file) {
  int answer = 0;
  try {
    answer = module(&info, with);
  } catch (const std::exception& why) {
    refused(file, std::string("it threw: ") + why.what());
  } catch (...) {
    refused(file, "it threw something that is no std::exception");
  }
  if (answer == 0) return;
  refused(file,
          info.error != nullptr ? info.error : fmt::format("it answered {} and no reason", answer));
}

std::string build_of(const fermata_module_info& info, entry_point module) {
  const std::string found = build_id_of(reinterpret_cast<const void*>(module));
  const char* forced = std::getenv("FERMATA_BUILD");
  const bool is_forced = forced != nullptr && *forced != '\0';
  return info.build != nullptr && !is_forced ? info.build : found;
}

}  // namespace

void check_fits(const fermata_module_info& says, const std::string& file) {
  const auto compare = [&](std::string_view what, const std::string& theirs,
                           const std::string& ours) {
    if (theirs == ours) return;
    throw error(codes::module_mismatch,
                fmt::format("the module {} was built with {} {}, this process with {}: build both "
                            "with the same",
                            file, what, theirs, ours));
  };
  const auto text = [](const char* said) { return std::string(said ? said : "unknown"); };
  compare("module interface", std::to_string(says.abi), std::to_string(module_abi));
  compare("Fermata", text(says.version), version_text);
  compare("compiler", text(says.compiler), compiler_text);
}

const loaded_module& module_host::load(const std::string& file) {
  void* handle = opened(file, path_of(file));
  if (std::ranges::find(handles_, handle) != handles_.end())
    throw error(codes::module_refused, "the module " + file + " is loaded already: name it once");
  const entry_point module = entry_point_of(handle, file);
  fermata_module_info info;
  call(module, info, nullptr, file);
  check_fits(info, file);

  loaded_module out{.path = file,
                    .name = info.name != nullptr ? info.name : file,
                    .build = build_of(info, module)};
  {
    const watched_names names(into_.inside().serves());
    call(module, info, &into_, file);
    if (const std::string twice = names.served_again(); !twice.empty())
      refused(file, twice + " is served already, by another module or the program itself");
    names.describe_new(out);
  }
  runtime::black_box::note_modules();
  handles_.push_back(handle);
  return loaded_.emplace_back(std::move(out));
}

}  // namespace fermata::detail
