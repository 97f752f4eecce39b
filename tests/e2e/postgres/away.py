#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The database is away, read-only, full, or has no connection left: nothing that was acknowledged is lost,
everybody is told so, and workers go on by themselves when it is over.

    away.py BIN_FOLDER [--runs 100] [TEST...]
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import EXITS, Fleet, carry_out, show  # noqa: E402
from server import Server, own  # noqa: E402

STEPS = '{"number":1,"size":3}'

PATIENCE = 5  # seconds: how long a command waits for a database that is away


def big():
    """An input that needs a dozen pages, whatever is done to it."""
    return json.dumps({"number": 1, "size": 3, "more": os.urandom(50_000).hex()})


class Place:
    def __init__(self, asked, folder):
        self.asked, self.folder = asked, pathlib.Path(folder)
        self.server = self.fleet = self.mount = None
        self.held = []

    def begin(self, **how):
        self.server = Server(**how).start().create()
        self.fleet = Fleet(self.asked.bin, self.server.address(), self.folder)
        return self.fleet

    def small_disk(self, megabytes):
        self.mount = tempfile.mkdtemp(prefix="fermata-small-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs",
                        self.mount], check=True)
        own(self.mount)
        return self.mount

    def close(self):
        for line in self.held:
            line.close()
        if self.fleet:
            self.fleet.close()
        if self.server:
            self.server.remove()
        if self.mount:
            subprocess.run(["umount", self.mount], check=True)
            os.rmdir(self.mount)


def a_worker_and_a_client_meet_a_database_that_is_away(at):
    fleet = at.begin()
    at.server.stop()
    worker = fleet.hire()
    begun = time.monotonic()
    said = fleet.refuses(["list"], "FER-2105", "can't be reached")
    took = time.monotonic() - begun
    assert PATIENCE - 1 < took < PATIENCE + 10, f"a client gave up after {took:.1f} s"
    fleet.until(lambda: "waiting for the database" in fleet.heard(worker), "the worker says so", 20)
    assert worker.poll() is None
    at.server.start()
    back = time.monotonic()
    fleet.until(lambda: fleet.serves(worker), "the worker begins", 20)
    show(faults=1)
    print(f"a client gave up after {took:.1f} s: {said.strip()[:90]}…; a worker that waited began "
          f"{time.monotonic() - back:.1f} s after the server", flush=True)
    fleet("start", "steps", STEPS, "--wait", "30s")
    assert fleet.dismiss() == [0]


