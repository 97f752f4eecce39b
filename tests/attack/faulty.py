#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole functional suite on a store whose commits are refused, find it full, or are made and seem not to
be, one in a hundred each (attack 3; worker/testing/trouble.hpp): every scenario ends as it should. ctest has
one seed of it (semantics_*_faulty); this takes many.

    faulty.py BIN_FOLDER [--rounds 50] [--seed N]
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from evidence import keep  # noqa: E402

SUITES = ("waits", "saga", "steps", "remote", "client", "samples", "retry")


def carry_out(suite, seed, bin_folder):
    """How many scenarios ended well, and how many faults they met; None when one didn't."""
    ran = subprocess.run([bin_folder / f"semantics_{suite}"], capture_output=True, text=True,
                         env=dict(os.environ, FERMATA_KIT_FAULTS=f"10:{seed}"))
    cases = re.search(r"test cases: +(\d+)", ran.stdout)
    faults = re.search(r"commits met (\d+) faults", ran.stderr)
    if ran.returncode != 0 or not cases or not faults:
        print(f"FERMATA_KIT_FAULTS=10:{seed} semantics_{suite} ended with {ran.returncode}:\n"
              f"{(ran.stdout + ran.stderr)[-6000:]}", flush=True)
        return None
    return int(cases[1]), int(faults[1])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=50, help="seeds")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    print(f"seed {asked.seed}, {asked.rounds} of them", flush=True)
    scenarios = faults = 0
    for seed in range(asked.seed, asked.seed + asked.rounds):
        for suite in SUITES:
            met = carry_out(suite, seed, asked.bin)
            if met is None:
                return 1
            scenarios, faults = scenarios + met[0], faults + met[1]
    print(f"{asked.rounds} seeds: {scenarios} scenarios met {faults} faults, and ended as they should")
    keep("faulty", asked.seed, rounds=scenarios, faults=faults)
    return 0


if __name__ == "__main__":
    sys.exit(main())
