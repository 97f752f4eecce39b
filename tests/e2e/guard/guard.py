#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A worker whose loop is held up doesn't hold up its runs for ever.

guard.py FERMATA WORKER runaway|stuck"""

import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import line_of, run_all  # noqa: E402

FERMATA, WORKER, PART = sys.argv[1:4]
SOURCE = pathlib.Path(__file__).parent / "worker.cpp"
RUNAWAY_ENDS = 70
GOOD = [f"good{n}" for n in range(8)]
shortened = os.environ.get("FERMATA_HAS_FAILPOINTS") == "1"


def heard(at):
    return (at.folder / "worker.log").read_text()


def code_that_spins_is_warned_of_and_then_ends_its_worker_and_is_quarantined(at):
    at.env["FERMATA_BOUND"] = "runaway_code_ms=2000"
    at.dismiss(at.hire(WORKER))
    for key in [*GOOD[:4], "endless", *GOOD[4:]]:
        at("start", "spins" if key == "endless" else "plain", "1", "--key", key, "--unchecked")

    ended = []

    def quarantined():
        for one in [w for w in at.workers if w.poll() is not None]:
            at.workers.remove(one)
            ended.append(one.returncode)
        if not at.workers:
            at.hire(WORKER)
        return at.json("show", "endless")["run"]["attention"] == "quarantined"

    at.until(quarantined)
    assert ended == [RUNAWAY_ENDS] * 3, ended
    where = line_of(SOURCE, "it spins after this")
    warned = re.findall(rf"after {re.escape(where)} has run for (\d+) ms", heard(at))
    assert len(warned) == 3 and 1000 <= min(map(int, warned)) < 1500, heard(at)
    assert heard(at).count(f"after {where} didn't come back for 2 s") == 3, heard(at)
    # Handed back, not rescued: nobody had to find out.
    assert "is gone" not in heard(at), heard(at)
    for key in GOOD:
        assert at.result(key).strip() == "2"
    notes = [e for e in at.json("show", "endless")["events"] if e["kind"] == "attempt_crashed"]
    assert len(notes) == 3, notes
    assert "the workflow's own code took its worker down 3 times" in at("explain", "endless")

    (at.folder / "mended").touch()
    at("retry", "endless")
    assert at.result("endless").strip() == "2"
    assert "all is sound" in at("verify")


def the_replay_of_code_that_awaits_often_is_no_runaway(at):
    at.env["FERMATA_BOUND"] = "runaway_code_ms=2000"
    worker = at.hire(WORKER)
    at("start", "thinks", "0", "--key", "t", "--unchecked")
    at.waits_for("t", "waits_for_signal")
    at.dismiss(worker)

    worker = at.hire(WORKER)
    at("signal", "t", "go_on", "true")
    assert at.result("t").strip() == "8"
    assert worker.poll() is None
    assert "without awaiting" not in heard(at), heard(at)


def a_loop_that_hangs_outside_of_code_loses_its_runs_with_its_lease(at):
    at.dismiss(at.hire(WORKER))
    at("start", "talks", "1", "--key", "t", "--unchecked")
    stuck = subprocess.Popen([WORKER], env=at.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    at.workers.append(stuck)
    at.until(lambda: at.json("show", "t")["events"])
    time.sleep(0.5)

    at.hire(WORKER)
    assert at.result("t").strip() == "2"
    assert stuck.poll() is None
    assert f"(pid {stuck.pid}) is gone" in heard(at), heard(at)
    stuck.kill()


if __name__ == "__main__":
    run_all(
        FERMATA,
        {
            "runaway": [
                code_that_spins_is_warned_of_and_then_ends_its_worker_and_is_quarantined,
                the_replay_of_code_that_awaits_often_is_no_runaway,
            ]
            if shortened
            else [],  # half a minute each time, without the knob
            "stuck": [a_loop_that_hangs_outside_of_code_loses_its_runs_with_its_lease],
        }[PART],
        sys.argv[4:],
    )
