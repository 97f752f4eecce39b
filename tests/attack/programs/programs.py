#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs made by chance on real workers, which are killed meanwhile, or frozen past their lease; on
Postgres backends are terminated and the postmaster is killed, too. Each program's result and counters
were predicted.

    programs.py BIN_FOLDER [--store sqlite|postgres] [--programs 1000] [--workers 3] [--seed N]
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

ATTACKS = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(ATTACKS), str(ATTACKS.parent / "e2e" / "postgres")]
from evidence import keep  # noqa: E402
from fleet import TELLS, Fleet, counted, show_logs  # noqa: E402
from server import Server  # noqa: E402

AT_ONCE = 120  # programs open at a time

# Seconds from one to the next. Two kills of a worker are so far apart that one may get going.
PAUSES = {"kill": (0.4, 2.0), "freeze": (5.0, 40.0), "backend": (0.3, 2.0), "postmaster": (6.0, 15.0)}
LEASE_SECONDS = 15


class Attack:
    def __init__(self, asked, fleet, server):
        self.asked, self.fleet, self.server = asked, fleet, server
        self.chance = random.Random(asked.seed)
        self.faults = {what: 0 for what in PAUSES if server or what in ("kill", "freeze")}
        self.frozen = []  # (until when, worker)
        self.first = asked.seed * 1_000_000  # programs of different runs are different

    def hire(self):
        return self.fleet.hire("--queue", "default", "--queue", "far", program="programs_worker")

    def client(self, *words, **how):
        return self.fleet.command("programs_client", *words, **how)

    def victim(self):
        one = self.chance.choice(self.fleet.workers)
        assert one.poll() is None, f"a worker ended by itself with {one.returncode}"
        return one

    def kill(self):
        victim = self.victim()
        victim.kill()
        victim.wait()
        self.fleet.workers.remove(victim)
        self.hire()

    def freeze(self):
        """Past its lease: others take its runs, and then it goes on."""
        victim = self.victim()
        victim.send_signal(signal.SIGSTOP)
        self.frozen.append((time.monotonic() + LEASE_SECONDS + self.chance.uniform(1, 4), victim))

    def thaw(self, all_of_them=False):
        for when, victim in list(self.frozen):
            if all_of_them or time.monotonic() >= when:
                self.frozen.remove((when, victim))
                if victim.poll() is None:
                    victim.send_signal(signal.SIGCONT)

    def backend(self):
        self.server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
            "'fermata' ORDER BY random() LIMIT 1", check=False)

    def postmaster(self):
        self.server.kill()
        time.sleep(self.chance.uniform(0, 1))
        self.server.start()

    def strike_until(self, over):
        now = time.monotonic()
        due = {what: now + self.chance.uniform(*PAUSES[what]) for what in self.faults}
        while not over():
            for what, when in due.items():
                if time.monotonic() >= when:
                    getattr(self, what)()
                    self.faults[what] += 1
                    due[what] = time.monotonic() + self.chance.uniform(*PAUSES[what])
            self.thaw()
            time.sleep(0.02)
        self.thaw(all_of_them=True)

    def run(self):
        assert self.client("prepare").wait() == 0
        for _ in range(self.asked.workers):
            self.hire()
        begun = time.monotonic()
        feeding = self.client("run", self.first, self.asked.programs, AT_ONCE)
        self.strike_until(lambda: feeding.poll() is not None)
        assert feeding.returncode == 0, "a program doesn't end, or a client gave up"
        took = time.monotonic() - begun
        codes = self.fleet.dismiss()
        assert not any(codes), f"exit codes of the workers: {codes}"
        check = self.client("check", self.first, self.asked.programs, self.fleet.mix_log,
                            self.faults["freeze"], **TELLS)
        found = counted(check, "it isn't as it was predicted")
        told = ", ".join(f"{count} × {what}" for what, count in self.faults.items())
        print(f"{self.asked.programs} programs on {self.asked.store} in {took:.0f} s under {told}: "
              "all as predicted")
        keep(f"programs_{self.asked.store}", self.asked.seed, rounds=self.asked.programs,
             faults=sum(self.faults.values()), kills=self.faults["kill"], acked=found["runs"],
             lost=found["wrong"], repeated=found["repeated"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--programs", type=int, default=1000)
    arguments.add_argument("--workers", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-programs-") as folder:
        server = Server().start().create() if asked.store == "postgres" else None
        address = server.address() if server else f"sqlite:{folder}/journal.db"
        fleet = Fleet(asked.bin, address, folder)
        try:
            Attack(asked, fleet, server).run()
        except BaseException as why:
            print(f"BAD: {why}", flush=True)
            show_logs(fleet)
            if os.environ.get("FERMATA_KEEP") and not server:
                shutil.copytree(folder, os.environ["FERMATA_KEEP"])
            raise
        finally:
            fleet.close()
            if server:
                server.remove()


if __name__ == "__main__":
    main()
