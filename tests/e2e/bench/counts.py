#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds counts of what a run costs against bounds.py.

    counts.py sqlite|postgres FERMATA_BENCH        # postgres: beneath scripts/with_postgres.sh
    counts.py allocations|instructions COUNT_STEPS
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


def instructions(program):
    if shutil.which("valgrind") is None:
        print("SKIPPED: valgrind isn't installed (scripts/setup.sh): instructions a step aren't bounded here")
        sys.exit(SKIPPED)
    counted = []
    with tempfile.TemporaryDirectory(prefix="fermata-counts-") as folder:
        bare = folder + "/bare"
        said("strip", "-o", bare, program)  # valgrind 3.19 gives up on clang 19's debug information
        for runs in RUNS_PROFILED:
            told = said("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bare, str(runs)).stderr
            counted.append(int(re.search(r"Collected : (\d+)", told)[1]))
    steps = (RUNS_PROFILED[1] - RUNS_PROFILED[0]) * STEPS_PER_RUN
    return {"memory": {"instructions_per_step": (counted[1] - counted[0]) / steps}}


def main():
    where, program = sys.argv[1:]
    measure = {"allocations": allocations, "instructions": instructions}.get(where)
    found = measure(program) if measure else of_bench(program, where)
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
