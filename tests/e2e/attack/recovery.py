#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long it takes until another worker has claimed what a dead one owned.

One observer with one clock, which can't be set (monotonic): from just before the kill, or from when the
first of those is up who live until then, to a look at the journal that finds the claim committed. The
figures are late by a look, never early. What a death is suspected of for the second time in a row is
executed alone from then on, perhaps after others: those runs are counted apart.

    recovery.py BIN_FOLDER [--kills 100] [--at-once 10] [--seed N]

kills workers on Postgres that others take to be on hosts of their own, since they share no state folder:
99 of 100 runs are claimed within a lease and two seconds. What one host does, kill.py measures."""

import argparse
import pathlib
import random
import sqlite3
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TESTS / "attack"), str(TESTS / "e2e" / "postgres")]
from evidence import keep  # noqa: E402
from fleet import Fleet, show_logs  # noqa: E402
from server import Server  # noqa: E402

LOOK_SECONDS = 0.01
LEASE_SECONDS = 15
SUSPICION, SUSPICIONS_TO_ISOLATE = 74, 2  # engine/event/kind.hpp, engine/limits.hpp


class Sqlite:
    """Looks at a journal of its own process."""

    schema, run_key = "", "id"

    def __init__(self, file):
        self.db = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30,
                                  check_same_thread=False)

    def rows(self, sql):
        return [tuple(map(str, row)) for row in self.db.execute(sql).fetchall()]

    def close(self):
        self.db.close()


class Postgres:
    """Looks through one psql, which stays."""

    schema, run_key = "fermata.", "run"

    def __init__(self, server):
        self.psql = subprocess.Popen(
            ["psql", *server.reached_by(), "-d", "fermata", "-AtqX", "-F", "|"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def rows(self, sql):
        self.psql.stdin.write(f"{sql};\n\\echo .\n")
        self.psql.stdin.flush()
        found = []
        for line in self.psql.stdout:
            if line == ".\n":
                return found
            found.append(tuple(line.rstrip("\n").split("|")))
        raise RuntimeError("psql has ended")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()


class Recovery:
    """Told of each kill; looks on a thread of its own."""

    def __init__(self, journal, named_from=LEASE_SECONDS + 2):
        """Later than after so many seconds: the run and its worker are named."""
        self.journal, self.named_from = journal, named_from
        self.lock = threading.Lock()  # of all that follows
        self.pending = {}             # dead worker → (since when, runs that nobody has claimed)
        self.alive = {}               # process → since when it can look after others
        self.took, self.suspected = [], []  # seconds
        self.deaths = 0
        self.over = threading.Event()
        self.looks = threading.Thread(target=self.look_again)
        self.looks.start()

    def ask(self, sql, **words):
        return self.journal.rows(
            sql.format(key=self.journal.run_key, at=self.journal.schema, **words))

    def owned_by(self, process):
        """Its row, and the runs that it owns."""
        return self.ask("SELECT w.id, r.{key} FROM {at}workers w JOIN {at}runs r ON r.owner = w.id "
                        "WHERE w.pid = {pid} AND NOT w.gone", pid=process.pid)

    def owns_some(self, process):
        with self.lock:
            return bool(self.owned_by(process))

    def is_up(self, process):
        """It looks after the dead from now on."""
        with self.lock:
            self.alive[process.pid] = time.monotonic()

    def kill(self, process):
        """Kills a worker; whatever it owns then is to be claimed by another."""
        with self.lock:
            since = time.monotonic()
            self.alive.pop(process.pid, None)
            process.kill()
            process.wait()
            self.deaths += 1
            for owner, run in self.owned_by(process):
                self.pending.setdefault(owner, (since, set()))[1].add(run)

    def look_again(self):
        while not self.over.wait(LOOK_SECONDS):
            with self.lock:
                for dead in list(self.pending):
                    self.look(dead)

    def look(self, dead):
        """Claimed: it has another owner; or it was made ready, and isn't any more."""
        since, runs = self.pending[dead]
        found = self.ask(
            "SELECT r.{key}, r.owner, w.released AND m.run IS NULL, (SELECT count(*) FROM "
            "{at}events e WHERE e.run = r.{key} AND e.kind = {suspicion}) FROM {at}workers w "
            "JOIN {at}runs r ON r.{key} IN ({runs}) LEFT JOIN {at}ready m ON m.run = r.{key} "
            "WHERE w.id = {dead}",
            suspicion=SUSPICION, runs=",".join(f"'{run}'" for run in runs), dead=dead)
        # Whoever was killed before he could look after it doesn't count: one who lives is promised.
        took = time.monotonic() - max(since, min(self.alive.values(), default=since))
        for run, owner, was_ready, suspicions in found:
            if owner not in ("0", dead) or (owner == "0" and was_ready in ("1", "t")):
                runs.remove(run)
                apart = int(suspicions) >= SUSPICIONS_TO_ISOLATE
                (self.suspected if apart else self.took).append(took)
                if took > self.named_from:
                    print(f"run {run} of dead worker {dead} was claimed after {took:.2f} s", flush=True)
        if not runs:
            del self.pending[dead]

    def end(self, seconds=60):
        """Waits until all is claimed, and stops looking."""
        self.all_claimed(seconds)
        self.over.set()
        self.looks.join()
        self.journal.close()

    def all_claimed(self, seconds):
        until = time.monotonic() + seconds
        while self.pending:
            assert time.monotonic() < until, f"what dead workers owned isn't claimed: {self.pending}"
            time.sleep(LOOK_SECONDS)

    def counts(self):
        """For evidence, in milliseconds."""
        return {"recovered": len(self.took), "recovery_p50_ms": ms(self.took, 0.5),
                "recovery_p99_ms": ms(self.took, 0.99), "recovery_worst_ms": ms(self.took, 1),
                "suspected": len(self.suspected)}

    def told(self):
        c = self.counts()
        return (f"{c['recovered']} runs of {self.deaths} dead workers were claimed after p50 "
                f"{c['recovery_p50_ms']} ms, p99 {c['recovery_p99_ms']} ms, at most "
                f"{c['recovery_worst_ms']} ms, and {c['suspected']} under suspicion after at most "
                f"{ms(self.suspected, 1)} ms")


