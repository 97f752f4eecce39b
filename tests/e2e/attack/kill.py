#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills workers at random times over a mix of workflows; afterwards everything must be there once. What
they owned must have been claimed by others soon: from 100 kills on, 99 of 100 within a second.

    kill.py BIN_FOLDER [--rounds 200] [--workers 2] [--seed N]
"""
import argparse
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path += [str(pathlib.Path(__file__).parent),
             str(pathlib.Path(__file__).resolve().parents[2] / "attack")]
from evidence import keep  # noqa: E402
from recovery import Recovery, Sqlite  # noqa: E402

RECOVERY_SECONDS = 1.0
MEASURED_FROM = 100  # kills: with fewer the 99th of 100 says nothing


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--per-round", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    print(f"seed {asked.seed}, {asked.rounds} rounds, {asked.workers} workers", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-kill-") as folder:
        attack = Attack(asked, folder)
        try:
            attack.run()
            return 0
        except BaseException as why:
            print(f"BAD: {why}\n{attack.heard()[-6000:]}", flush=True)
            if os.environ.get("FERMATA_KEEP"):
                subprocess.run(["cp", "-r", folder, os.environ["FERMATA_KEEP"]])
            raise
        finally:
            attack.close()


class Attack:
    def __init__(self, asked, folder):
        self.asked, self.folder = asked, folder
        self.chance = random.Random(asked.seed)
        self.file = f"{folder}/journal.db"
        self.log = open(f"{folder}/workers.log", "w")
        self.workers = []
        self.started, self.feeding, self.recovery = 0, None, None

    def hire(self):
        environment = dict(os.environ, MIX_LOG=f"{self.folder}/mix.log", FERMATA_BUILD="attack")
        self.workers.append(subprocess.Popen(
            [f"{self.asked.bin}/attack_worker", "--journal", f"sqlite:{self.file}",
             "--concurrency", "16"], env=environment, stdout=self.log, stderr=self.log))

    def heard(self):
        with open(f"{self.folder}/workers.log") as log:
            return log.read()

    def listens(self, worker):
        """Waits until one that has just been started has a handler for SIGTERM."""
        end = time.monotonic() + 30
        while worker.poll() is None and f"as process {worker.pid} " not in self.heard():
            assert time.monotonic() < end, f"worker {worker.pid} doesn't start"
            time.sleep(0.05)

    def client(self, *words, **how):
        return subprocess.Popen([f"{self.asked.bin}/attack_client", f"sqlite:{self.file}",
                                 *map(str, words)], **how)

    def feed(self):
        if self.feeding is not None and self.feeding.poll() is None:
            return
        assert self.feeding is None or self.feeding.returncode == 0, "a start failed"
        self.feeding = self.client("start", self.started, self.asked.per_round)
        self.started += self.asked.per_round

    def kill_one(self):
        """Another takes its place, at once or later: who is there notices, or who comes."""
        victim = self.workers.pop(self.chance.randrange(len(self.workers)))
        assert victim.poll() is None, f"a worker ended by itself with {victim.returncode}"
        self.recovery.kill(victim)
        time.sleep(self.chance.choice([0, 1.5]))
        self.hire()
        self.listens(self.workers[-1])
        self.recovery.is_up(self.workers[-1])

    def run(self):
        for _ in range(self.asked.workers):
            self.hire()
        for worker in self.workers:
            self.listens(worker)
        self.recovery = Recovery(Sqlite(self.file), RECOVERY_SECONDS)
        for worker in self.workers:
            self.recovery.is_up(worker)
        for number in range(1, self.asked.rounds + 1):
            self.feed()
            time.sleep(self.chance.uniform(0, 1.5))
            self.kill_one()
            if number % 20 == 0:
                print(f"{number} kills, {self.started * 5} runs started", flush=True)
        assert self.feeding.wait() == 0, "a start failed"
        self.recovery.end()
        assert self.client("wait", 300).wait() == 0, "some runs don't end"
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(timeout=30) for worker in self.workers]
        assert not any(codes), f"exit codes of the workers: {codes}"
        checked = self.client("check", self.started, f"{self.folder}/mix.log").wait()
        assert checked == 0, "the history is bad"
        self.report()

    def report(self):
        kills, counts = self.recovery.deaths, self.recovery.counts()
        print(f"{kills} kills, {self.started * 5} runs: all is well; {self.recovery.told()}")
        assert kills < MEASURED_FROM or counts["recovery_p99_ms"] <= RECOVERY_SECONDS * 1000, \
            "too late: somebody on the same host notices at once"
        keep("kill", self.asked.seed, rounds=kills, faults=kills, acked=self.started * 6, lost=0,
             repeated=0, worst_recovery_ms=counts["recovery_worst_ms"], **counts)

    def close(self):
        if self.recovery is not None:
            self.recovery.over.set()
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        self.log.close()


if __name__ == "__main__":
    sys.exit(main())
