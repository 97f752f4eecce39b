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
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from server import Server  # noqa: E402


class Fleet:
    def __init__(self, asked, server):
        self.bin, self.server, self.home = asked.bin, server, server.home
        state = self.home / "state"
        self.environment = dict(os.environ, MIX_LOG=str(self.home / "mix.log"),
                                FERMATA_BUILD="attack", FERMATA_STATE=str(state))
        self.said = open(self.home / "workers.log", "w")
        self.workers = [self.hire() for _ in range(asked.workers)]

    def hire(self):
        return subprocess.Popen(
            [f"{self.bin}/attack_worker", "--journal", self.server.address(), "--concurrency", "16"],
            env=self.environment, stdout=self.said, stderr=self.said)

    def client(self, *words):
        return subprocess.Popen(
            [f"{self.bin}/attack_client", self.server.address(), *map(str, words)],
            env=self.environment)

    def heard(self):
        return (self.home / "workers.log").read_text()

    def replace(self, victim):
        worker = self.workers[victim]
        if worker.poll() is not None:
            raise AssertionError(f"a worker ended by itself with {worker.returncode}")
        worker.kill()
        worker.wait()
        self.workers[victim] = self.hire()

    def dismiss(self):
        for worker in self.workers:
            end = time.monotonic() + 60
            while worker.poll() is None and f"as process {worker.pid} " not in self.heard():
                assert time.monotonic() < end, "a worker doesn't start"
                time.sleep(0.05)
            worker.send_signal(signal.SIGTERM)
        return [worker.wait(timeout=60) for worker in self.workers]


class Chaos(threading.Thread):
    """Kills the server, backends and workers until it is told to end."""

    def __init__(self, asked, fleet):
        super().__init__()
        self.fleet, self.chance, self.asked = fleet, random.Random(asked.seed), asked
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
        self.fleet.server.kill()
        time.sleep(self.chance.uniform(0, 1.5))
        self.fleet.server.start()

    def backend(self):
        self.fleet.server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
            "'fermata' ORDER BY random() LIMIT 1", check=False)

    def worker(self):
        self.fleet.replace(self.chance.randrange(len(self.fleet.workers)))


def attack(asked, server):
    fleet = Fleet(asked, server)
    chaos = Chaos(asked, fleet)
    answers = server.home / "answers"
    of_each = asked.runs // 5
    end = time.monotonic() + asked.minutes * 60
    time.sleep(1)
    chaos.start()
    given = 0
    rounds = max(1, int(asked.minutes * 60 / 3))
    feeding = None
    try:
        for number in range(rounds):
            share = of_each * (number + 1) // rounds - given
            feeding = fleet.client("feed", given, share, answers)
            given += share
            while feeding.poll() is None:
                assert chaos.failed is None, chaos.failed
                time.sleep(0.05)
            assert feeding.returncode == 0, "a client gave up"
            time.sleep(max(0, min(3, (end - time.monotonic()) / max(1, rounds - number))))
        while time.monotonic() < end and chaos.failed is None:
            time.sleep(0.1)
    finally:
        chaos.over.set()
        chaos.join()
    assert chaos.failed is None, chaos.failed
    begun = time.monotonic()
    waited = fleet.client("wait", 300).wait()
    print(f"all ended {time.monotonic() - begun:.1f} s after the last kill", flush=True)
    codes = fleet.dismiss()
    checked = fleet.client("check", of_each, server.home / "mix.log").wait()
    answered = fleet.client("answers", answers).wait()
    print(f"{chaos.kills['postmaster']} kills of the postmaster, {chaos.kills['backend']} backends "
          f"terminated, {chaos.kills['worker']} workers killed, {given * 5} runs: "
          + ("all is well" if not (waited or checked or answered or any(codes)) else "BAD"))
    if any(codes):
        print(f"exit codes of the workers: {codes}")
    return 1 if waited or checked or answered or any(codes) else 0


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
    server = Server(folder=os.environ.get("FERMATA_POSTGRES_FOLDER"))
    code = 1
    try:
        server.start().create()
        code = attack(asked, server)
    finally:
        if code != 0:
            print((server.home / "workers.log").read_text()[-8000:])
        keep = os.environ.get("FERMATA_KEEP")
        if code != 0 and keep:
            server.stop()
            subprocess.run(["cp", "-r", str(server.home), keep])
        server.remove()
    return code


if __name__ == "__main__":
    sys.exit(main())
