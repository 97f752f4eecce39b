#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole functional suite on a store whose commits are refused, find it full, or are made and seem not to
be, one in a hundred each (attack 3; worker/testing/trouble.hpp): every scenario ends as it should. ctest has
one seed of it (semantics_*_faulty); this takes many.

    faulty.py BIN_FOLDER [--rounds 50] [--seed N]
"""
import argparse
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from evidence import keep  # noqa: E402
from suites import SUITES, carry_out  # noqa: E402


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
            ended = carry_out(suite, asked.bin, FERMATA_KIT_FAULTS=f"10:{seed}")
            if ended is None:
                return 1
            met = re.search(r"commits met (\d+) faults", ended[1])
            assert met, f"semantics_{suite} doesn't say how many faults it met:\n{ended[1]}"
            scenarios, faults = scenarios + ended[0], faults + int(met[1])
    print(f"{asked.rounds} seeds: {scenarios} scenarios met {faults} faults, and ended as they should")
    keep("faulty", asked.seed, rounds=scenarios, faults=faults)
    return 0


if __name__ == "__main__":
    sys.exit(main())
