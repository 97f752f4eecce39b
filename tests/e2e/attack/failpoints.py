#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Destroys a process at each named place: at the first, the second and a random hit it dies, is frozen
and goes on, or fails. Programs whose results and counters were predicted (tests/attack/programs) run
meanwhile on other workers; afterwards everything must be there once, and each place must have been hit.

    failpoints.py BIN_FOLDER [--store sqlite|postgres] [--seed N] [--all] [--only PLACE] [--cases N]
    failpoints.py --list        every place in the source is in tests/attack/README.md, and no other

Without --all: so many of all cases, by chance.
"""
import argparse
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TESTS / "attack"), str(TESTS / "e2e" / "postgres")]
from evidence import keep  # noqa: E402
from fleet import Fleet, show_logs  # noqa: E402
from server import Server  # noqa: E402

KILL, FREEZE, SLEEP, ERROR = "kill", "stop", "sleep", "error"
AT_ONCE = 40  # programs open at a time
TOGETHER = 5  # victims at a time
TOGETHER_SLOWLY = 12  # of those that wait for seconds
UNREADABLE = 40  # runs, at most, that one can't read
PATIENCE_SECONDS = 120
# What clients do, too.
CLIENTS = ["writer.before_start", "writer.after_start", "writer.before_signal", "writer.after_signal"]
README = TESTS / "attack" / "README.md"


class Place:
    def __init__(self, store, who, fails):
        self.store, self.who, self.fails = store, who, fails == "yes"


def documented():
    row = re.compile(r"^\| `([a-z]+\.[a-z_]+)` \| (\w+) \| (\w+) \| (yes|no) \|", re.M)
    return {name: Place(*what) for name, *what in row.findall(README.read_text())}


def in_source():
    """Names given to failpoint(), and those of a table that it is given from."""
    root = TESTS.parent
    found = set()
    for folder in ("engine", "worker", "src"):
        for file in (root / folder).rglob("*.[ch]pp"):
            text = file.read_text()
            found |= set(re.findall(r'failpoint\("([a-z_.]+)"\)', text))
            if file.name == "deeds.cpp":
                found |= set(re.findall(r'"(writer\.[a-z_]+)"', text))
    return found


def state_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def hits(process, place):
    text = process.hits.read_text() if process.hits.exists() else ""
    return text.count(place + "\n")


class Victim:
    """A process with a plan for one place, until it has met its fate."""

    def __init__(self, attack, place, act, at, fresh=None):
        self.attack, self.fleet, self.place, self.act, self.at = attack, attack.fleet, place, act, at
        self.who = attack.places[place].who
        self.plan = f"{place}={act}@{at}"
        if self.who == "reader":
            # What it can't read it gives back, unless it has claimed it again meanwhile: then the next.
            errors = [f"replay.before=error@{at + 5 * n}" for n in range(UNREADABLE)]
            self.plan = ",".join([f"{place}={act}", *errors])
        self.process = attack.hire(fresh, FERMATA_FAILPOINT=self.plan)
        self.fleet.workers.remove(self.process)
        attack.victims.append(self.process)
        self.told = False
        self.baits = 0

    def hits(self):
        return hits(self.process, self.place)

    def has_met_its_fate(self):
        code = self.process.poll()
        if self.act == KILL:
            assert code in (None, -signal.SIGKILL), f"{self.plan}: it ended with {code}"
            return code is not None
        assert code in (None, 0), f"{self.plan}: it ended with {code}"
        if self.act == FREEZE:
            return code is None and state_of(self.process.pid) == "T"
        return self.hits() >= (1 if self.who == "reader" else self.at)

    def tell(self):
        if not self.told and self.fleet.serves(self.process):
            self.process.send_signal(signal.SIGTERM)
            self.told = True

    def bait(self):
        """It finds each death once: somebody dies who has only just registered."""
        if self.hits() > self.baits:
            self.baits += 1
            bait = self.attack.hire(FERMATA_FAILPOINT="register.after=kill")
            self.fleet.workers.remove(bait)
            self.attack.victims.append(bait)

    def end(self):
        """One that lives goes on, and leaves in peace."""
        if self.process.poll() is None:
            self.fleet.until(lambda: self.process.poll() is not None
                             or self.fleet.serves(self.process), f"{self.plan}: it goes on", 60)
            if self.process.poll() is None:
                self.tell()
            code = self.process.wait(timeout=60)
            assert code == 0, f"{self.plan}: it ended with {code}"


class Attack:
    def __init__(self, asked, fleet, server):
        self.asked, self.fleet, self.server = asked, fleet, server
        self.chance = random.Random(asked.seed)
        self.places = documented()
        self.first = self.next = asked.seed * 1_000_000
        self.feeding = None
        self.hired = 0
        self.victims = []
        self.hits = {place: 0 for place, p in self.places.items() if p.store in ("both", asked.store)}
        self.faults = 0

    def hire(self, address=None, **environment):
        self.hired += 1
        hits_file = self.fleet.home / f"hits-{self.hired}"
        environment.update(FERMATA_BOUND="checkpoint_pages=20",
                           FERMATA_FAILPOINT_HITS=str(hits_file))
        if address:
            environment["FERMATA_JOURNAL"] = address
        worker = self.fleet.hire("--queue", "default", "--queue", "far", address=address,
                                 environment=environment, program="programs_worker")
        worker.hits = hits_file
        return worker

    def settle(self, worker):
        """It serves, and others know it."""
        self.fleet.until(lambda: self.fleet.serves(worker) and hits(worker, "writer.after_claim") > 0,
                         "a worker starts", PATIENCE_SECONDS)
        return worker

    def command(self, *words, **how):
        return self.fleet.command("programs_client", *words, **how)

    def feed(self):
        """There is always something to do."""
        if self.feeding is not None and self.feeding.poll() is None:
            return
        assert self.feeding is None or self.feeding.returncode == 0, "a client gave up"
        self.feeding = self.command("run", self.next, 2 * AT_ONCE, AT_ONCE)
        self.next += 2 * AT_ONCE

    def met(self, victims):
        for victim in victims:
            assert victim.hits() > 0, f"{victim.plan}: never hit"
            self.hits[victim.place] += victim.hits()
            self.faults += 1

    # ---- who meets what ----

    def strike(self, cases):
        """These at once, beside a worker that nothing happens to."""
        print("  ".join(f"{place}={act}@{at}" for place, act, at in cases), flush=True)
        self.feed()
        victims = [Victim(self, *case) for case in cases]
        left, frozen = list(victims), {}
        tries = int(PATIENCE_SECONDS / 0.02)  # a machine that stands still makes nothing fail
        while left or frozen:
            self.feed()
            tries -= 1
            for victim in list(left):
                if victim.has_met_its_fate():
                    left.remove(victim)
                    if victim.act == FREEZE:
                        frozen[victim] = time.monotonic() + self.chance.uniform(0.1, 1.0)
                elif victim.who == "leaver":
                    victim.tell()
                elif victim.place == "rescue.found":
                    victim.bait()
            for victim, until in list(frozen.items()):
                if time.monotonic() >= until:  # the others may wait for it
                    victim.process.send_signal(signal.SIGCONT)
                    del frozen[victim]
            assert tries > 0, f"never hit: {[v.plan for v in left]}"
            time.sleep(0.02)
        for victim in victims:
            victim.end()
        self.met(victims)

    def strike_rescuer(self, place, act, at):
        """Nobody else is there to look after the dead."""
        more = 0 if place == "rescue.found" else at - 1
        dead = [self.fleet.workers[0], *[self.settle(self.hire()) for _ in range(more)]]
        for one in dead:
            one.send_signal(signal.SIGSTOP)  # nor do they look after each other
        for one in dead:
            one.kill()
            one.wait()
            self.fleet.workers.remove(one)
        self.strike([(place, act, at)])
        self.settle(self.hire())

    def strike_opener(self, place, act, _):
        """A journal of its own is made by the victim, or by who comes after it."""
        name = f"fresh{self.hired}"
        if self.server:
            self.server.create(name)
            address = self.server.address(name)
        else:
            address = f"sqlite:{self.fleet.home}/{name}.db"
        print(f"{place}={act}@1, {address}", flush=True)
        victim = Victim(self, place, act, 1, address)
        self.fleet.until(victim.has_met_its_fate, f"{place} is hit", PATIENCE_SECONDS)
        heir = None
        if act == KILL:
            heir = self.settle(self.hire(address))
        else:
            victim.process.send_signal(signal.SIGCONT)
        seeds = (self.first - 5 * self.hired, 5)
        for words in (("prepare",), ("run", *seeds, 5), ("check", *seeds, self.fleet.mix_log)):
            ran = self.command(*words, environment={"FERMATA_JOURNAL": address})
            assert ran.wait() == 0, f"{place}={act}: {words[0]} goes wrong afterwards"
        victim.end()
        if heir:
            heir.send_signal(signal.SIGTERM)
            assert heir.wait(timeout=60) == 0
            self.fleet.workers.remove(heir)
        self.met([victim])

    def strike_client(self, place, act, at):
        """One that dies begins again with what it had begun, as far as it knows."""
        plan = f"{place}={act}@{at}"
        print(f"client: {plan}", flush=True)
        words = ("run", self.next, 20, 5)
        self.next += 20
        one = self.command(*words, environment={"FERMATA_FAILPOINT": plan})
        end = time.monotonic() + 120
        while one.poll() is None:
            assert time.monotonic() < end, f"{plan}: a client doesn't end"
            if state_of(one.pid) == "T":
                one.send_signal(signal.SIGCONT)
            self.feed()
            time.sleep(0.02)
        wanted = -signal.SIGKILL if act == KILL else 0
        assert one.returncode == wanted, f"{plan}: the client ended with {one.returncode}"
        assert act != KILL or self.command(*words).wait() == 0, f"{plan}: a client gave up"
        self.faults += 1

    # ---- all of them ----

    def plans(self, place):
        """(act, at) that this place is to meet."""
        p = self.places[place]
        # Others look after what a worker hasn't for long, checkpoints too.
        rare = p.who == "rescuer" or is_slow(place) or place.endswith("checkpoint")
        nth = self.chance.randint(3, 3 if rare else 9)
        ats = [1] if p.who in ("once", "leaver", "opener") else [1, 2, nth]
        acts = [KILL, FREEZE, SLEEP, *([ERROR] if p.fails else [])]
        # The first writes of a worker make it known: one that can't be known doesn't work.
        early = place.startswith(("writer.", "sqlite.", "postgres.")) and not rare
        return [(act, at + 10 if act == ERROR and early else at) for at in ats for act in acts]

    def cases(self):
        """(who, place, act, at), in an order by chance."""
        every = [(self.places[place].who, place, *plan) for place in self.hits
                 if self.asked.only in (None, place) for plan in self.plans(place)]
        if not self.asked.only:
            every += [("client", place, act, min(at, 3)) for place in CLIENTS
                      for act, at in self.plans(place)]
        self.chance.shuffle(every)
        return every if self.asked.all or self.asked.only else every[:self.asked.cases]

    def run(self):
        assert self.command("prepare").wait() == 0
        self.settle(self.hire())
        alone = {"rescuer": self.strike_rescuer, "opener": self.strike_opener,
                 "client": self.strike_client}
        every = self.cases()
        beside = [what for who, *what in every if who not in alone]
        for slow, most in ((False, TOGETHER), (True, TOGETHER_SLOWLY)):
            some = [what for what in beside if is_slow(what[0]) == slow]
            for i in range(0, len(some), most):
                self.strike(some[i:i + most])
        for who, *what in every:
            if who in alone:
                alone[who](*what)
        self.finish({place for _, place, *_ in every})

    def finish(self, wanted):
        assert self.feeding is None or self.feeding.wait(timeout=300) == 0, "a client gave up"
        codes = self.fleet.dismiss()
        assert not any(codes), f"exit codes of the workers: {codes}"
        count = self.next - self.first
        check = self.command("check", self.first, count, self.fleet.mix_log, stdout=-1, text=True)
        said = check.communicate()[0].strip()
        print(said)
        assert check.returncode == 0, "it isn't as it was predicted"
        for place, hits in sorted(self.hits.items()):
            print(f"{hits:8} {place}")
        never = [place for place in wanted if not self.hits[place] and place not in CLIENTS]
        assert not never, f"places that were never hit: {never}"
        lost, repeated = (int(re.search(rf"(\d+) {word}", said)[1]) for word in ("wrong", "repeated"))
        print(f"{self.faults} faults at {len(wanted)} places on {self.asked.store}, {count} programs "
              f"acknowledged, {lost} lost, {repeated} steps repeated: all as predicted")
        keep(f"failpoints_{self.asked.store}", self.asked.seed, rounds=self.faults,
             faults=self.faults, places=len(wanted), acked=count, lost=lost, repeated=repeated)


def is_slow(place):
    return place.startswith("renew.")


def list_is_complete():
    listed, there = set(documented()), in_source()
    for place in sorted(there - listed):
        print(f"{place} isn't listed in {README.name}")
    for place in sorted(listed - there):
        print(f"{place} is listed in {README.name}, and isn't in the source")
    print(f"{len(there)} places")
    return 0 if listed == there else 1


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin", nargs="?")
    arguments.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--all", action="store_true")
    arguments.add_argument("--cases", type=int, default=12)
    arguments.add_argument("--only", help="one place")
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    if asked.list:
        return list_is_complete()
    if os.environ.get("FERMATA_HAS_FAILPOINTS", "1") != "1":
        print("this build has no failpoints")
        return 0
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-failpoints-") as folder:
        server = Server().start().create() if asked.store == "postgres" else None
        address = server.address() if server else f"sqlite:{folder}/journal.db"
        fleet = Fleet(asked.bin, address, folder)
        attack = Attack(asked, fleet, server)
        try:
            attack.run()
            return 0
        except BaseException as why:
            print(f"BAD: {why}", flush=True)
            show_logs(fleet)
            if os.environ.get("FERMATA_KEEP") and not server:
                shutil.copytree(folder, os.environ["FERMATA_KEEP"])
            raise
        finally:
            fleet.workers += attack.victims
            fleet.close()
            if server:
                server.remove()


if __name__ == "__main__":
    sys.exit(main())
