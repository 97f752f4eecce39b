// SPDX-License-Identifier: Apache-2.0
#include <fermata/version.hpp>

extern "C" bool stranger_module_has_a_host() { return !fermata::version().empty(); }
