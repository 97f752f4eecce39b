#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The primary dies under load and its replica is promoted; all addresses name both.

    promotion.py BIN_FOLDER [--runs 150] [--workers 3] [--rounds 1] [TEST...]

Synchronous: nothing that was acknowledged is lost. Asynchronous, with the replica cut off before: what
was acknowledged since is lost, and that is found: workers say which of their runs the journal doesn't
know any more, and go on with what it has. The old primary, back under its old address: nothing is
written there.
"""
import argparse
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, carry_out, show  # noqa: E402
from server import Server, free_port  # noqa: E402


class Pair:
    """A primary with a replica, and a fleet that knows both."""

    def __init__(self, asked, folder):
        self.asked = asked
        self.primary = Server("primary", options="wal_sender_timeout=5s").start().create()
        self.replica = Server.replica_of(self.primary).start()
        address = (f"postgres://fermata@127.0.0.1:{self.primary.port},127.0.0.1:{self.replica.port}/"
                   "fermata?target_session_attrs=read-write")
        self.fleet = Fleet(asked.bin, address, folder)
        self.fleet.until(lambda: self.follows("streaming"), "the replica follows")

    def follows(self, state, column="state"):
        return self.primary.sql(f"SELECT {column} FROM pg_stat_replication") == state

    def synchronous(self):
        self.primary.set("synchronous_standby_names", "'*'")
        self.fleet.until(lambda: self.follows("sync", "sync_state"), "the replica is synchronous")

    def cut_off(self):
        """From here on the replica gets nothing, as when its network is gone."""
        self.replica.set("primary_conninfo", "''")
        self.fleet.until(lambda: self.follows(""), "the replica is cut off")
        # The last record may have come in part: then it waits for the rest, and never gets it.
        self.fleet.until(lambda: self.replica.sql(
            "SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() OR EXISTS(SELECT 1 FROM pg_stat_activity "
            "WHERE backend_type = 'startup' AND wait_event IN ('RecoveryWalStream', "
            "'RecoveryRetrieveRetryInterval'))") == "t", "it has read all")

    def fail_over(self):
        self.primary.kill()
        self.replica.promote()
        show(faults=1)

    def close(self):
        self.fleet.close()
        self.primary.remove()
        self.replica.remove()


def events(server):
    return int(server.sql("SELECT count(*) FROM fermata.events"))


def a_synchronous_replica_loses_nothing_that_was_acknowledged(at):
    at.synchronous()
    fleet = at.fleet.hire_all(at.asked.workers)
    count = at.asked.runs // 5
    feeding = fleet.feed(0, count)
    fleet.until(lambda: len(lines(fleet.answers)) > at.asked.runs // 3, "starts are acknowledged")
    begun = time.monotonic()
    at.fail_over()
    took = time.monotonic() - begun
    left = events(at.replica)
    fleet.until(lambda: events(at.replica) > left, "work goes on", 60)
    show(worst_recovery_ms=int((time.monotonic() - begun) * 1000))
    assert feeding.wait(timeout=150) == 0, "a client gave up"
    fleet.all_ended()
    print(f"promoted in {took:.1f} s; {at.asked.runs} runs ended {time.monotonic() - begun:.1f} s "
          "after the primary's death", flush=True)
    assert fleet.dismiss() == [0] * at.asked.workers
    fleet.all_is_well(count)
    assert said_lost(fleet) == {}, f"nothing was lost, and yet: {said_lost(fleet)}"


class Living:
    """A client that makes calls before a promotion, and again after it."""
    count = 3

    def __init__(self, fleet, start):
        self.log, self.answers = fleet.home / "living.log", fleet.home / "living"
        with open(self.log, "w") as said:
            self.process = fleet.client("feed_twice", start, self.count, self.answers, stderr=said,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"fed\n"
        self.was_told = {words[2] for words in map(str.split, lines(self.answers))
                         if words[0] == "acked"}

    def finds(self, at, fleet):
        self.process.communicate(b"\n", timeout=60)
        assert self.process.returncode == 0, "a client gave up"
        said = self.log.read_text()
        starts = re.search(r"lacks (\d+) of the starts that this process was told: (.*) \[FER-2110\]",
                           said)
        assert starts, f"nothing is said of lost starts: {said}"
        named = set(starts[2].split(", "))
        assert named == self.was_told, f"{named} are named, and {self.was_told} lost"
        assert f"lacks {self.count} of the messages" in said, said
        print(f"a client that lived through it named {len(named)} starts, {self.count} messages",
              flush=True)


def lines(file):
    return file.read_text().splitlines() if file.exists() else []


def acknowledged(fleet):
    """workflow/key → run, as clients were told."""
    return {words[1]: words[2] for words in map(str.split, lines(fleet.answers))
            if words[0] == "acked"}


def owners(server):
    """run → its worker's number, 0 for nobody."""
    rows = server.sql("SELECT fermata.run_text(run), owner FROM fermata.runs")
    return {run: int(owner) for run, owner in (row.split("|") for row in rows.splitlines())}


