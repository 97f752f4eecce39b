#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole functional suite on Postgres, each scenario kept, evicted after each event, and crashed before and after
each of its events; programs made by chance at some. ctest tries a third of these crashes (semantics_*_postgres).

    scripts/with_postgres.sh scenarios.py BIN_FOLDER [SUITE...]
"""
import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from evidence import keep  # noqa: E402
from suites import SUITES, carry_out  # noqa: E402


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin", type=pathlib.Path)
    arguments.add_argument("suites", nargs="*", default=[*SUITES, "fuzz"])
    asked = arguments.parse_args()
    scenarios = 0
    for suite in asked.suites:
        began = time.monotonic()
        ended = carry_out(suite, asked.bin, FERMATA_KIT_STORE="postgres")
        if ended is None:
            return 1
        scenarios += ended[0]
        print(f"{suite}: {ended[0]} scenarios ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{scenarios} scenarios ended as they should, with all their crashes")
    keep("scenarios", 0, rounds=scenarios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
