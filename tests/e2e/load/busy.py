#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two workers and the command `fermata` on one SQLite file under load: nobody sees a locked database,
every call ends as it should, no finished step is repeated.

    busy.py BIN_FOLDER [--seconds 15] [--callers 2] [--seed N]"""

import argparse
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driven import Place  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "attack"))
from evidence import keep  # noqa: E402

PER_FEED = 10
FORBIDDEN = re.compile(r"database is locked|database table is locked|SQLITE_BUSY|SQLITE_LOCKED|FER-2102|"
                       r"code 5\b|code 517\b|terminate called|Assertion", re.I)


class Load:
    def __init__(self, at, asked):
        self.at, self.asked = at, asked
        self.over = time.monotonic() + asked.seconds
        self.lock = threading.Lock()
        self.wrong, self.calls, self.own, self.slowest = [], {}, [], (0, "")
        self.fed = 0

    def complain(self, what):
        with self.lock:
            self.wrong.append(what)

    def call(self, *words, may=(0,)):
        """One call of the command; ends with one of these codes, and says nothing of locks."""
        begun = time.monotonic()
        ran = self.at(*words, code=None)
        took = time.monotonic() - begun
        said = ran.stdout + ran.stderr
        with self.lock:
            self.calls[words[0]] = self.calls.get(words[0], 0) + 1
            self.slowest = max(self.slowest, (took, words[0]))
        if ran.returncode not in may or FORBIDDEN.search(said):
            self.complain(f"fermata {' '.join(words)} ended with {ran.returncode}, not {may}:\n{said[-800:]}")
        return ran

    def caller(self, number):
        """Asks for this and that, as a person with many terminals."""
        chance = random.Random(self.asked.seed * 100 + number)
        count = 0
        while time.monotonic() < self.over and not self.wrong:
            count += 1
            key = f"c{number}-{count}"
            what = count % 7
            if what == 0:
                self.call("verify")
            elif what == 1:
                run = self.call("start", "signals", f'{{"number":{count},"size":3}}', "--key", key).stdout
                self.call("signal", f"signals/{key}", "go", "7")
                with self.lock:
                    self.own.append((f"signals/{key}", run.strip(), 2 * (count + 1) + 7))
            elif what == 2:
                self.call("list", "--state", chance.choice(("running", "completed", "failed")))
            elif what == 3:
                self.call("status")
            else:
                with self.lock:
                    key = chance.choice(self.own)[0] if self.own else None
                if key:
                    self.call({4: "show", 5: "explain", 6: "trace"}[what], key)

    def feeder(self):
        """Starts runs of all workflows by a client of its own, one batch after the other."""
        while time.monotonic() < self.over and not self.wrong:
            ran = subprocess.run([self.at.bin / "attack_client", f"sqlite:{self.at.file}", "start",
                                  str(self.fed), str(PER_FEED)], capture_output=True, text=True, timeout=120)
            self.fed += PER_FEED
            if ran.returncode != 0 or FORBIDDEN.search(ran.stdout + ran.stderr):
                self.complain(f"attack_client start ended with {ran.returncode}: {ran.stderr}")

    def client(self, *words):
        ran = subprocess.run([self.at.bin / "attack_client", f"sqlite:{self.at.file}", *map(str, words)],
                             capture_output=True, text=True, timeout=300)
        said = ran.stdout + ran.stderr
        if ran.returncode != 0 or FORBIDDEN.search(said):
            self.complain(f"attack_client {words[0]} ended with {ran.returncode}:\n{said[-3000:]}")
        return ran.stdout


def attack(at, asked):
    load = Load(at, asked)
    for name in ("one", "two"):
        at.hire("attack_worker", name)
    threads = [threading.Thread(target=load.caller, args=(n,)) for n in range(asked.callers)]
    threads.append(threading.Thread(target=load.feeder))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.client("wait", 120)
    for key, run, wanted in load.own:
        got = load.call("result", key, "--timeout", "30s").stdout.strip()
        if got != str(wanted):
            load.complain(f"{key} ({run}) gave {got}, not {wanted}")
    counts = load.client("check", load.fed, at.folder / "mix.log")
    for name in ("one", "two"):
        try:
            at.dismiss(name)
        except AssertionError as problem:
            load.complain(str(problem))
        for line in at.heard(name).splitlines():
            if FORBIDDEN.search(line) or " error " in line:
                load.complain(f"worker {name} says: {line}")
    if "all is sound" not in load.call("verify").stdout:
        load.complain("verify found something")
    for verb in ("list", "show", "status", "start", "signal", "explain", "verify"):
        if not load.calls.get(verb):
            load.complain(f"'{verb}' was never called: the test shows nothing of it")
    print(counts.strip())
    print(f"{load.fed * 5 + len(load.own)} runs, calls {load.calls}, "
          f"the slowest {load.slowest[1]} with {load.slowest[0]:.2f} s")
    if not load.wrong:
        keep("busy", asked.seed, rounds=sum(load.calls.values()), acked=load.fed * 5 + len(load.own),
             lost=number(counts, "missing"), repeated=number(counts, "repeated"))
    return load.wrong


def number(counts, word):
    return int(re.search(rf"(\d+) {word}", counts)[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--seconds", type=float, default=15)
    arguments.add_argument("--callers", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-load-") as folder:
        at = Place(folder, asked.bin)
        try:
            wrong = attack(at, asked)
        except BaseException:
            for name in ("one", "two"):
                print(f"---- {name}.log\n{at.heard(name)[-3000:]}" if name in at.workers else "")
            raise
        finally:
            at.end_all()
    for what in wrong:
        print(f"WRONG: {what}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
