#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives the command `fermata` on a SQLite journal that a real worker uses.

drive.py FERMATA WORKER: each function named a_… is a test; its name is the sentence."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

FERMATA, WORKER = sys.argv[1], sys.argv[2]
ORDER = '{"id":"42","sku":"abc","cents":990}'


class Place:
    """A folder with a journal, a carrier that can be down, and perhaps a worker."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.down = self.folder / "carrier-down"
        self.env = dict(
            os.environ,
            FERMATA_JOURNAL=f"sqlite:{self.folder}/orders.db",
            CARRIER_DOWN=str(self.down),
            NO_COLOR="1",
        )
        self.worker = None

    def start_worker(self):
        with open(self.folder / "worker.log", "a") as log:
            self.worker = subprocess.Popen([WORKER], env=self.env, stdout=log, stderr=log)
        self.until(lambda: '"alive":true' in self("status", "-o", "jsonl", code=None).stdout)

    def stop_worker(self):
        if self.worker:
            self.worker.send_signal(signal.SIGTERM)
            self.worker.wait(timeout=30)
            self.worker = None

    def __call__(self, *arguments, code=0, stdin=None):
        ran = subprocess.run(
            [FERMATA, *arguments], env=self.env, input=stdin, capture_output=True, text=True, timeout=60
        )
        if code is not None:
            assert ran.returncode == code, f"{arguments} ended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def json(self, *arguments, code=0):
        return json.loads(self(*arguments, "-o", "json", code=code).stdout)

    def until(self, condition, limit=30):
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, "it didn't happen in time"
            time.sleep(0.05)

    def waits_for_review(self, run):
        self.until(lambda: self.json("explain", run)["reason"] == "waits_for_signal")


def a_missing_journal_is_not_made_by_looking(at):
    for verb in (["list"], ["status"], ["doctor"], ["verify"], ["sql", "select 1"]):
        ran = at(*verb, code=4)
        assert "[FER-2002]" in ran.stderr, ran.stderr
    assert not list(at.folder.glob("*")), list(at.folder.glob("*"))


def an_order_is_started_explained_signalled_and_shown(at):
    at.start_worker()
    run = at("start", "place_order", ORDER, "--key", "order-42").stdout.strip()
    at.waits_for_review("order-42")
    why = at("explain", "order-42").stdout
    assert "order-42 waits for signal 'reviewed'" in why and "orders_worker.cpp:" in why, why
    at("signal", "order-42", "reviewed", '{"approved":true}')
    result = at("result", "order-42", "--timeout", "30s").stdout
    assert json.loads(result) == {"order": "42/ch_1/bill-42", "tracking": "T-42"}
    shown = at("show", run).stdout
    for part in ("reserve_stock", "charge_card", "child done", "signal", "orders_worker.cpp:", "completed"):
        assert part in shown, (part, shown)
    assert "4111" not in shown and "‹sensitive" in shown, shown
    assert "4111" in at("show", run, "--reveal").stdout
    assert "order 42 came in" in at("logs", run).stdout
    tree = at("trace", "order-42").stdout
    assert "✓ bill run_" in tree and "✓ sleep" in tree, tree
    assert at("list", "--tag", "sku=abc", "-o", "ids").stdout.strip() == run
    assert "all is sound" in at("verify").stdout


def a_failed_run_is_retried_at_the_failed_step(at):
    at.start_worker()
    at.down.touch()
    at("start", "ship_order", ORDER, "--key", "order-42")
    failure = at("result", "order-42", "--timeout", "30s", code=1).stderr
    assert "no pickup today" in failure and "[FER-1100]" in failure, failure
    explained = at.json("explain", "order-42")
    assert explained["reason"] == "failed" and "fermata retry order-42" in explained["next"][1]
    at.down.unlink()
    again = at("retry", "order-42").stdout.strip()
    assert json.loads(at("result", again, "--timeout", "30s").stdout)["tracking"] == "T-42"
    events = at.json("show", again)["events"]
    names = [one["name"] for one in events if one["kind"] == "step_completed"]
    assert names == ["reserve_stock", "ship_parcel"], names


def cancel_runs_the_compensation_and_terminate_does_not(at):
    at.start_worker()
    for key in ("a", "b"):
        at("start", "place_order", ORDER, "--key", key)
        at.waits_for_review(key)
    at("cancel", "a", "--why", "customer called")
    at("result", "a", "--timeout", "30s", code=1)
    shown = at("show", "a").stdout
    assert "customer called" in shown and "undone" in shown and "release_stock" in shown, shown
    at("terminate", "b", "--why", "test data")
    shown = at("show", "b").stdout
    assert "terminated" in shown and "release_stock" in shown and "undone" not in shown, shown
    assert "[FER-1303]" in at("cancel", "b", code=3).stderr


def a_bulk_act_takes_ids_from_a_pipe_and_needs_a_yes(at):
    at("start", "place_order", ORDER, "--unchecked", "--key", "a")
    at("start", "place_order", ORDER, "--unchecked", "--key", "b")
    ids = at("list", "-o", "ids").stdout
    refused = at("terminate", "-", code=2, stdin=ids).stderr
    assert "terminate 2 runs: 2 waiting_to_start" in refused and "--yes" in refused, refused
    assert at("terminate", "-", "--yes", stdin=ids).stdout == ids
    assert at.json("status")["runs"]["terminated"] == 2


def a_wrong_input_is_refused_before_anything_is_written(at):
    at.start_worker()
    refused = at("start", "place_order", '{"id":42}', code=2).stderr
    assert "'id' is 42, it must be a string" in refused and "[FER-1305]" in refused, refused
    assert "did you mean 'place_order'" in at("start", "place_oder", code=4).stderr
    assert at("list", "-o", "ids").stdout == ""


def a_run_without_a_worker_says_so(at):
    at("start", "place_order", ORDER, "--unchecked", "--key", "order-42")
    assert at.json("explain", "order-42")["reason"] == "no_worker"
    at("result", "order-42", "--timeout", "100ms", code=5)


def the_journal_is_backed_up_queried_and_looked_after(at):
    at.start_worker()
    at("start", "place_order", ORDER, "--key", "order-42")
    at.waits_for_review("order-42")
    copy = at.folder / "copy.db"
    at("backup", str(copy))
    assert "[FER-4001]" in at("backup", str(copy), code=2).stderr
    rows = at.json("sql", "select workflow, state from fermata_runs order by 1")["rows"]
    assert {"workflow": "place_order", "state": "running"} in rows, rows
    assert at("sql", "delete from events", code=None).returncode != 0
    at("verify", "--journal", f"sqlite:{copy}")
    checks = {one["what"] for one in at.json("doctor")["checks"]}
    assert {"disk room", "write lock", "write-ahead log", "SQLite", "workers"} <= checks, checks
    assert "nothing to do" in at("migrate", "--print").stdout
    assert at.json("migrate")["migrated"] is False


def following_a_run_ends_when_it_does(at):
    at.start_worker()
    at("start", "place_order", ORDER, "--key", "order-42")
    at.waits_for_review("order-42")
    show = subprocess.Popen([FERMATA, "show", "order-42", "--follow"], env=at.env, stdout=subprocess.PIPE, text=True)
    trace = subprocess.Popen(
        [FERMATA, "trace", "order-42", "--follow", "-o", "jsonl"], env=at.env, stdout=subprocess.PIPE, text=True
    )
    at("signal", "order-42", "reviewed", '{"approved":true}')
    assert "completed" in show.communicate(timeout=30)[0] and show.returncode == 0
    assert json.loads(trace.communicate(timeout=30)[0].splitlines()[-1])["run"]["state"] == "completed"


def an_interrupt_ends_the_waiting_with_130(at):
    at("start", "place_order", ORDER, "--unchecked", "--key", "order-42")
    waiting = subprocess.Popen([FERMATA, "result", "order-42"], env=at.env, stdout=subprocess.PIPE)
    time.sleep(1)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=30) == 130


def main():
    tests = [
        (name, test)
        for name, test in globals().items()
        if callable(test) and name.startswith(("a_", "an_", "the_", "cancel_", "following_"))
    ]
    wanted = sys.argv[3:]
    failed = 0
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory() as folder:
            at = Place(folder)
            begun = time.monotonic()
            try:
                test(at)
                print(f"ok      {name.replace('_', ' ')} ({time.monotonic() - begun:.1f} s)")
            except Exception as problem:  # noqa: BLE001: every test is told
                failed += 1
                print(f"FAILED  {name.replace('_', ' ')}\n{type(problem).__name__}: {problem}")
                log = at.folder / "worker.log"
                if log.exists():
                    print("worker: " + log.read_text()[-2000:])
            finally:
                at.stop_worker()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
