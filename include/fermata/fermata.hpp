// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything a workflow, a client and a worker need. Not included: <fermata/asio.hpp> (steps that
// are awaitables), <fermata/sqlite.hpp>, <fermata/postgres.hpp>, <fermata/protobuf.hpp>,
// <fermata/module.hpp> and <fermata/testing.hpp>.
#include <fermata/client.hpp>
#include <fermata/context.hpp>
#include <fermata/journal.hpp>
#include <fermata/scope.hpp>
#include <fermata/worker.hpp>
