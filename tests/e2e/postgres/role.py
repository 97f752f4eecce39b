#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The schema, who makes it, and a role that has only what `fermata migrate --print-role` prints.

    role.py BIN_FOLDER [--rounds 10] [TEST...]
"""
import argparse
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, carry_out  # noqa: E402
from server import Server, schema_of  # noqa: E402

STEPS = '{"number":1,"size":3}'


class Place:
    def __init__(self, asked, folder):
        self.asked = asked
        self.server = Server().start().create()
        self.fleet = Fleet(asked.bin, self.server.address(), folder)

    def as_role(self, role="hand"):
        """The owner migrates; from here on the fleet works as the role."""
        self.fleet("migrate")
        self.server.sql(f"CREATE ROLE {role} LOGIN")
        self.server.sql(self.fleet("migrate", "--print-role", role).stdout)
        self.fleet.address = self.server.address(user=role)
        return self.fleet

    def close(self):
        self.fleet.close()
        self.server.remove()


def a_role_with_what_is_printed_works_with_every_verb(at):
    fleet = at.as_role()
    fleet.hire_all(1)
    done = fleet.json("start", "steps", STEPS, "--key", "done", "--wait", "30s")
    assert done["state"] == "completed", done
    for key in ("told", "ended", "stopped"):
        fleet("start", "signals", STEPS, "--key", key, "--tag", "from=role.py", "--deadline", "1h")
    for key in ("told", "ended", "stopped"):
        fleet.until(lambda k=key: fleet.json("explain", k)["reason"] == "waits_for_signal", f"{key} waits")
    fleet("signal", "told", "go", "7")
    assert "11" in fleet("result", "told", "--timeout", "30s").stdout
    fleet("cancel", "stopped", "--yes")
    fleet("result", "stopped", "--timeout", "30s", code=None)
    fleet("terminate", "ended", "--yes", "--why", "role.py")
    fleet("start", "saga", STEPS, "--key", "failed")
    fleet("result", "failed", "--timeout", "30s", code=None)
    fleet("retry", "failed", "--from-start", "--yes")
    fleet("result", "failed", "--timeout", "30s", code=None)
    states = {run["key"]: run["state"] for run in fleet.json("list", "--limit", "100")["runs"]
              if run["key"]}
    assert states == {"done": "completed", "told": "completed", "stopped": "cancelled",
                      "ended": "terminated", "failed": "failed"}, states
    assert "add_one" in fleet("show", "done").stdout
    for words in (["trace", "done"], ["logs", "done"], ["status"], ["doctor"], ["verify"],
                  ["sql", "select count(*) from fermata_events"], ["migrate"], ["list", "--wide"]):
        ran = fleet(*words, code=None)
        assert ran.returncode == 0 or (words[0] == "list" and ran.returncode == 2), \
            f"{words}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    fleet.feed(0, 5).wait()
    fleet.all_ended()
    month = at.server.sql("SELECT 'events_' || to_char(date_trunc('month', clock_timestamp() AT TIME "
                          "ZONE 'UTC') + interval '1 month', 'YYYY_MM')")
    at.server.sql(f"DROP TABLE fermata.{month}")
    assert f"{month[7:]} has none" in fleet("doctor", code=None).stdout
    fleet.hire()
    fleet.until(lambda: at.server.sql(f"SELECT to_regclass('fermata.{month}') IS NOT NULL") == "t",
                "a worker makes next month's partition")
    assert "this month and the next have theirs" in fleet("doctor").stdout
    assert fleet.dismiss() == [0, 0]
    said = fleet.heard()
    assert "lacks a right" not in said and "permission denied" not in said, said
    print("the role worked with every verb: start list show explain trace logs signal cancel terminate "
          "retry result status sql verify doctor migrate", flush=True)


def a_callers_role_starts_and_signals_by_sql_and_can_do_no_more(at):
    fleet = at.as_role()
    owner = Fleet(at.asked.bin, at.server.address(), at.fleet.home)
    at.server.sql("CREATE ROLE shop LOGIN")
    assert at.server.psql("SELECT fermata.start('steps')", user="shop").returncode != 0
    at.server.sql(owner("migrate", "--print-caller-role", "shop").stdout)
    run = at.server.sql(f"SELECT fermata.start('signals', '{STEPS}', 'by-sql')", user="shop")
    fleet.hire_all(1)
    fleet.until(lambda: fleet.json("explain", run)["reason"] == "waits_for_signal", f"{run} waits")
    at.server.sql(f"SELECT fermata.signal('{run}', 'go', '7')", user="shop")
    assert "11" in fleet("result", "by-sql", "--timeout", "30s").stdout
    for forbidden in ("SELECT * FROM fermata.runs", "SELECT * FROM fermata.start_requests",
                      "INSERT INTO fermata.keys VALUES (1, 'a', 'b', gen_random_uuid(), 0, '')"):
        assert "permission denied" in at.server.psql(forbidden, user="shop").stderr, forbidden


def events_are_neither_changed_nor_removed(at):
    fleet = at.as_role()
    fleet.hire_all(1)
    fleet("start", "steps", STEPS, "--key", "one", "--wait", "30s")
    assert fleet.dismiss() == [0]
    count = at.server.sql("SELECT count(*) FROM fermata.events")
    answers = []

    def refused(statement, why, user):
        ran = at.server.psql(statement, user=user)
        assert ran.returncode != 0, f"{user} may: {statement}"
        assert why in ran.stderr, f"{statement} as {user}: {ran.stderr}"
        answers.append(f"{user}: {statement.split(' WHERE')[0]}: {ran.stderr.splitlines()[0]}")

    for table in ("events", at.server.sql("SELECT tableoid::regclass::text FROM fermata.events "
                                          "LIMIT 1").split(".")[-1]):
        for statement in (f"DELETE FROM fermata.{table}", f"TRUNCATE fermata.{table}",
                          f"UPDATE fermata.{table} SET at = 0",
                          f"UPDATE fermata.{table} SET value = NULL",
                          f"DROP TABLE fermata.{table}"):
            refused(statement, "must be owner" if "DROP" in statement else "permission denied", "hand")
    refused("CREATE TABLE fermata.own (a int)", "permission denied", "hand")
    refused("DELETE FROM fermata.runs", "permission denied", "hand")
    refused("DELETE FROM fermata.events", "", "fermata")
    refused("UPDATE fermata.events SET at = 0", "", "fermata")
    refused("TRUNCATE fermata.events", "", "fermata")
    refused("TRUNCATE fermata.events, fermata.runs CASCADE", "", "fermata")
    for one in answers:
        print(f"  {one}", flush=True)
    assert at.server.sql("SELECT count(*) FROM fermata.events") == count
    fleet("verify")


def what_migrate_prints_makes_the_schema_that_migrate_makes(at):
    fleet = at.fleet
    for name in ("printed", "made"):
        at.server.create(name)
    printed = fleet("migrate", "--print", address=at.server.address("printed")).stdout
    ran = subprocess.run(["psql", *at.server.reached_by(), "-d", "printed", "-q", "-v",
                          "ON_ERROR_STOP=1"], input=printed, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    fleet("migrate", address=at.server.address("made"))
    one, other = schema_of(at.server, "printed"), schema_of(at.server, "made")
    assert one == other and "CREATE TABLE fermata.events" in one, "the schemas differ"
    again = fleet("migrate", "--print", address=at.server.address("printed")).stdout
    assert "nothing to do" in again, again
    print(f"pg_dump -s is the same, {len(one.splitlines())} lines", flush=True)


def two_workers_that_start_at_once_make_one_schema(at):
    fleet = at.fleet
    fleet("migrate")
    wanted = schema_of(at.server, "fermata")
    for number in range(at.asked.rounds):
        name = f"both{number}"
        at.server.create(name)
        pair = [fleet.hire(address=at.server.address(name)) for _ in range(2)]
        for worker in pair:
            fleet.until(lambda w=worker: fleet.serves(w), "a worker starts")
            worker.send_signal(signal.SIGTERM)
        assert [worker.wait(timeout=30) for worker in pair] == [0, 0], fleet.heard()
        for worker in pair:
            said = fleet.heard(worker)
            assert "warning" not in said and "error" not in said, said
        assert schema_of(at.server, name) == wanted, f"{name} has another schema"
        assert at.server.sql("SELECT count(*), max(version) FROM fermata.schema_version",
                             name) == "2|2"
        fleet.workers = []
    print(f"{at.asked.rounds} times two workers: one schema, no complaint", flush=True)


TESTS = [a_role_with_what_is_printed_works_with_every_verb,
         a_callers_role_starts_and_signals_by_sql_and_can_do_no_more, events_are_neither_changed_nor_removed,
         what_migrate_prints_makes_the_schema_that_migrate_makes,
         two_workers_that_start_at_once_make_one_schema]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    return carry_out(TESTS, lambda folder: Place(asked, folder), asked.tests, "fleet_role")


if __name__ == "__main__":
    sys.exit(main())
