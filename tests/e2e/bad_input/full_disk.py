#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while a worker works: it waits, says so, and goes on by itself.

    full_disk.py BIN_FOLDER [--seconds 17]    full for longer than a lease (15 s)

Mounts a tmpfs of a few megabytes in a mount namespace of its own, which ends with this process."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driven import EXITS, ORDER, Place, carry_out  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "attack"))
from evidence import keep  # noqa: E402

SKIPPED = 77
INSIDE = "FERMATA_TEST_HAS_NAMESPACE"
shown = {"faults": 0}  # for evidence


def in_a_namespace():
    """Starts this program again where it may mount; does not come back."""
    how = ["-m"] if os.geteuid() == 0 else ["-rm"]
    can = shutil.which("unshare") and subprocess.run(
        ["unshare", *how, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
    if not can:
        print("SKIPPED: mounting a tmpfs isn't permitted here, so that a FULL DISK IS NOT TESTED",
              flush=True)
        sys.exit(SKIPPED)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *how, sys.executable, *sys.argv])


class Disk:
    def __init__(self, at, megabytes):
        self.at = at / "disk"
        self.at.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", self.at], check=True)

    def fill(self):
        shown["faults"] += 1
        with open(self.at / "fill", "ab", buffering=0) as fill:
            try:
                while True:
                    fill.write(b"x" * 4096)
            except OSError:
                pass
        assert shutil.disk_usage(self.at).free == 0

    def free(self):
        (self.at / "fill").unlink()

    def end(self):
        subprocess.run(["umount", self.at], check=True)


def on_a_small_disk(work):
    def test(at):
        disk = Disk(at.folder, 6)
        at.file = disk.at / "journal.db"
        at.env["FERMATA_JOURNAL"] = f"sqlite:{at.file}"
        try:
            work(at, disk)
        finally:
            at.end_all()
            disk.end()
    test.__name__ = work.__name__
    return test


def waiting(at, *keys):
    at.until(lambda: all(at.reason(key) == "waits_for_signal" for key in keys),
             f"{', '.join(keys)} wait for their review", limit=10)


def approve_and_finish(at, *keys):
    for key in keys:
        at("signal", key, "reviewed", '{"approved":true}')
    for key in keys:
        at("result", key, "--timeout", "30s")


def a_worker_waits_while_the_disk_is_full_and_goes_on_by_itself(at, disk):
    worker = at.hire("e2e_cli_worker")
    for key in ("a", "b"):
        at("start", "place_order", ORDER, "--key", key)
    waiting(at, "a", "b")
    at("start", "place_order", ORDER, "--key", "late", "--delay", "1s")
    disk.fill()
    at.until(lambda: "the journal can't be written, work waits: the disk is full" in at.heard(),
             "the worker says that it waits")
    begun = time.monotonic()
    assert "[FER-2101]" in at.heard()
    at.refuses(["start", "place_order", ORDER, "--key", "refused"], "FER-2101",
               "the disk is full: nothing was written", "free some space")
    at.refuses(["signal", "a", "reviewed", '{"approved":true}'], "FER-2101", "the disk is full")
    at.refuses(["cancel", "b"], "FER-2101", "the disk is full")
    # Who looks is answered.
    assert "all is sound" in at("verify").stdout
    listed = at("list").stdout
    assert " a " in listed and "refused" not in listed, listed
    assert "signal 'reviewed'" in at("explain", "a").stdout
    assert at("show", "a").returncode == 0
    sick = at("doctor", code=1).stdout
    assert "0 B free" in sick and "disk room" in sick, sick
    second = subprocess.run([at.bin / "e2e_cli_worker"], env=at.env, capture_output=True, text=True,
                            timeout=30)
    assert second.returncode == 1 and "[FER-2101]" in second.stderr, (second.returncode, second.stderr)
    time.sleep(max(0, SECONDS - (time.monotonic() - begun)))
    assert worker.poll() is None, "the worker gave up"
    said = at.heard().count("the disk is full")
    assert said <= 4 + SECONDS / 20, f"it says so {said} times in {SECONDS} s:\n{at.heard()}"

    disk.free()
    at.until(lambda: "the journal can be written again, work goes on" in at.heard(), "it goes on")
    waiting(at, "a", "b", "late")
    assert "refused" not in at("list").stdout
    at("start", "place_order", ORDER, "--key", "refused")
    waiting(at, "refused")
    approve_and_finish(at, "a", "b", "late", "refused")
    assert "all is sound" in at("verify").stdout
    assert at.json("status")["runs"]["completed"] == 8
    at.dismiss()


def a_disk_that_fills_up_under_load_loses_no_accepted_start(at, disk):
    at.hire("e2e_cli_worker")
    accepted = []
    for filled in range(3):
        disk.fill()
        (disk.at / "fill").open("r+b").truncate(
            (disk.at / "fill").stat().st_size - (150 + 50 * filled) * 1024)
        for number in range(200):
            key = f"k{filled}-{number}"
            ran = at("start", "place_order", ORDER, "--key", key, code=None)
            if ran.returncode != 0:
                assert ran.returncode == EXITS["FER-2101"] and "[FER-2101]" in ran.stderr, ran.stderr
                break
            accepted.append(key)
        else:
            raise AssertionError("the disk didn't fill up")
        disk.free()
    waiting(at, *accepted)
    there = {run["key"] for run in at.json("list", "--workflow", "place_order")["runs"]}
    shown.update(acked=len(accepted), lost=len(set(accepted) - there))
    assert there == set(accepted), f"{sorted(there ^ set(accepted))[:5]} of {len(accepted)}"
    approve_and_finish(at, *accepted)
    assert "all is sound" in at("verify").stdout
    at.dismiss()


def a_journal_on_a_full_disk_cannot_be_made_and_can_when_there_is_room(at, disk):
    disk.fill()
    for words in (["start", "place_order", ORDER, "--unchecked"],):
        text = at.refuses(words, "FER-2101")
        assert "full" in text or "No space left" in text, text
    worker = subprocess.run([at.bin / "e2e_cli_worker"], env=at.env, capture_output=True, text=True,
                            timeout=30)
    assert worker.returncode == 1 and "[FER-2101]" in worker.stderr, (worker.returncode, worker.stderr)
    disk.free()
    at.hire("e2e_cli_worker")
    at("start", "place_order", ORDER, "--key", "a")
    waiting(at, "a")
    approve_and_finish(at, "a")
    assert "all is sound" in at("verify").stdout
    at.dismiss()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--seconds", type=float, default=17)
    asked = arguments.parse_args()
    if INSIDE not in os.environ:
        in_a_namespace()
    SECONDS = asked.seconds
    status = carry_out([on_a_small_disk(one) for one in (
        a_worker_waits_while_the_disk_is_full_and_goes_on_by_itself,
        a_disk_that_fills_up_under_load_loses_no_accepted_start,
        a_journal_on_a_full_disk_cannot_be_made_and_can_when_there_is_room)], asked.bin)
    if status == 0:
        keep("full_disk", "none", **shown)
    sys.exit(status)