def ms(seconds, share):
    """The value that this share of them doesn't exceed."""
    if not seconds:
        return 0
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))])


# ---- workers on hosts of their own ----

class Hosts:
    def __init__(self, asked, fleet, server):
        self.asked, self.fleet = asked, fleet
        self.chance = random.Random(asked.seed)
        self.recovery = Recovery(Postgres(server))
        self.feeding, self.given = None, 0

    def hire(self):
        folder = self.fleet.home / f"host-{len(self.fleet.logs)}"
        worker = self.fleet.hire(environment={"FERMATA_STATE": str(folder)})
        self.fleet.until(lambda: self.fleet.serves(worker), "a worker starts")
        self.recovery.is_up(worker)
        return worker

    def feed(self):
        """There is always something to own."""
        if self.feeding is not None and self.feeding.poll() is None:
            return
        assert self.feeding is None or self.feeding.returncode == 0, "a client gave up"
        self.feeding = self.fleet.feed(self.given, 10)
        self.given += 10

    def kill_together(self, count):
        victims = [self.hire() for _ in range(count)]
        tries = 6000  # a machine that stands still makes nothing fail
        while victims:
            self.feed()
            for victim in list(victims):
                if self.recovery.owns_some(victim):
                    self.fleet.workers.remove(victim)
                    victims.remove(victim)
                    self.recovery.kill(victim)
            tries -= 1
            assert tries > 0, "some worker never owns a run"
            time.sleep(LOOK_SECONDS)
        self.recovery.all_claimed(60)

    def run(self):
        for _ in range(2):
            self.hire()
        while self.recovery.deaths < self.asked.kills:
            self.kill_together(min(self.asked.at_once, self.asked.kills - self.recovery.deaths))
        assert self.feeding.wait() == 0, "a client gave up"
        self.recovery.end()
        self.fleet.all_ended()
        codes = self.fleet.dismiss()
        assert not any(codes), f"exit codes of the workers: {codes}"
        self.fleet.all_is_well(self.given)
        counts = self.recovery.counts()
        print(f"on hosts of their own: {self.recovery.told()}")
        assert counts["recovery_p99_ms"] <= (LEASE_SECONDS + 2) * 1000, "too late"
        keep("recovery", self.asked.seed, rounds=self.recovery.deaths, faults=self.recovery.deaths,
             acked=self.given * 6, lost=0, repeated=0,
             worst_recovery_ms=counts["recovery_worst_ms"], **counts)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--kills", type=int, default=100)
    arguments.add_argument("--at-once", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    print(f"seed {asked.seed}", flush=True)
    server = Server().start().create()
    fleet = Fleet(asked.bin, server.address(), server.home)
    attack = None
    try:
        attack = Hosts(asked, fleet, server)
        attack.run()
        return 0
    except BaseException as why:
        print(f"BAD: {why}", flush=True)
        show_logs(fleet)
        raise
    finally:
        if attack:
            attack.recovery.over.set()
        fleet.close()
        server.remove()


if __name__ == "__main__":
    sys.exit(main())
