#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills workers at random times over a mix of workflows; afterwards everything must be there once.

    kill.py BIN_FOLDER [--rounds 200] [--workers 2] [--seed N]
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--per-round", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    print(f"seed {asked.seed}, {asked.rounds} rounds, {asked.workers} workers", flush=True)
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(prefix="fermata-kill-") as folder:
        return attack(asked, chance, folder)


def attack(asked, chance, folder):
    journal = f"sqlite:{folder}/journal.db"
    environment = dict(os.environ, MIX_LOG=f"{folder}/mix.log", FERMATA_BUILD="attack")
    said = open(f"{folder}/workers.log", "w")

    def hire():
        return subprocess.Popen(
            [f"{asked.bin}/attack_worker", "--journal", journal, "--concurrency", "16"],
            env=environment, stdout=said, stderr=said)

    def client(*words, **more):
        return subprocess.run([f"{asked.bin}/attack_client", journal, *map(str, words)], **more)

    workers = [hire() for _ in range(asked.workers)]
    started = 0
    feeding = None
    kills = 0
    for number in range(asked.rounds):
        if feeding is None or feeding.poll() is not None:
            if feeding is not None and feeding.returncode != 0:
                print("a start failed", flush=True)
                return 1
            feeding = subprocess.Popen([f"{asked.bin}/attack_client", journal, "start",
                                        str(started), str(asked.per_round)])
            started += asked.per_round
        time.sleep(chance.uniform(0.2, 2.0))
        victim = chance.randrange(len(workers))
        if workers[victim].poll() is not None:
            print(f"a worker ended by itself with {workers[victim].returncode}", flush=True)
            print(open(f"{folder}/workers.log").read()[-4000:])
            return 1
        workers[victim].send_signal(signal.SIGKILL)
        workers[victim].wait()
        kills += 1
        workers[victim] = hire()
        if (number + 1) % 20 == 0:
            print(f"{number + 1} kills, {started * 5} runs started", flush=True)
    if feeding is not None and feeding.wait() != 0:
        return 1
    waited = client("wait", 300).returncode
    for worker in workers:
        listens(worker, f"{folder}/workers.log")
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    codes = [worker.wait(timeout=30) for worker in workers]
    checked = client("check", started, f"{folder}/mix.log").returncode
    print(f"{kills} kills, {started * 5} runs: " + ("all is well" if waited == checked == 0 else "BAD"))
    if waited or checked or any(codes):
        print(f"exit codes of the workers: {codes}")
        print(open(f"{folder}/workers.log").read()[-6000:])
        keep = os.environ.get("FERMATA_KEEP")
        if keep:
            subprocess.run(["cp", "-r", folder, keep])
        return 1
    return 0


def listens(worker, log):
    """Waits until a worker that has just been started has a handler for SIGTERM."""
    end = time.monotonic() + 30
    while worker.poll() is None and f"as process {worker.pid} " not in open(log).read():
        if time.monotonic() > end:
            raise TimeoutError(f"worker {worker.pid} doesn't start")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