def ends(server):
    """run → the position of its last event."""
    rows = server.sql("SELECT run, max(position) FROM fermata_events GROUP BY run")
    return {run: int(position) for run, position in (row.split("|") for row in rows.splitlines())}


def an_asynchronous_replica_that_lags_loses_commits_and_that_is_found(at):
    fleet = at.fleet.hire_all(at.asked.workers)
    count = at.asked.runs // 5
    feeding = fleet.feed(0, count // 2)
    fleet.until(lambda: len(lines(fleet.answers)) > at.asked.runs // 4, "starts are acknowledged")
    for worker in fleet.workers:  # what is under way isn't over before the replica is cut off
        worker.send_signal(signal.SIGSTOP)
    at.cut_off()
    for worker in fleet.workers:
        worker.send_signal(signal.SIGCONT)
    assert feeding.wait() == 0, "a client gave up"
    # What is left won't know this worker, nor the name of its build.
    late = fleet.hire(environment={"FERMATA_BUILD": "late"})
    assert fleet.feed(count // 2, count - count // 2).wait() == 0, "a client gave up"
    fleet.until(lambda: fleet.serves(late), "a worker starts")
    # A client that lives through it, and has been told of starts and signals that will be lost.
    living = Living(fleet, count)
    count += living.count
    ended = ENDED.format("state >= 3")
    lost_ends = set(at.primary.sql(ended).split()) - set(at.replica.sql(ended).split())
    seen, there, owned = ends(at.primary), ends(at.replica), owners(at.replica)
    at.fail_over()
    lost = {call: run for call, run in acknowledged(fleet).items() if run not in there}
    shorter = {run for run in there if there[run] < seen.get(run, 0)}
    print(f"{len(lost)} acknowledged starts are lost, {len(shorter)} runs are shorter than they were; "
          f"of {sum(seen.values())} events {sum(there.values())} are left", flush=True)
    assert lost and shorter, "nothing was lost, so nothing was tested"
    show(lost_and_named=len(lost))
    living.finds(at, fleet)

    # Workers find what they know, and say so. They know nothing of runs that they had ended, and that were
    # nobody's before.
    unnamed = {run for run in shorter if owned[run]}
    fleet.until(lambda: not unnamed - said_lost(fleet).keys(), f"those that somebody had are named: "
                f"{unnamed}", 10)

    # Clients make their calls again, and everything ends, with a fleet that never rests.
    fleet.answers.rename(fleet.home / "answers-before")
    begun = time.monotonic()
    assert fleet.feed(0, count).wait(timeout=150) == 0, "a client gave up"
    fleet.all_ended(60)
    fleet.until(lambda: "doesn't know this worker" in fleet.heard(late), "it is made known", 30)
    said = said_lost(fleet)
    told = sum(int(many) for many in re.findall(r"lacks (\d+) of the ends of runs", fleet.heard()))
    assert told >= len(lost_ends), f"workers had ended {len(lost_ends)} runs, and tell of {told}"
    print(f"workers named {len(said)} runs, {len(shorter & said.keys())} of the {len(shorter)} that "
          f"are shorter, and {told} ends; of clients' acks {len(lost)} are gone; all ended "
          f"{time.monotonic() - begun:.1f} s after the calls were made again", flush=True)
    assert fleet.dismiss() == [0] * (at.asked.workers + 1)
    assert at.replica.sql(NAMELESS) == "0|0", "names of the lost time are in use"
    at.primary.port = free_port()
    was = ends(at.primary.start())  # with what was written after we looked
    for run, (left, knew) in said.items():
        # Others may have gone on from where it was cut off.
        assert there.get(run, 0) <= left <= knew <= was[run], \
            f"{run}: {left} of {knew} was said, {there.get(run, 0)} of {was[run]} is so"
    forget_lost_attempts(fleet, set(ends(at.replica)))
    fleet.all_is_well(count)


ENDED = "SELECT fermata.run_text(run) FROM fermata.runs WHERE {}"

NAMELESS = """
    SELECT (SELECT count(*) FROM fermata.runs WHERE build <> 0 AND build NOT IN
             (SELECT id FROM fermata.names)),
           (SELECT count(*) FROM fermata.events WHERE name <> 0 AND name NOT IN
             (SELECT id FROM fermata.names))"""


def said_lost(fleet):
    """run → where the journal ends, and what its worker had seen at least, as workers said."""
    found = {run: (int(left), int(knew)) for run, left, knew in re.findall(
        r"run (run_\w+): the journal of the promoted server ends at position (\d+), and this worker "
        r"had seen position (\d+)", fleet.heard())}
    for run, knew in re.findall(r"run (run_\w+): the journal of the promoted server has another event at "
                                r"position (\d+)", fleet.heard()):
        found.setdefault(run, (int(knew), int(knew)))
    for run, left in re.findall(r"run (run_\w+): this worker had ended or parked it, and the journal "
                                r"of the promoted server has it at work at position (\d+)",
                                fleet.heard()):
        found.setdefault(run, (int(left), int(left)))
    return found


def forget_lost_attempts(fleet, known):
    """Attempts of runs that nobody knows any more have no outcome, and can't have one."""
    kept = [line for line in lines(fleet.mix_log) if line.split("/")[0] in known]
    fleet.mix_log.write_text("".join(line + "\n" for line in kept))


def the_old_primary_is_not_written_to_when_it_comes_back(at):
    at.synchronous()
    fleet = at.fleet.hire_all(at.asked.workers)
    assert fleet.feed(0, 4).wait() == 0
    fleet.all_ended()
    at.fail_over()
    before = fleet.feed(4, 4)
    assert before.wait(timeout=60) == 0, "a client gave up"
    fleet.all_ended()

    # It is writable, on its old timeline, and the first in everybody's address.
    at.primary.start()
    at.primary.set("synchronous_standby_names", "''")
    assert at.primary.sql("SHOW transaction_read_only") == "off"
    then = events(at.primary)
    # First who only listens needs another connection: it says, too, whom it met.
    at.replica.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fermata' "
                   "AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')")
    met = "was the primary before another was promoted"
    fleet.until(lambda: met in fleet.heard(), "a worker that listens says whom it met")
    # Every worker needs new connections.
    at.replica.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name "
                   "= 'fermata'")
    direct = at.replica.address()
    assert fleet.client("feed", 8, 10, fleet.answers, address=direct).wait() == 0
    begun = time.monotonic()
    assert fleet.client("wait", 60, address=direct).wait() == 0, "workers don't find the new primary"
    took = time.monotonic() - begun
    quiet = [log.name for log in fleet.logs if met not in log.read_text()]
    assert not quiet, f"{quiet} didn't notice"
    assert events(at.primary) == then, "something was written to the old primary"

    # Neither by whoever comes anew, while others of this host have seen the new one.
    fresh = fleet.hire()
    fleet.until(lambda: fleet.serves(fresh), "a fresh worker begins")
    fleet("start", "steps", STEPS, "--key", "afresh", "--wait", "30s")
    assert events(at.primary) == then, "a fresh process wrote to the old primary"
    at.replica.stop()
    refused = fleet.refuses(["start", "steps", STEPS], "FER-2105", "was the primary before", "remove ")
    assert events(at.primary) == then, "a fresh process wrote to the old primary"
    # Unless it is said that this is what should be worked on.
    seen = pathlib.Path(re.search(r"remove (/\S+\.timeline)", refused)[1])
    kept = seen.read_text()
    seen.unlink()
    fleet("list")
    fleet("start", "steps", STEPS, "--key", "restored")
    assert events(at.primary) == then and at.primary.sql(
        "SELECT count(*) FROM fermata.start_requests WHERE key = 'restored'") == "1"
    seen.write_text(kept)
    at.primary.stop()
    at.replica.start()
    print(f"nothing was written to the old primary; the fleet's {18 * 5} runs ended {took:.1f} s after "
          "the last start", flush=True)
    assert fleet.dismiss() == [0] * (at.asked.workers + 1)
    fleet.all_is_well(18)


def steps_on_queues_that_a_promotion_lost_are_found_by_who_executed_them(at):
    fleet, place = at.fleet, at.fleet.home / "films"
    place.mkdir()
    for role, flags in (("films", ()), ("gpu", ("--queue", "gpu"))):
        hired = fleet.hire(*flags, program="e2e_queues_worker",
                           environment={"ROLE": role, "PLACE": str(place)})
        fleet.until(lambda: fleet.serves(hired), "a worker starts")
    gpu = hired

    def begun(film):
        return [line for line in lines(place / "begun") if line.startswith(film + " by ")]

    def film(name):
        fleet("start", "make_film", f'"{name}"', "--key", name, "--unchecked")
        fleet.until(lambda: begun(name), f"{name} is rendered")

    # The new primary has this one as the worker's, and not what it came to.
    film("slow done")
    fleet.until(lambda: at.replica.sql("SELECT count(*) FROM fermata.tasks WHERE owner <> 0") == "1",
                "the replica knows")
    at.cut_off()
    (place / "go").touch()
    fleet.until(lambda: at.primary.sql(ENDED.format("state >= 3")), "the film is done")
    (place / "go").unlink()
    # It doesn't know this one, which is being executed.
    film("slow unknown")
    at.fail_over()

    fleet.until(lambda: len(begun("slow done")) == 2, "the one is executed again", 60)
    assert "had finished attempt 1 of step 'render'" in fleet.heard(gpu), fleet.heard(gpu)
    fleet.until(lambda: "slow unknown" in lines(place / "stopped"), "the other is told to stop")
    assert "doesn't have attempt 1 of step 'render'" in fleet.heard(gpu), fleet.heard(gpu)
    (place / "go").touch()
    assert "slow done rendered and cut" in fleet("result", "slow done", "--timeout", "30s").stdout
    assert fleet.dismiss() == [0, 0]
    fleet("verify")
    print("one step was executed again, one told to stop", flush=True)


STEPS = '{"number":1,"size":3}'

TESTS = [a_synchronous_replica_loses_nothing_that_was_acknowledged,
         an_asynchronous_replica_that_lags_loses_commits_and_that_is_found,
         the_old_primary_is_not_written_to_when_it_comes_back,
         steps_on_queues_that_a_promotion_lost_are_found_by_who_executed_them]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--runs", type=int, default=150)
    arguments.add_argument("--workers", type=int, default=3)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    return carry_out(TESTS * asked.rounds, lambda folder: Pair(asked, folder), asked.tests,
                     "fleet_promotion")


if __name__ == "__main__":
    sys.exit(main())
