#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers whose clocks are an hour ahead or behind, and jump, while runs sleep, wait with patience and are
leased (libfaketime; the kernel's other clocks stay as they are, as they do when somebody sets the time).

    clocks.py BIN_FOLDER [--runs 100] [--jumps 6] [--seed N] [TEST...]

Which clock counts: on Postgres the server's, whatever its workers think; on SQLite the host's CLOCK_REALTIME,
never before the latest time in the journal: after the clock was set back, the journal's time stands still until
the clock is there again, and sleeps take so much longer. So there all workers have one clock, which jumps far
forwards and a little back. Leases go by the server's clock, or CLOCK_BOOTTIME, and so no jump ends one. Leap days
and daylight saving concern schedules, whose attack comes with them.
"""
import argparse
import glob
import pathlib
import random
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "postgres"), str(HERE), str(HERE.parents[1] / "attack")]
from evidence import keep  # noqa: E402
from fleet import TELLS, Fleet, carry_out, counted  # noqa: E402
from server import Server  # noqa: E402

MONTH_MS = 30 * 24 * 3600 * 1000  # more than 2^31
HOUR = 3600


def library():
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert found, "no libfaketime is installed; scripts/setup.sh installs one"
    return found[0]


class Clock:
    """Of one worker: a file, read anew each time it looks."""

    def __init__(self, folder, name, seconds=0):
        self.file = pathlib.Path(folder) / f"clock-{name}"
        self.set(seconds)

    def set(self, seconds):
        beside = self.file.with_suffix(".new")
        beside.write_text(f"{seconds:+d}s\n")
        beside.rename(self.file)

    def environment(self):
        return {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": str(self.file),
                "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1"}


class Place:
    def __init__(self, asked, folder):
        self.asked, self.folder = asked, pathlib.Path(folder)
        self.chance = random.Random(asked.seed)
        self.server = self.fleet = None

    def begin(self, store):
        address = f"sqlite:{self.folder}/journal.db"
        if store == "postgres":
            self.server = Server().start().create()
            address = self.server.address()
        self.fleet = Fleet(self.asked.bin, address, self.folder)
        return self.fleet

    def host_clock(self):
        """Of everybody from here on, commands included."""
        clock = Clock(self.folder, "host")
        self.fleet.environment.update(clock.environment())
        return clock

    def hire(self, name, seconds, program="attack_worker"):
        clock = Clock(self.folder, name, seconds)
        worker = self.fleet.hire(program=program, environment=clock.environment())
        self.fleet.until(lambda: self.fleet.serves(worker), "a worker starts")
        return clock

    def close(self):
        if self.fleet:
            self.fleet.close()
        if self.server:
            self.server.remove()


def begun_twice(fleet):
    """No worker died, and no step is told to be tried again: so each was to be begun once."""
    keys = [line.split()[0] for line in fleet.mix_log.read_text().splitlines()]
    return len(keys) - len(set(keys))


def no_lease_is_lost(fleet):
    for words in ("under a new id", "another owner has gone on"):
        assert words not in fleet.heard(), f"a worker says '{words}'"


def jumps(at, store):
    """Three workers; gives what makes a clock jump."""
    if store == "postgres":
        clocks = [at.hire("ahead", HOUR), at.hire("right", 0), at.hire("behind", -HOUR)]
        return lambda: at.chance.choice(clocks).set(
            at.chance.choice((-25, -1, 0, 1, 25)) * HOUR + at.chance.randrange(-100, 100))
    host = at.host_clock()
    at.fleet.hire_all(3)
    seconds = 0

    def jump():
        nonlocal seconds
        seconds += at.chance.choice((-2, -1, HOUR, 25 * HOUR))
        host.set(seconds)
    return jump


def the_mix(at, store):
    fleet = at.begin(store)
    jump = jumps(at, store)
    count = at.asked.runs // 5
    share = max(1, count // at.asked.jumps)
    given = 0
    for _ in range(at.asked.jumps):
        feeding = fleet.feed(given, share)
        given += share
        time.sleep(at.chance.uniform(0.1, 0.6))
        jump()
        assert feeding.wait(timeout=120) == 0, "a client gave up"
    fleet.all_ended()
    no_lease_is_lost(fleet)
    assert all(worker.poll() is None for worker in fleet.workers), "a worker ended"
    assert fleet.dismiss() == [0, 0, 0]
    repeated = begun_twice(fleet)
    assert not repeated, f"{repeated} steps were begun twice"
    # What its log says of times isn't the journal's time.
    found = counted(fleet.client("check", given, "/dev/null", **TELLS), "the history is bad")
    print(f"{store}: {at.asked.jumps} jumps, {given * 5} runs", flush=True)
    keep("clocks", at.asked.seed, faults=at.asked.jumps, acked=found["runs"], lost=found["missing"],
         repeated=repeated)


def the_mix_ends_as_it_should_on_sqlite(at):
    the_mix(at, "sqlite")


def the_mix_ends_as_it_should_on_postgres(at):
    the_mix(at, "postgres")


def waits(fleet, name, workflow, ms):
    fleet("start", workflow, f'{{"ms":{ms}}}', "--key", name)
    fleet.until(lambda: fleet.json("explain", name)["reason"] in ("sleeps", "waits_for_signal"),
                f"{name} waits")


def state(fleet, key):
    return fleet.json("show", key)["run"]["state"]


def on_postgres_the_clock_of_the_server_decides(at):
    fleet = at.begin("postgres")
    clock = at.hire("any", 26 * HOUR, "attack_clock_worker")
    waits(fleet, "day", "nap", 24 * HOUR * 1000)
    waits(fleet, "month", "nap", MONTH_MS)
    waits(fleet, "patient", "patient", HOUR * 1000)
    for hours in (-26, 26, 31 * 24):
        clock.set(hours * HOUR)
        began = time.monotonic()
        fleet("start", "nap", '{"ms":700}', "--key", f"short{hours}", "--wait", "30s")
        took = time.monotonic() - began
        assert took >= 0.7, f"a sleep of 700 ms took {took:.2f} s"
    for key in ("day", "month", "patient"):
        assert state(fleet, key) == "running", f"{key} went on by its worker's clock"
    no_lease_is_lost(fleet)
    fleet("signal", "patient", "go", "1")
    assert "told" in fleet("result", "patient", "--timeout", "30s").stdout
    assert fleet.dismiss() == [0]
    fleet("verify")


def on_sqlite_a_jump_forwards_fires_what_is_due_by_then_and_one_back_nothing(at):
    fleet = at.begin("sqlite")
    clock = at.host_clock()
    worker = fleet.hire(program="attack_clock_worker")
    fleet.until(lambda: fleet.serves(worker), "a worker starts")
    waits(fleet, "hour", "nap", HOUR * 1000)
    waits(fleet, "month", "nap", MONTH_MS)
    waits(fleet, "patient", "patient", 2 * HOUR * 1000)
    clock.set(-26 * HOUR)
    fleet("start", "patient", '{"ms":1000}', "--key", "wakes it")
    fleet("signal", "wakes it", "go", "1")
    assert "told" in fleet("result", "wakes it", "--timeout", "60s").stdout
    assert state(fleet, "hour") == "running", "it was fired by a jump back"
    clock.set(HOUR + 60)
    fleet("start", "nap", '{"ms":10}', "--key", "wakes", "--wait", "60s")
    fleet("result", "hour", "--timeout", "60s")
    for key in ("month", "patient"):
        assert state(fleet, key) == "running", f"{key} was fired before its time"
    clock.set(31 * 24 * HOUR)
    fleet("start", "nap", '{"ms":10}', "--key", "wakes again", "--wait", "60s")
    fleet("result", "month", "--timeout", "60s")
    assert "nobody came" in fleet("result", "patient", "--timeout", "60s").stdout
    no_lease_is_lost(fleet)
    assert fleet.dismiss() == [0]
    fleet("verify")


TESTS = [the_mix_ends_as_it_should_on_sqlite, the_mix_ends_as_it_should_on_postgres,
         on_postgres_the_clock_of_the_server_decides,
         on_sqlite_a_jump_forwards_fires_what_is_due_by_then_and_one_back_nothing]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=60)
    arguments.add_argument("--jumps", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    print(f"seed {asked.seed}", flush=True)
    return carry_out(TESTS, lambda folder: Place(asked, folder), asked.tests)


if __name__ == "__main__":
    sys.exit(main())