def workers_wait_for_a_server_that_is_read_only(at):
    fleet = at.begin().hire_all(2)
    count = max(100, at.asked.runs // 5)  # some must be left when the server has been told, however busy it is
    feeding = fleet.feed(0, count)
    fleet.until(lambda: events(at) > 50, "work is done")
    at.server.set("default_transaction_read_only", "on")
    fleet.until(lambda: "read-only" in fleet.heard(), "the workers say so", 20)
    time.sleep(0.5)
    then = events(at)
    time.sleep(4)
    assert events(at) == then, "something was written"
    assert all(worker.poll() is None for worker in fleet.workers)
    more = fleet.feed(count, 2)  # the others may have ended before, on a slow machine
    at.server.set("default_transaction_read_only", None)
    over = time.monotonic()
    fleet.until(lambda: events(at) > then, "work goes on", 30)
    went_on = time.monotonic() - over
    show(faults=1, worst_recovery_ms=int(went_on * 1000))
    assert [one.wait(timeout=60) for one in (feeding, more)] == [0, 0], "a client gave up"
    fleet.all_ended()
    print(f"nothing was written for 4 s; work went on {went_on:.1f} s after it was over", flush=True)
    assert fleet.dismiss() == [0, 0]
    fleet.all_is_well(count + 2)


def a_worker_that_waits_for_its_database_says_so_and_is_not_taken_for_runaway(at):
    fleet = at.begin()
    worker = fleet.hire(environment={"FERMATA_BOUND": "runaway_code_ms=2000"})
    fleet.until(lambda: fleet.serves(worker), "the worker begins")
    count = at.asked.runs // 5
    feeding = fleet.feed(0, count)
    fleet.until(lambda: events(at) > 50, "work is done")
    at.server.stop()
    gone = time.monotonic()
    fleet.until(lambda: re.search(r"waiting for the database since \d\d:\d\d:\d\d UTC",
                                  fleet.heard(worker)), "the worker says so", 30)
    said = time.monotonic() - gone
    while time.monotonic() < gone + 14:  # beyond a call's patience, and any runaway's
        time.sleep(0.1)
    assert worker.poll() is None, "the worker ended"
    for untrue in ("doesn't get on", "didn't come back", "without awaiting"):
        assert untrue not in fleet.heard(worker), f"it says that something {untrue}"
    at.server.start()
    there = events(at)
    back = time.monotonic()
    more = fleet.feed(count, 2)  # the others may have ended before, on a slow machine
    fleet.until(lambda: events(at) > there, "work goes on", 30)
    show(faults=1, worst_recovery_ms=int((time.monotonic() - back) * 1000))
    assert [one.wait(timeout=60) for one in (feeding, more)] == [0, 0], "a client gave up"
    fleet.all_ended()
    print(f"said after {said:.1f} s; away for {back - gone:.1f} s, all ended "
          f"{time.monotonic() - back:.1f} s later", flush=True)
    assert fleet.dismiss() == [0]
    fleet.all_is_well(count + 2)


def events(at):
    return int(at.server.sql("SELECT count(*) FROM fermata.events"))


def a_full_disk_loses_nothing_that_was_acknowledged(at):
    if os.geteuid() != 0:
        print("SKIPPED a full disk: only root can mount a small one", flush=True)
        return
    # Its log is elsewhere: Postgres stops when that can't be written, and would have to be restarted.
    wal = at.folder / "wal"
    wal.mkdir()
    own(wal)
    for above in (at.folder, wal):
        above.chmod(0o755)
    fleet = at.begin(at=at.small_disk(120), wal=wal / "pg_wal").hire_all(2)
    count = at.asked.runs // 5
    feeding = fleet.feed(0, count)
    fleet.until(lambda: events(at) > 50, "work is done")
    # Work that needs new pages is what the workers do first when they go on, with more of them than tables
    # have to spare.
    for worker in fleet.workers:
        worker.send_signal(signal.SIGSTOP)
    told = {}
    for number in range(8):
        fleet("start", "steps", big(), "--unchecked", "--key", f"waits-{number}", "--priority", "9")
        told[f"waits-{number}"] = True
    ballast = pathlib.Path(at.mount) / "ballast"
    fill(ballast)
    for worker in fleet.workers:
        worker.send_signal(signal.SIGCONT)
    fleet.until(lambda: "FER-2101" in fleet.heard(), "the workers find the disk full", 30)
    full_at = time.monotonic()
    for number in range(60):
        ran = fleet("start", "steps", big(), "--unchecked", "--key", f"big-{number}", code=None)
        told[f"big-{number}"] = ran.returncode == 0
        if ran.returncode != 0:
            break
    assert ran.returncode == EXITS["FER-2101"] and "[FER-2101]" in ran.stderr, f"{told}: {ran.stderr}"
    time.sleep(2)
    assert at.server.process.poll() is None, "the server stopped"
    assert all(worker.poll() is None for worker in fleet.workers), "a worker ended"
    ballast.unlink()
    over = time.monotonic()
    fleet.until(lambda: "can be written again" in fleet.heard(), "work goes on", 30)
    went_on = time.monotonic() - over
    show(faults=1, worst_recovery_ms=int(went_on * 1000))
    assert feeding.wait(timeout=120) == 0, "a client gave up"
    fleet.all_ended()
    keys = "SELECT key FROM fermata_runs WHERE key LIKE 'waits-%' OR key LIKE 'big-%'"
    there = {row["key"] for row in fleet.json("sql", keys)["rows"]}
    assert told == {key: key in there for key in told}, f"{told}, and there are {sorted(there)}"
    print(f"full for {over - full_at:.1f} s; a start then: {ran.stderr.strip()[:130]}; "
          f"work went on {went_on:.1f} s after there was room", flush=True)
    assert fleet.dismiss() == [0, 0]
    fleet.all_is_well(count)


def fill(ballast):
    """To the last byte."""
    with open(ballast, "wb", buffering=0) as full:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    full.write(b"\0" * size)
            except OSError:
                pass


def work_goes_on_when_there_are_connections_again(at):
    fleet = at.begin(options="max_connections=16").hire_all(2)
    fleet("start", "steps", STEPS, "--wait", "30s")

    def hold():
        """Until the server has none left."""
        while (line := sleep_at(at.server)) is not None:
            at.held.append(line)

    hold()
    ran = fleet("start", "steps", STEPS, "--key", "refused", code=None, timeout=60)
    assert ran.returncode == 1 and ("[FER-2105]" in ran.stderr or "[FER-2101]" in ran.stderr), ran
    assert "too many clients" in ran.stderr or "connection slots" in ran.stderr, ran.stderr
    # The workers lose theirs, until others are faster for once.
    def starve():
        end(ours(at))
        hold()
        return all("too many clients" in fleet.heard(worker) or "connection slots" in
                   fleet.heard(worker) for worker in fleet.workers)

    fleet.until(starve, "the workers say so", 60)
    assert all(worker.poll() is None for worker in fleet.workers)
    for line in at.held:
        line.close()
    at.held = []
    end(sleepers(at))
    over = time.monotonic()
    fleet.until(lambda: at.server.psql("SELECT 1").returncode == 0, "there is room")
    assert fleet.feed(0, 4).wait() == 0
    fleet.all_ended()
    show(faults=1)
    print(f"refused: {ran.stderr.strip()[:200]}…; 20 runs ended {time.monotonic() - over:.1f} s after "
          "there were connections again", flush=True)
    assert fleet.dismiss() == [0, 0]
    fleet.all_is_well(4)


def backends(at, word):
    """Processes of the server whose title has this word: no connection is needed to ask."""
    found = []
    for pid in at.server.children():
        try:
            title = pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if title.startswith("postgres: fermata") and word in title:
            found.append(pid)
    return found


def ours(at):
    return [pid for pid in backends(at, "idle") if pid not in sleepers(at)]


def sleepers(at):
    return backends(at, "SELECT")


def sleep_at(server):
    """A connection that does nothing for long, or None where there is none left. By hand, since a worker has
    its own anew before a psql has begun (protocol 3.0, "Message Formats" of Postgres' manual)."""
    line = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    who = b"user\0fermata\0database\0fermata\0\0"
    line.sendall(struct.pack("!ii", 8 + len(who), 3 << 16) + who)
    if line.recv(1) != b"R":  # neither let in, nor asked for a password
        line.close()
        return None
    question = b"SELECT pg_sleep(300)\0"
    line.sendall(b"Q" + struct.pack("!i", 4 + len(question)) + question)
    return line


def end(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # its client was faster
            os.kill(pid, signal.SIGTERM)


TESTS = [a_worker_and_a_client_meet_a_database_that_is_away,
         a_worker_that_waits_for_its_database_says_so_and_is_not_taken_for_runaway,
         workers_wait_for_a_server_that_is_read_only, a_full_disk_loses_nothing_that_was_acknowledged,
         work_goes_on_when_there_are_connections_again]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    return carry_out(TESTS, lambda folder: Place(asked, folder), asked.tests, "fleet_away")


if __name__ == "__main__":
    sys.exit(main())
