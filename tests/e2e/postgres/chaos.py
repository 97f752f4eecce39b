#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fleet under everything that happens to it at once: the postmaster is killed and started again every
5 to 15 s, backends are terminated, workers are killed. Afterwards every run has ended as it should,
every acknowledged call is there once, no finished step was repeated, verify finds nothing.

    chaos.py BIN_FOLDER [--minutes 3] [--runs 5000] [--workers 4] [--seed N] [--quiet-server]
"""
import argparse
import os
import pathlib
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, keep, show_logs  # noqa: E402
from server import Server  # noqa: E402


class Chaos(threading.Thread):
    """Kills the server, backends and workers until it is told to end."""

    def __init__(self, asked, fleet, server):
        super().__init__()
        self.fleet, self.server = fleet, server
        self.chance, self.asked = random.Random(asked.seed), asked
        self.over = threading.Event()
        self.kills = {"postmaster": 0, "backend": 0, "worker": 0}
        self.failed = None

    def run(self):
        now = time.monotonic()
        due = {what: now + self.pause(what) for what in self.kills}
        try:
            while not self.over.wait(0.05):
                for what, when in due.items():
                    if time.monotonic() >= when:
                        getattr(self, what)()
                        self.kills[what] += 1
                        due[what] = time.monotonic() + self.pause(what)
        except BaseException as why:  # noqa: BLE001: told by the main thread
            self.failed = why

    def pause(self, what):
        low, high = {"postmaster": (5, 15), "backend": (0.2, 2), "worker": (2, 8)}[what]
        if what == "postmaster" and self.asked.quiet_server:
            return 1e9
        return self.chance.uniform(low, high)

    def postmaster(self):
        self.server.kill()
        time.sleep(self.chance.uniform(0, 1.5))
        self.server.start()

    def backend(self):
        self.server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
            "'fermata' ORDER BY random() LIMIT 1", check=False)

    def worker(self):
        self.fleet.replace(self.chance.randrange(len(self.fleet.workers)))


def feed(asked, fleet, chaos):
    """A share of the runs every 3 s, until the time is over."""
    end = time.monotonic() + asked.minutes * 60
    of_each, given = asked.runs // 5, 0
    rounds = max(1, int(asked.minutes * 60 / 3))
    for number in range(rounds):
        share = of_each * (number + 1) // rounds - given
        feeding = fleet.feed(given, share)
        given += share
        while feeding.poll() is None:
            assert chaos.failed is None, chaos.failed
            time.sleep(0.05)
        assert feeding.returncode == 0, "a client gave up"
        time.sleep(max(0, min(3, (end - time.monotonic()) / max(1, rounds - number))))
    while time.monotonic() < end and chaos.failed is None:
        time.sleep(0.1)
    return given


def attack(asked, fleet, server):
    fleet.hire_all(asked.workers)
    chaos = Chaos(asked, fleet, server)
    chaos.start()
    try:
        given = feed(asked, fleet, chaos)
    finally:
        chaos.over.set()
        chaos.join()
    assert chaos.failed is None, chaos.failed
    begun = time.monotonic()
    fleet.all_ended(300)
    print(f"all ended {time.monotonic() - begun:.1f} s after the last kill", flush=True)
    codes = fleet.dismiss()
    assert not any(codes), f"exit codes of the workers: {codes}"
    counts = fleet.all_is_well(given)
    print(f"{chaos.kills['postmaster']} kills of the postmaster, {chaos.kills['backend']} backends "
          f"terminated, {chaos.kills['worker']} workers killed, {given * 5} runs: all is well")
    keep("fleet_chaos", asked.seed, faults=sum(chaos.kills.values()), kills=chaos.kills["worker"],
         database_kills=chaos.kills["postmaster"], **counts)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--minutes", type=float, default=3)
    arguments.add_argument("--runs", type=int, default=5000)
    arguments.add_argument("--workers", type=int, default=4)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--quiet-server", action="store_true", help="only workers and backends")
    asked = arguments.parse_args()
    print(f"seed {asked.seed}, {asked.minutes} minutes, {asked.workers} workers", flush=True)
    server = Server().start().create()
    fleet = Fleet(asked.bin, server.address(), server.home)
    try:
        attack(asked, fleet, server)
        return 0
    except BaseException as why:
        print(f"BAD: {why}", flush=True)
        show_logs(fleet)
        if os.environ.get("FERMATA_KEEP"):
            server.stop()
            subprocess.run(["cp", "-r", str(server.home), os.environ["FERMATA_KEEP"]])
        raise
    finally:
        fleet.close()
        server.remove()


if __name__ == "__main__":
    sys.exit(main())
