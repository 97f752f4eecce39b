#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many clients start with the same key at the same moment: one run, as many equal answers; another input
under the key is a conflict. On Postgres and on SQLite.

    keys.py BIN_FOLDER [--clients 100] [--rounds 1] [TEST...]
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from fleet import Fleet, carry_out, show  # noqa: E402
from server import Server  # noqa: E402


class Place:
    def __init__(self, asked, folder):
        self.asked, self.folder = asked, folder
        self.server = self.fleet = None

    def on_postgres(self):
        # A command needs two connections, one of them for what others tell.
        self.server = Server(options="max_connections=400").start().create()
        self.fleet = Fleet(self.asked.bin, self.server.address(), self.folder)
        return self.fleet

    def on_sqlite(self):
        self.fleet = Fleet(self.asked.bin, f"sqlite:{self.folder}/journal.db", self.folder)
        return self.fleet

    def close(self):
        if self.fleet:
            self.fleet.close()
        if self.server:
            self.server.remove()


def start(fleet, key, number, code=0):
    """Again while there is no way to the database, as FER-2105 says: so many come at once."""
    words = ["start", "steps", json.dumps({"number": number, "size": 2}), "--key", key, "-o", "json"]
    for _ in range(20):
        ran = fleet(*words, code=None, timeout=120)
        if ran.returncode == 0 or "FER-2105" not in ran.stderr:
            break
    assert code is None or ran.returncode == code, f"{words} ended with {ran.returncode}\n{ran.stderr}"
    return ran


def all_at_once(fleet, clients, call):
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return list(pool.map(call, range(clients)))


def one_run(at, fleet):
    clients = at.asked.clients
    fleet.hire_all(1)
    for number in range(at.asked.rounds):
        key = f"same-{number}"
        answers = all_at_once(fleet, clients, lambda _, k=key: json.loads(start(fleet, k, 7).stdout))
        told = {answer["run"] for answer in answers}
        assert len(told) == 1, f"{key}: {len(told)} runs were answered: {sorted(told)[:5]}"
        there = [run for run in fleet.json("list", "--limit", "1000")["runs"] if run["key"] == key]
        assert [run["run"] for run in there] == list(told), f"{key}: {there}"
        fleet.refuses(["start", "steps", '{"number":8,"size":2}', "--key", key], "FER-1301")
        # And at once: whoever comes first decides, the others are told.
        race = f"race-{number}"
        ran = all_at_once(fleet, clients, lambda n, k=race: start(fleet, k, n, code=None))
        well = [one for one in ran if one.returncode == 0]
        refused = [one for one in ran if one.returncode != 0]
        assert len(well) == 1, f"{race}: {len(well)} different inputs were accepted"
        assert {json.loads(one.stderr)["code"] for one in refused} == {"FER-1301"}, refused
        show(acked=clients + len(well), refused=len(refused) + 1)
    fleet.all_ended()
    print(f"{clients} clients, {at.asked.rounds} rounds: 1 run and {clients} equal answers each; of "
          f"{clients} inputs 1 was accepted, {clients - 1} were a conflict", flush=True)
    assert fleet.dismiss() == [0]
    fleet("verify")


def a_key_is_one_run_on_postgres(at):
    one_run(at, at.on_postgres())


def a_key_is_one_run_on_sqlite(at):
    one_run(at, at.on_sqlite())


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--clients", type=int, default=100)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    return carry_out([a_key_is_one_run_on_postgres, a_key_is_one_run_on_sqlite],
                     lambda folder: Place(asked, folder), asked.tests, "fleet_keys")


if __name__ == "__main__":
    sys.exit(main())
