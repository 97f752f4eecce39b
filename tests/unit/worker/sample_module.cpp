// SPDX-License-Identifier: Apache-2.0
// A module that is good or bad in the way SAMPLE_MODULE says.
#include <fermata/module.hpp>

#include <stdexcept>

[[maybe_unused]] constexpr fermata::step<int(int)> twice{"twice"};
[[maybe_unused]] constexpr fermata::step<int(int)> thrice{"thrice"};
[[maybe_unused]] constexpr fermata::workflow<int(int)> quadruple{"quadruple"};

[[maybe_unused]] static fermata::task<int> flow(fermata::context& ctx, int n) {
  int half = co_await ctx.call(twice, n);
  co_return half;
}

#if defined(SAMPLE_LACKS_SYMBOL)
namespace fermata {
void nobody_has_this();
}
#endif

#if !defined(SAMPLE_NO_ENTRY)
extern "C" int fermata_module_v1(fermata_module_info* info, fermata::worker* worker) {
  fermata::describe(*info, "sample");
#if defined(SAMPLE_OTHER_ABI)
  info->abi = 999;
#elif defined(SAMPLE_OTHER_VERSION)
  info->version = "9.9.9";
#elif defined(SAMPLE_OTHER_COMPILER)
  info->compiler = "quill pen 3";
#elif defined(SAMPLE_LACKS_SYMBOL)
  fermata::nobody_has_this();
#endif
  if (worker == nullptr) return 0;
#if defined(SAMPLE_THROWS)
  throw std::runtime_error("no warehouse in sight");
#elif defined(SAMPLE_REFUSES)
  info->error = "no licence";
  return 7;
#elif defined(SAMPLE_SECOND)
  worker->serve(thrice, [](const int& n) { return n * 3; });
#elif defined(SAMPLE_SAME_NAME)
  worker->serve(twice, [](const int& n) { return n + n; });
#else
  worker->serve(twice, [](const int& n) { return n * 2; });
  worker->serve(quadruple, flow);
#endif
  return 0;
}
#endif
