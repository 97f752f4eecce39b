#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bad network between three workers and Postgres: lines that are slow, silent, cut in the middle of a
message, one byte at a time (a proxy); packets that are dropped (nftables, in a network namespace of its
own: root alone). Afterwards every run has ended as it should, nothing was repeated, verify finds nothing.

    network.py BIN_FOLDER [--runs 100] [--rounds 4] [--hold 3] [--seed N] [TEST...]
"""
import argparse
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "postgres"), str(HERE), str(HERE.parents[1] / "attack")]
from cable import FAULTS, Cable  # noqa: E402
from evidence import keep  # noqa: E402
from fleet import Fleet, carry_out  # noqa: E402
from server import Server  # noqa: E402

INSIDE = "FERMATA_TEST_HAS_NETWORK"


class Place:
    def __init__(self, asked, folder):
        self.asked, self.folder = asked, pathlib.Path(folder)
        self.chance = random.Random(asked.seed)
        self.server = Server().start().create()
        self.cable = Cable(self.server.port, self.chance)
        # Clients have a line that works: what they were told is what is looked for.
        self.fleet = Fleet(asked.bin, self.server.address(), folder)

    def events(self):
        return int(self.server.sql("SELECT count(*) FROM fermata.events"))

    def close(self):
        self.cable.close()
        self.fleet.close()
        self.server.remove()


def each_fault(at, address, begin, end, faults):
    """Faults in turn under work that doesn't run out; how long until work went on after each, in ms."""
    fleet, asked = at.fleet, at.asked
    for _ in range(3):
        fleet.hire(address=address)
    for worker in fleet.workers:
        fleet.until(lambda w=worker: fleet.serves(w), "a worker starts", 60)
    count, recoveries = asked.runs // 5, []
    share = max(1, count // len(faults))
    given = 0
    for fault in faults:
        feeding = fleet.feed(given, share)
        given += share
        time.sleep(at.chance.uniform(0.2, 0.8))
        begin(fault)
        time.sleep(at.chance.uniform(1, asked.hold))
        end()
        healed, before = time.monotonic(), at.events()
        fleet.until(lambda: at.events() > before or no_work(fleet), f"work goes on after {fault}", 60)
        recoveries.append(int((time.monotonic() - healed) * 1000))
        assert feeding.wait(timeout=120) == 0, "a client gave up"
    fleet.all_ended()
    assert all(worker.poll() is None for worker in fleet.workers), "a worker ended"
    assert fleet.dismiss() == [0, 0, 0]
    return fleet.all_is_well(given), recoveries


def no_work(fleet):
    return subprocess.run([fleet.bin / "attack_client", fleet.address, "wait", "1"],
                          stderr=subprocess.DEVNULL).returncode == 0


def tell(at, faults, counts, recoveries):
    worst = max(recoveries)
    told = ", ".join(f"{fault} {ms / 1000:.1f} s" for fault, ms in zip(faults, recoveries))
    print(f"{len(faults)} faults, {counts['acked']} answers; work went on after {told}", flush=True)
    keep("network", at.asked.seed, faults=len(faults), worst_recovery_ms=worst, **counts)


def the_mix_ends_as_it_should_over_a_bad_line(at):
    faults = [FAULTS[n % len(FAULTS)] for n in range(at.asked.rounds)]
    at.chance.shuffle(faults)
    address = f"postgres://fermata@127.0.0.1:{at.cable.port}/fermata?sslmode=disable&gssencmode=disable"
    tell(at, faults,
         *each_fault(at, address, at.cable.begin, at.cable.heal, faults))


def packets_that_vanish_stop_nothing_for_long(at):
    if os.environ.get(INSIDE) != "1":
        print("SKIPPED: a network namespace with nftables needs root, so that DROPPED PACKETS ARE NOT TESTED",
              flush=True)
        return
    nft("add table inet fermata")
    nft("add chain inet fermata input { type filter hook input priority 0; }")
    faults = [at.chance.choice(("to the server", "from the server", "both")) for _ in
              range(max(1, at.asked.rounds // 2))]

    def begin(fault):
        for port in {"to the server": ["dport"], "from the server": ["sport"]}.get(fault, ["dport", "sport"]):
            nft(f"add rule inet fermata input tcp {port} {at.server.port} drop")

    # The clients' packets vanish, too.
    tell(at, faults,
         *each_fault(at, None, begin, lambda: nft("flush chain inet fermata input"), faults))


def nft(words):
    subprocess.run([shutil.which("nft", path=os.environ["PATH"] + ":/usr/sbin"), words], check=True)


def in_a_namespace():
    """Starts this program again in a network of its own, if it may."""
    path = os.environ["PATH"] + ":/usr/sbin"
    if os.environ.get(INSIDE) or not shutil.which("nft", path=path) or os.geteuid() != 0:
        return
    probe = "ip link set lo up && nft add table inet probe && nft delete table inet probe"
    can = subprocess.run(["unshare", "-n", "sh", "-c", probe], capture_output=True,
                         env=dict(os.environ, PATH=path)).returncode == 0
    if not can:
        return
    os.environ[INSIDE] = "1"
    os.execvpe("unshare", ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                           sys.executable, *sys.argv], dict(os.environ, PATH=path))


TESTS = [the_mix_ends_as_it_should_over_a_bad_line, packets_that_vanish_stop_nothing_for_long]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=4)
    arguments.add_argument("--hold", type=float, default=3, help="seconds: a fault lasts 1 to so many")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    in_a_namespace()
    print(f"seed {asked.seed}", flush=True)
    return carry_out(TESTS, lambda folder: Place(asked, folder), asked.tests)


if __name__ == "__main__":
    sys.exit(main())
