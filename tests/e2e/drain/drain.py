#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A worker that is asked to end: what it finishes, what it gives back, and how fast.

drain.py FERMATA WORKER"""

import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import run_all  # noqa: E402

FERMATA, WORKER = sys.argv[1:3]


def said(at):
    log = at.folder / "log"
    return log.read_text().splitlines() if log.exists() else []


def let_end(at, *names):
    for name in names:
        (at.folder / name).touch()


def start(at, workflow, name):
    at("start", workflow, f'"{name}"', "--key", name, "--unchecked")


def ask_to_end(worker, how=signal.SIGTERM):
    worker.send_signal(how)
    return time.monotonic()


def has_ended(at, worker, within):
    """In peace, and in time."""
    assert worker.wait(timeout=within) == 0, f"the worker ended with {worker.returncode}"
    at.workers.remove(worker)


def kinds(at, run):
    return [one["kind"] for one in at.json("show", run)["events"]]


def an_idle_worker_ends_at_once(at):
    for how in (signal.SIGTERM, signal.SIGINT):
        worker = at.hire(WORKER)
        start(at, "doze", f"sleeper{how}")
        at.until(lambda: at.reason(f"sleeper{how}") == "sleeps")
        ask_to_end(worker, how)
        has_ended(at, worker, within=2)


def attempts_in_flight_end_and_nothing_new_begins(at):
    worker = at.hire(WORKER, "--concurrency", "2")
    for name in "abc":
        start(at, "listen_twice", name)
    at.until(lambda: len(said(at)) == 2)
    in_flight = sorted(line.removeprefix("begin ") for line in said(at))
    ask_to_end(worker)
    start(at, "listen_twice", "late")
    time.sleep(0.3)
    assert worker.poll() is None, "it went although attempts were in flight"
    let_end(at, *in_flight)
    has_ended(at, worker, within=5)

    assert sorted(said(at)) == sorted(f"{what} {one}" for what in ("begin", "end")
                                      for one in in_flight), said(at)
    for one in in_flight:
        assert "step_completed" in kinds(at, one[0]), kinds(at, one[0])
    assert at.json("show", "late")["run"]["state"] == "waiting_to_start"

    # What was given back is there for the next, and nothing is done twice.
    let_end(at, *(f"{run}{n}" for run in ("a", "b", "c", "late") for n in (1, 2)))
    at.hire(WORKER)
    begun = time.monotonic()
    for run in ("a", "b", "c", "late"):
        assert at.result(run).strip() == f'"{run}1{run}2"'
    assert time.monotonic() - begun < 5, "its runs were only taken when its lease had ended"
    assert len(said(at)) == len(set(said(at))) == 16, said(at)


def after_the_grace_time_attempts_are_told_to_stop_and_given_back(at):
    worker = at.hire(WORKER, "--drain-grace", "300ms")
    start(at, "listen_twice", "a")
    at.until(lambda: said(at) == ["begin a1"])
    asked = ask_to_end(worker)
    has_ended(at, worker, within=3)
    assert time.monotonic() - asked > 0.3
    assert said(at) == ["begin a1", "stop a1"], said(at)
    assert kinds(at, "a") == ["run_started"], "the attempt failed, instead of being given back"

    let_end(at, "a1", "a2")
    at.hire(WORKER)
    assert at.result("a").strip() == '"a1a2"'


def a_step_that_doesnt_listen_holds_nobody_longer_than_the_grace_time(at):
    worker = at.hire(WORKER, "--drain-grace", "300ms")
    start(at, "insist_once", "a")
    at.until(lambda: said(at) == ["begin a"])
    ask_to_end(worker)
    has_ended(at, worker, within=4)

    let_end(at, "a")
    at.hire(WORKER)
    begun = time.monotonic()
    assert at.result("a").strip() == '"a"'
    assert time.monotonic() - begun < 5, "its run was only taken when its lease had ended"
    assert said(at) == ["begin a", "begin a", "end a"], said(at)


def a_second_signal_ends_it_at_once_and_its_runs_go_on_elsewhere(at):
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        name = f"{first.name}{second.name}"
        worker = at.hire(WORKER, "--drain-grace", "60s")
        start(at, "insist_once", name)
        at.until(lambda: f"begin {name}" in said(at))
        ask_to_end(worker, first)
        time.sleep(0.3)
        assert worker.poll() is None, "it went although an attempt was in flight"
        ask_to_end(worker, second)
        has_ended(at, worker, within=3)

        let_end(at, name)
        other = at.hire(WORKER)
        begun = time.monotonic()
        assert at.result(name).strip() == f'"{name}"'
        assert time.monotonic() - begun < 5, "its run was only taken when its lease had ended"
        at.dismiss(other)
    assert "all is sound" in at("verify")


if __name__ == "__main__":
    run_all(
        FERMATA,
        [
            an_idle_worker_ends_at_once,
            attempts_in_flight_end_and_nothing_new_begins,
            after_the_grace_time_attempts_are_told_to_stop_and_given_back,
            a_step_that_doesnt_listen_holds_nobody_longer_than_the_grace_time,
            a_second_signal_ends_it_at_once_and_its_runs_go_on_elsewhere,
        ],
        sys.argv[3:],
    )
