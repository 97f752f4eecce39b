# SPDX-License-Identifier: Apache-2.0
"""What an attack has shown: see README.md.

    evidence.py FILE NAME STATUS SECONDS DESCRIPTION COMMAND    of scripts/soak.sh, once an attack is over: a
                                         line in FILE, with what it has kept in NAME.counts beside it
"""

import json
import os
import pathlib
import subprocess
import sys
import time

SKIPPED = 77  # the exit status of what can't be attacked here


def keep(attack, seed, **counts):
    """Appends a line to the file at FERMATA_EVIDENCE, if that is set; counts are whole numbers."""
    where = os.environ.get("FERMATA_EVIDENCE")
    if not where:
        return
    line = {"attack": attack, "seed": str(seed), "at": int(time.time()), "counts": counts}
    with open(where, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def commit():
    """Which source it was; with a "+" when that has been changed since."""
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    return (git("rev-parse", "--short=9", "HEAD") or "unknown") + ("+" if changed else "")


def record(file, name, status, seconds, description, command):
    file = pathlib.Path(file)
    log = file.with_name(f"{name}.log").read_text(errors="replace").splitlines()
    skipped = int(status) == SKIPPED or any(line.startswith("SKIPPED") for line in log[-1:])
    line = {"name": name, "status": "skipped" if skipped else "failed" if int(status) else "passed",
            "at": int(time.time()), "took_s": int(seconds), "commit": commit(), "cpus": os.cpu_count(),
            "description": description, "command": command,
            "kept": lines(file.with_name(f"{name}.counts"))}
    with open(file, "a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    record(*sys.argv[1:])
