// SPDX-License-Identifier: Apache-2.0
// Both names: the precompiled header has included doctest without them, and derives the first from
// the second only then.
#define DOCTEST_CONFIG_IMPLEMENT
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
