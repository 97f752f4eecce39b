#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an idle fleet asks its database: statements per hour and worker, counted from the server's log.

    idle.py BIN_FOLDER [--workers 4] [--seconds 25] [--parked 20]

Idle: no run is owned; `--parked` runs wait for a signal, as they do in a fleet that is in use.
"""
import argparse
import collections
import pathlib
import re
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, keep, show_logs  # noqa: E402
from server import Server  # noqa: E402

# Each 30 s a worker looks for work, and each 15 s (a lease) for the dead and what they left, by a statement
# each; one that owns nothing has no lease to renew. With some room: more is a mistake.
IDLE_POLL = 30
STATEMENTS_MAX = 4


def settle(fleet, asked):
    fleet.hire_all(asked.workers)
    for number in range(asked.parked):
        fleet("start", "signals", '{"number":1,"size":1}', "--key", f"parked-{number}")
    for number in range(asked.parked):
        fleet.until(lambda n=number: fleet.json("explain", f"parked-{n}")["reason"]
                    == "waits_for_signal", "a run waits")
    time.sleep(5)


def statements(text):
    """(verb, beginning) of each that a worker sent; `script` are several in one."""
    for said in re.findall(r"^fermata\|LOG:  (?:execute [^:]+|statement): (.*(?:\n\t.*)*)", text, re.M):
        words = " ".join(said.split())
        yield words.split(" ")[0].rstrip(";").upper(), words


def report(found, asked):
    hour = 3600 / asked.seconds / asked.workers
    verbs = collections.Counter(verb for verb, _ in found)
    print(f"{asked.workers} idle workers, {asked.parked} parked runs, {asked.seconds} s: "
          f"{len(found) * hour:.0f} statements an hour and worker: "
          + ", ".join(f"{verb} {count * hour:.0f}" for verb, count in verbs.most_common()), flush=True)
    for words, count in collections.Counter(words for _, words in found).most_common():
        print(f"{count * hour:8.0f}  {words[:150]}", flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--workers", type=int, default=4)
    arguments.add_argument("--seconds", type=float, default=25)
    arguments.add_argument("--parked", type=int, default=20)
    asked = arguments.parse_args()
    server = Server(options="log_line_prefix=%a|").start().create()
    with tempfile.TemporaryDirectory(prefix="fermata-idle-") as folder:
        fleet = Fleet(asked.bin, server.address(), folder)
        try:
            settle(fleet, asked)
            server.set("log_statement", "'all'")
            time.sleep(1)
            before = len(server.said())
            time.sleep(asked.seconds)
            found = list(statements(server.said()[before:]))
            report(found, asked)
            assert {verb for verb, _ in found} <= {"SELECT", "WITH"}, "an idle worker wrote something"
            assert fleet.dismiss() == [0] * asked.workers
            most = STATEMENTS_MAX * asked.workers * (1 + asked.seconds // IDLE_POLL)
            assert len(found) < most, f"{len(found)} statements, at most {most} were expected"
            keep("fleet_idle", "none", rounds=asked.workers,
                 statements_an_hour_and_worker=round(len(found) * 3600 / asked.seconds / asked.workers))
            return 0
        except BaseException:
            show_logs(fleet)
            raise
        finally:
            fleet.close()
            server.remove()


if __name__ == "__main__":
    sys.exit(main())
