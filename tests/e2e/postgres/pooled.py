#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Everything goes through a pgbouncer in transaction mode: the mix of runs ends as it should, the store's
conformance suite passes, and a worker says once that it polls; a start of another process waits for
little more than `poll`.

    pooled.py BIN_FOLDER [--runs 100] [--workers 2] [--wakes 30] [TEST...]
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, carry_out  # noqa: E402
from server import Pool, Server  # noqa: E402

POLL_MS = 200


class Place:
    def __init__(self, asked, folder):
        self.asked = asked
        self.server = Server().start().create()
        self.pool = Pool(self.server).start()
        self.fleet = Fleet(asked.bin, self.pool.address(f"?poll={POLL_MS}"), folder)

    def close(self):
        self.fleet.close()
        self.pool.stop()
        self.server.remove()


def the_mix_ends_as_it_should_through_a_pool(at):
    fleet = at.fleet.hire_all(at.asked.workers)
    count = at.asked.runs // 5
    assert fleet.feed(0, count).wait() == 0
    fleet.all_ended()
    assert fleet.dismiss() == [0] * at.asked.workers
    fleet.all_is_well(count)
    for log in fleet.logs:
        said = log.read_text().count("a pool stands before the database")
        assert said == 1, f"{log.name} says {said} times that there is a pool"
    served = at.server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fermata'")
    print(f"{at.asked.runs} runs through a pool that has {served} connections; each worker said once "
          "that it polls", flush=True)


def the_conformance_suite_passes_through_a_pool(at):
    ran = subprocess.run([at.fleet.bin / "conformance_postgres"], capture_output=True, text=True,
                         env=dict(os.environ, FERMATA_TEST_POSTGRES=at.pool.address()), timeout=280)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-6000:]
    print("\n".join(line for line in ran.stdout.splitlines() if "test cases" in line), flush=True)


def a_start_wakes_an_idle_worker_within_a_poll(at):
    fleet = at.fleet.hire_all(1)
    for number in range(at.asked.wakes):
        time.sleep(0.3)  # it is idle
        fleet("start", "steps", '{"number":1,"size":1}', "--key", f"wake-{number}")
        fleet.until(lambda n=number: begun(at) > n, "the worker begins it", 10)
    waits = sorted(int(us) / 1000 for us in at.server.sql(
        "SELECT e.at - r.requested FROM fermata.runs r JOIN fermata.events e ON e.run = r.run "
        "WHERE e.position = 1").split())
    assert len(waits) == at.asked.wakes
    print(f"poll={POLL_MS}: an idle worker began {len(waits)} starts of another process after p50 "
          f"{statistics.median(waits):.0f} ms, max {waits[-1]:.0f} ms", flush=True)
    # A poll looks at what is new at once, and from the beginning once a second at least; oftener if
    # that is quick (low_water.hpp), as it is on a machine that has nothing else to do.
    assert statistics.median(waits) < POLL_MS + 100 and waits[-1] < POLL_MS + 1_300, waits
    assert fleet.dismiss() == [0]


def begun(at):
    return int(at.server.sql("SELECT count(*) FROM fermata.runs"))


TESTS = [the_mix_ends_as_it_should_through_a_pool, the_conformance_suite_passes_through_a_pool,
         a_start_wakes_an_idle_worker_within_a_poll]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--wakes", type=int, default=20)
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    return carry_out(TESTS, lambda folder: Place(asked, folder), asked.tests, "fleet_pool")


if __name__ == "__main__":
    sys.exit(main())
