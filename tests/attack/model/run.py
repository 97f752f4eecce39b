#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py [--long]: checks protocol.pml with spin. As it is, every property must hold; with a -D that takes
one protection away, the property that needs it must be found violated. docs/model.md tells of them."""

import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from evidence import keep  # noqa: E402

MODEL = HERE / "protocol.pml"
PREPROCESSOR = "-Pclang-19 -E -x c"
SMALL = "NO_OPERATOR SAID_ONCE"
STUCK = "every run ends"

RIGHT = [
    "FAULTS=0 LOSSES=1",
    f"FAULTS=1 LOSSES=1 {SMALL}",
    f"FAULTS=1 LOSSES=1 {SMALL} TWO_PHASES",
    f"FAULTS=1 LOSSES=1 {SMALL} LIVENESS",
]
LONG = [
    "FAULTS=1 LOSSES=1",
    "FAULTS=1 LOSSES=1 TWO_PHASES",
    f"FAULTS=1 LOSSES=2 {SMALL}",
    f"FAULTS=1 LOSSES=2 {SMALL} TWO_PHASES",
    "FAULTS=0 LOSSES=1 LIVENESS",
    f"FAULTS=0 LOSSES=2 {SMALL} LIVENESS",
]
WRONG = [
    (f"NO_EPOCH_CHECK FAULTS=1 LOSSES=0 {SMALL}", "no event by an older epoch"),
    (f"NO_DEAD_CHECK FAULTS=0 LOSSES=1 {SMALL}", "no event by who was marked dead"),
    ("NO_PREDECESSOR FAULTS=0 LOSSES=0", "acknowledged, so there"),
    ("NO_UNIQUE_POSITION FAULTS=0 LOSSES=0 TWO_PHASES", "no event by an older epoch"),
    (f"ACK_BEFORE_COMMIT FAULTS=1 LOSSES=0 {SMALL}", "acknowledged, so there"),
    (f"RESEND_ANEW FAULTS=1 LOSSES=0 {SMALL}", "nothing is recorded twice"),
    (f"CLAIM_WITHOUT_EPOCH FAULTS=0 LOSSES=1 {SMALL}", "one owner an epoch; epochs rise"),
    (f"PARK_WITHOUT_LOOKING FAULTS=0 LOSSES=0 {SMALL}", "no parked run has an unread message"),
    ("NO_LEDGER FAULTS=0 LOSSES=0 NO_OPERATOR", "a message is in one place"),
    ("GIVE_BACK_CLAIMED FAULTS=1 LOSSES=0", "nobody gives back what he works on"),
    (f"RESCUE_WITHOUT_MARK FAULTS=0 LOSSES=1 {SMALL} TWO_PHASES", "no event by an older epoch"),
    (f"LEAVE_BESIDE_APPENDS FAULTS=0 LOSSES=1 {SMALL} TWO_PHASES", "no event by an older epoch"),
    (f"RESCUE_ONCE FAULTS=0 LOSSES=2 {SMALL}", STUCK),
    (f"RESCUE_ONCE FAULTS=0 LOSSES=2 {SMALL} LIVENESS", STUCK),
    (f"FORGET_LOST_CLAIMS FAULTS=1 LOSSES=0 {SMALL} LIVENESS", STUCK),
]


def run(command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.stdout


def property_at(trail):
    """The comment on the line of the assertion that failed."""
    where = re.search(r"protocol\.pml:(\d+), Error: assertion violated", trail)
    if not where:
        return "an assertion"
    line = MODEL.read_text(encoding="utf-8").splitlines()[int(where[1]) - 1]
    words = re.search(r"/\* (.*) \*/", line)
    return words[1] if words else line.strip()


def check(flags):
    """(what is violated, or empty; states)"""
    large = flags in (*RIGHT, *LONG)  # those that are found wrong take longer to compile than to search
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(MODEL, folder)  # the trail is looked for beside it
        defines = ["-D" + flag for flag in flags.split()]
        said = run(["spin", PREPROCESSOR, "-a", *defines, MODEL.name], folder)
        live = "LIVENESS" in flags
        for_pan = ["-DNFAIR=3"] if live else ["-DSAFETY"]
        speed = "-O1" if large else "-O0"
        compiled = run(["clang-19", speed, "-w", "-DCOLLAPSE", *for_pan, "-o", "pan", "pan.c"], folder)
        if not (pathlib.Path(folder) / "pan").exists():
            sys.exit(f"model: {flags}: spin and clang said:\n{said}{compiled}")
        found = run(["./pan", "-m100000", *(["-a", "-f"] if live else [])], folder)
        states = re.search(r"(\d+) states, stored", found)
        if not states or "max search depth too small" in found:
            sys.exit(f"model: {flags}: the search isn't complete:\n{found}")
        violated = ""
        if re.search(r"acceptance cycle|invalid end state", found.split("Full statespace")[0]):
            violated = STUCK
        elif "assertion violated" in found:
            trail = run(["spin", PREPROCESSOR, "-t", *defines, MODEL.name], folder)
            violated = property_at(trail)
        elif "errors: 0" not in found:
            violated = "something"
        if violated and large:
            print(run(["spin", PREPROCESSOR, "-t", "-p", *defines, MODEL.name], folder))
        return violated, int(states[1])


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--long", action="store_true", help="more faults at once; some minutes, 2 GB")
    wanted = parse.parse_args()
    right = RIGHT + (LONG if wanted.long else [])
    jobs = [(flags, "") for flags in right] + WRONG
    print("model: no seed, all states", flush=True)
    wrong = states_all = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for (flags, expected), (found, states) in zip(jobs, pool.map(check, [j[0] for j in jobs])):
            what = f"violated: {found}" if found else f"holds, {states:,} states"
            ok = found == expected
            if not ok:
                what += f", but {expected or 'it must hold'}"
                wrong += 1
            states_all += 0 if expected else states
            print(f"{'ok  ' if ok else 'FAIL'} {flags}: {what}", flush=True)
    if wrong:
        sys.exit(f"model: {wrong} of {len(jobs)} searches went wrong")
    keep("model", "none", rounds=len(right), states=states_all, variants=len(WRONG))
    print(f"model: it holds in {states_all:,} states; {len(WRONG)} variants are found wrong")


main()
