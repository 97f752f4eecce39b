#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole functional suite on Postgres, each scenario kept, evicted after each event, and crashed before and after
each of its events. ctest tries a third of these crashes (semantics_*_postgres).

    scripts/with_postgres.sh scenarios.py BIN_FOLDER [SUITE...]
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from evidence import keep  # noqa: E402

SUITES = ("waits", "saga", "steps", "remote", "client", "samples", "retry", "fuzz")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin", type=pathlib.Path)
    arguments.add_argument("suites", nargs="*", default=SUITES)
    asked = arguments.parse_args()
    scenarios = 0
    environment = dict(os.environ, FERMATA_KIT_STORE="postgres")
    environment.pop("FERMATA_EVIDENCE", None)  # semantics_fuzz keeps some of its own
    for suite in asked.suites:
        began = time.monotonic()
        ran = subprocess.run([asked.bin / f"semantics_{suite}"], capture_output=True, text=True,
                             env=environment)
        cases = re.search(r"test cases: +(\d+)", ran.stdout)
        if ran.returncode != 0 or not cases:
            print(f"semantics_{suite} ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-6000:]}")
            return 1
        scenarios += int(cases[1])
        print(f"{suite}: {cases[1]} scenarios ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{scenarios} scenarios, crashed before and after each of their events, ended as they should")
    keep("scenarios", 0, rounds=scenarios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
