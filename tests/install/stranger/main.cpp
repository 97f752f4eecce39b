// SPDX-License-Identifier: Apache-2.0
#include <fermata/fermata.hpp>
#include <fermata/version.hpp>
#include <iostream>

int main() { std::cout << "fermata " << fermata::version() << "\n"; }
