#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills a worker that owns more runs than one claim takes or one transaction releases, as fermata-bench W9 does:
once while another stands by, once before another is started. Each run must end, each step must be there, and
only those that were under way may begin again.

    many.py BIN_FOLDER [--runs 20000] [--rounds 1]
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests/attack"))
from evidence import keep  # noqa: E402

NOTHING = ("lost_runs", "lost_steps", "repeated_beyond")
STEPS = 10


def kills(asked, store):
    words = [f"{asked.bin}/fermata-bench", "W9", "--on", store, "--runs", str(asked.runs), "--json"]
    if store == "postgres":
        words.insert(0, str(ROOT / "scripts/with_postgres.sh"))
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=900)
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}"
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 2, done.stdout
    return lines


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=1)
    asked = arguments.parse_args()
    faults, worst = 0, 0
    for _ in range(asked.rounds):
        for store in ("sqlite", "postgres"):
            for line in kills(asked, store):
                faults += 1
                worst = max(worst, line["first_progress_ms"])
                print(f"{store}, goes on by {line['goes_on']}: {line['in_flight']:.0f} in flight, first progress after "
                      f"{line['first_progress_ms']:.0f} ms, all owned after {line['all_owned_ms']:.0f} ms", flush=True)
                assert not any(line[name] for name in NOTHING), line
    runs = faults * asked.runs
    print(f"{faults} kills of a worker with {asked.runs} runs: all is well; "
          f"first progress after at most {worst:.0f} ms")
    keep("many", 0, rounds=faults, faults=faults, acked=runs * (1 + STEPS), lost=0, repeated=0,
         worst_recovery_ms=round(worst))


if __name__ == "__main__":
    sys.exit(main())
