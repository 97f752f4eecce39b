#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Freezes a worker at a failpoint, past its lease, and lets it go on.

    freeze.py BIN_FOLDER outside   before a transaction: its runs are taken, its late write is refused
    freeze.py BIN_FOLDER inside    in a write transaction: the others wait, name the holder after
                                   10 s, and go on by themselves; with "death" it is killed there
"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "attack"))
from evidence import keep  # noqa: E402

RUNS_OF_EACH = 4


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def wait_until(holds, seconds, what):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return
        time.sleep(0.1)
    raise SystemExit(f"not so within {seconds} s: {what}")


class Attack:
    def __init__(self, folder, bin_folder):
        self.folder, self.bin = folder, bin_folder
        self.journal = f"sqlite:{folder}/journal.db"
        self.hired = []

    def hire(self, name, failpoint=""):
        environment = dict(os.environ, MIX_LOG=f"{self.folder}/mix.log", FERMATA_BUILD="attack")
        if failpoint:
            environment["FERMATA_FAILPOINT"] = failpoint
        said = open(f"{self.folder}/{name}.log", "w")
        self.hired.append(subprocess.Popen(
            [f"{self.bin}/attack_worker", "--journal", self.journal],
            env=environment, stdout=said, stderr=said))
        return self.hired[-1]

    def client(self, *words):
        return subprocess.run([f"{self.bin}/attack_client", self.journal, *map(str, words)]).returncode

    def heard(self, name):
        with open(f"{self.folder}/{name}.log") as log:
            return log.read()


def outside(attack):
    # First: by its twentieth transaction it has runs, however slowly they would be started.
    assert attack.client("start", 0, RUNS_OF_EACH) == 0
    frozen = attack.hire("frozen", "sqlite.before_lock=stop@20")
    wait_until(lambda: state_of(frozen.pid) == "T", 30, "the worker stops at its failpoint")
    begun = time.monotonic()
    other = attack.hire("other")
    assert attack.client("wait", 60) == 0, "the other worker finishes everything"
    took = time.monotonic() - begun
    frozen.send_signal(signal.SIGCONT)
    wait_until(lambda: "goes on under a new id" in attack.heard("frozen")
               or "another owner has gone on" in attack.heard("frozen"), 20,
               "the frozen worker finds that its runs were taken")
    finish(attack, [frozen, other])
    return "the runs of the frozen worker were finished after", took


def inside(attack, end):
    frozen = attack.hire("frozen", "sqlite.in_transaction=stop@20")
    wait_until(lambda: "works on" in attack.heard("frozen") or state_of(frozen.pid) == "T", 20,
               "the worker starts")
    other = attack.hire("other")
    time.sleep(0.5)
    feeding = subprocess.Popen([f"{attack.bin}/attack_client", attack.journal, "start", "0",
                                str(RUNS_OF_EACH)],
                               stderr=open(f"{attack.folder}/feeding.log", "w"))
    wait_until(lambda: state_of(frozen.pid) == "T", 30, "the worker stops in its transaction")
    named = lambda: any(str(frozen.pid) in attack.heard(name) for name in ("other", "feeding"))
    wait_until(named, 25, "who waits names the holder of the lock")
    print("the holder was named")
    frozen.send_signal(end)
    begun = time.monotonic()
    assert feeding.wait(timeout=30) == 0, "the starts go on by themselves"
    if end == signal.SIGKILL:
        frozen.wait()
        frozen = attack.hire("next")
    assert attack.client("wait", 60) == 0
    took = time.monotonic() - begun
    finish(attack, [frozen, other])
    return "all was finished, once the lock was free, after", took


def finish(attack, workers):
    said = lambda: "".join(attack.heard(name[:-4]) for name in os.listdir(attack.folder)
                           if name.endswith(".log") and name != "mix.log")
    for worker in workers:
        wait_until(lambda: worker.poll() is not None or f"as process {worker.pid} " in said(), 30,
                   "the worker has a handler for SIGTERM")
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        code = worker.wait(timeout=30)
        assert code in (0, -signal.SIGKILL), f"a worker ended with {code}"
    freezes = 1
    assert attack.client("check", RUNS_OF_EACH, f"{attack.folder}/mix.log", freezes) == 0


def main():
    with tempfile.TemporaryDirectory(prefix="fermata-freeze-") as folder:
        attack = Attack(folder, sys.argv[1])
        try:
            if sys.argv[2] == "outside":
                what, took = outside(attack)
            else:
                what, took = inside(
                    attack, signal.SIGKILL if "death" in sys.argv[3:] else signal.SIGCONT)
            print(f"{what} {took:.1f} s")
            keep("_".join(["freeze", *sys.argv[2:]]), 0, rounds=1, faults=1, acked=RUNS_OF_EACH * 6,
                 lost=0, repeated=0, worst_recovery_ms=round(took * 1000))
            return 0
        except BaseException:
            for name in os.listdir(folder):
                if name.endswith(".log") and name != "mix.log":
                    print(f"---- {name}\n{open(os.path.join(folder, name)).read()[-3000:]}")
            for worker in attack.hired:
                if worker.poll() is None:
                    worker.kill()
            raise


if __name__ == "__main__":
    sys.exit(main())
