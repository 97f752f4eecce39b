#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fields come and go under running workflows, and they go on.

types.py FERMATA OLD NEW"""

import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import run_all  # noqa: E402

FERMATA, OLD, NEW = sys.argv[1:4]


def begin(at, worker, key, start):
    """A run that this worker brings to where it waits, with its child."""
    if start is None:
        subprocess.run([worker, "start", at.journal, key, "990"], check=True)
    else:
        at("start", "sell", start, "--key", key)
    for run in (key, f"wrap/wrap-{key}"):
        at.until(lambda: "signal 'reviewed'" in at("explain", run))


def review(at, key, said):
    # The child first: it is terminated when its parent fails.
    at("signal", f"wrap/wrap-{key}", "reviewed", said)
    at("signal", key, "reviewed", said)


def read(at, program, key):
    ran = subprocess.run([program, "read", at.journal, key], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def check(at, program, key, wanted):
    found = read(at, program, key)
    assert found == wanted, f"\nfound  {found}\nwanted {wanted}"


def refunded(at, wanted):
    found = (at.folder / "refunds").read_text()
    assert found == wanted + "\n", f"{found!r}, not {wanted!r}"


def deploy(at, before, after, how):
    at.dismiss(before, how)
    return at.hire(after)


def old_runs_are_finished_by_new_workers(at):
    worker = at.hire(OLD)
    begin(at, OLD, "a", '{"id":"a","cents":990,"coupon":"x"}')
    begin(at, OLD, "b", None)
    begin(at, OLD, "c", '{"id":"c","cents":990}')
    deploy(at, worker, NEW, signal.SIGTERM)
    for key in "ab":
        review(at, key, '{"approved":true,"stars":5}')
    review(at, "c", '{"approved":false,"stars":1}')

    for key in "ab":
        text = (
            f"{key}/no currency c1-{key}/-1 {key}/0 5 c2-{key}/2 {key}/0 "
            f"[wrap {key}/no currency c1-{key}/-1 5/2]"
        )
        check(at, NEW, key, f"{text}/2")
        check(at, OLD, key, f"{text}/no note")  # a client that wasn't deployed yet
    at.result("c", code=1)
    refunded(at, "v2 refunds 990 c/1")  # as it was registered by the old one


def new_runs_are_finished_by_old_workers(at):
    worker = at.hire(NEW)
    begin(at, NEW, "a", '{"id":"a","cents":990,"currency":"USD"}')
    begin(at, NEW, "b", None)
    begin(at, NEW, "c", '{"id":"c","cents":990}')
    deploy(at, worker, OLD, signal.SIGKILL)
    for key in "ab":
        review(at, key, '{"approved":true,"by":"ada"}')
    review(at, "c", '{"approved":false}')

    for key in "ab":
        text = (
            f"{key}/no coupon c2-{key}/no terminal {key}/ ada c1-{key}/terminal-1 {key}/ "
            f"[wrap {key}/no coupon c2-{key}/no terminal ada/note-1]"
        )
        check(at, OLD, key, f"{text}/note-1")
        check(at, NEW, key, f"{text}/-1")
    at.result("c", code=1)
    refunded(at, "v1 refunds 990 c/no till")


def both_versions_share_the_runs_while_a_deploy_rolls(at):
    keys = [f"k{n}" for n in range(8)]
    first = at.hire(OLD)
    for key in keys[:4]:
        begin(at, OLD, key, None)
    at.hire(NEW)
    for key in keys[4:]:
        begin(at, NEW, key, None)
    for key in keys[::2]:
        review(at, key, '{"approved":true}')
    at.dismiss(first)
    for key in keys[1::2]:
        review(at, key, '{"approved":true}')
    for key in keys:
        assert read(at, NEW, key).startswith(f"{key}/no c"), read(at, NEW, key)
    assert "all is sound" in at("verify")


if __name__ == "__main__":
    run_all(
        FERMATA,
        [
            old_runs_are_finished_by_new_workers,
            new_runs_are_finished_by_old_workers,
            both_versions_share_the_runs_while_a_deploy_rolls,
        ],
        sys.argv[4:],
    )
