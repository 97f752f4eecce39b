// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fermata/worker.hpp>

#include <cstdint>

/// Workflows and steps as a shared library that `fermata-worker` loads. A module defines one
/// function:
///
///   extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker) {
///     fermata::describe(*info, "orders");
///     if (worker == nullptr) return 0;         // the host only asks who we are
///     worker->serve(place_order, fulfil);
///     return 0;
///   }
///
/// The host calls it first without a worker, compares `abi`, `version` and `compiler` with its own
/// (a mismatch is FER-3102), then with the worker. Another value than 0 is FER-3103 with `error`.
/// An exception may leave it: host and module are built alike.
/// Lifetime: all text is static in the module, which stays loaded as long as the process lives.
struct fermata_module_info {
  std::uint32_t abi = 0;           // of <fermata/worker.hpp> and what it includes
  const char* version = nullptr;   // "0.1.0"
  const char* compiler = nullptr;  // "clang 19.1.7, libstdc++ 20240412"
  const char* name = nullptr;      // the module's own
  const char* build = nullptr;     // null: the GNU build id of the module's file
  const char* error = nullptr;     // why it returned something else than 0
};

extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker);

namespace fermata {

/// Rises when a seam between public headers and library changes.
inline constexpr std::uint32_t module_abi = 1;
inline constexpr const char* version_text = "0.1.0";

#define FERMATA_TEXT_OF_(x) #x
#define FERMATA_TEXT_OF(x) FERMATA_TEXT_OF_(x)
inline constexpr const char* compiler_text =
#if defined(__clang__)
    "clang " FERMATA_TEXT_OF(__clang_major__)
#else
    "gcc " FERMATA_TEXT_OF(__GNUC__)
#endif
#if defined(_LIBCPP_VERSION)
        ", libc++ abi " FERMATA_TEXT_OF(_LIBCPP_ABI_VERSION);
#else
        ", libstdc++ cxx11 abi " FERMATA_TEXT_OF(_GLIBCXX_USE_CXX11_ABI);
#endif
#undef FERMATA_TEXT_OF
#undef FERMATA_TEXT_OF_

/// Fills in what the compiler of this module knows.
inline void describe(fermata_module_info& info, const char* name, const char* build = nullptr) {
  info.abi = module_abi;
  info.version = version_text;
  info.compiler = compiler_text;
  info.name = name;
  info.build = build;
}

}  // namespace fermata
