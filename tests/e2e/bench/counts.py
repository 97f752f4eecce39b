#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds counts of what a run costs against bounds.py.

    counts.py sqlite|postgres FERMATA_BENCH        # postgres: beneath scripts/with_postgres.sh
    counts.py allocations COUNT_STEPS
    counts.py instructions COUNT_STEPS FERMATA_BENCH
"""
import json
import re
import shutil
import subprocess
import sys
import tempfile

from bounds import BOUNDS

SKIPPED = 77
# Two at a time are taken from each other: what a program begins and ends with isn't in it.
RUNS_PROFILED = (5, 30)
STEPS_PER_RUN = 10
REPLAYS_PROFILED = (2, 4)
REPLAY = "W8 --on sqlite --events 10000 --runs 1 --repeat".split()  # one history of 10,000 events, one of 65
EVENTS_PER_REPLAY = 10_065


def said(*command):
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, f"{command}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
    return ran


def of_bench(program, store):
    sizes = "--seconds 1 --repeat 1 --in-flight 64 --idle 8".split()
    lines = [json.loads(one) for one in said(program, "W1", "W2", "W2-across", "W12", *sizes, "--on", store).stdout.splitlines()]
    return {line["workload"]: line for line in lines}


def allocations(program):
    with tempfile.TemporaryDirectory(prefix="fermata-counts-") as folder:
        return {"memory": json.loads(said(program, "200").stdout),
                "sqlite": json.loads(said(program, "50", folder).stdout)}


def instructions_of_one(program, arguments, often):
    """What one more round of the program takes, by callgrind; its last argument says how many."""
    counted = []
    with tempfile.TemporaryDirectory(prefix="fermata-counts-") as folder:
        bare = folder + "/bare"
        said("strip", "-o", bare, program)  # valgrind 3.19 gives up on clang 19's debug information
        for rounds in often:
            told = said("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bare, *arguments, str(rounds)).stderr
            counted.append(int(re.search(r"Collected : (\d+)", told)[1]))
    return (counted[1] - counted[0]) / (often[1] - often[0])


def instructions(count_steps, bench):
    if shutil.which("valgrind") is None:
        print("SKIPPED: valgrind isn't installed (scripts/setup.sh): instructions aren't bounded here")
        sys.exit(SKIPPED)
    return {"memory": {"instructions_per_step": instructions_of_one(count_steps, [], RUNS_PROFILED) / STEPS_PER_RUN},
            "W8": {"instructions_per_event": instructions_of_one(bench, REPLAY, REPLAYS_PROFILED) / EVENTS_PER_REPLAY}}


def main():
    where, *programs = sys.argv[1:]
    measure = {"allocations": allocations, "instructions": instructions}.get(where)
    found = measure(*programs) if measure else of_bench(*programs, where)
    wrong = 0
    for _, what, value, least, most, reason in (one for one in BOUNDS if one[0] == where):
        is_now = eval(value, {}, found[what])  # a column, or a sum of columns
        within = least <= is_now <= most
        wrong += not within
        print(f"{'' if within else 'WRONG: '}{where} {what}: {value} is {is_now:,.2f}, allowed are {least:,} to {most:,} ({reason})")
    if wrong:
        print(json.dumps(found))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
