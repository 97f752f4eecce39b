#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flips bytes of a journal with finished and waiting runs: `verify` names the run and the position,
and nobody else is harmed.

    flip.py BIN_FOLDER [--rounds 120] [--seed N]    so many flips at random places, beside those of
                                                     each column"""

import argparse
import json
import pathlib
import random
import shutil
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driven import ORDER, Place, carry_out  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "attack"))
from evidence import keep  # noqa: E402

KEYS = ("done", "victim", "other")
VICTIM_AT = 3  # step_completed: it has a value, an input, a salt and a digest


def make_journal(at):
    """One finished run and two that wait, each with a child; checkpointed, nobody has it open."""
    at.hire("e2e_cli_worker", "maker")
    for key in KEYS:
        at("start", "place_order", ORDER, "--key", key)
    at.until(lambda: all(at.reason(key) == "waits_for_signal" for key in KEYS), "all of them wait")
    at("signal", "done", "reviewed", '{"approved":true}')
    at("result", "done", "--timeout", "30s")
    at.dismiss("maker")
    db = sqlite3.connect(at.file)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    base = at.folder / "base.db"
    shutil.copy(at.file, base)
    return base


def fresh_copy(at, base):
    for old in at.folder.glob("copy.db*"):
        old.unlink()
    return pathlib.Path(shutil.copy(base, at.folder / "copy.db"))


def rows_of(base):
    db = sqlite3.connect(base)
    db.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in db.execute("SELECT * FROM events ORDER BY lsn")]
    finally:
        db.close()


def flipped(value, byte, bits):
    """The value with one byte changed; None when it has no such byte."""
    if value is None:
        return None
    if isinstance(value, int):
        return value ^ (bits << (8 * byte))
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    if byte >= len(raw):
        return None
    raw[byte] ^= bits
    return raw.decode("latin-1") if isinstance(value, str) else bytes(raw)


def width_of(value):
    if value is None:
        return 0
    if isinstance(value, int):
        return max(1, (value.bit_length() + 8) // 8)
    return len(value)


def write_past_the_guard(file, lsn, column, value):
    """As somebody does who takes the guard away, and puts it back. False: the index refuses it."""
    db = sqlite3.connect(file)
    try:
        guard = db.execute("SELECT sql FROM sqlite_master WHERE name = 'events_never_change'").fetchone()[0]
        db.execute("DROP TRIGGER events_never_change")
        try:
            changed = db.execute(f"UPDATE events SET {column} = ? WHERE lsn = ?", (value, lsn)).rowcount
        except sqlite3.IntegrityError:
            return False
        assert changed == 1
        db.execute(guard)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return True
    finally:
        db.close()


def findings_of(at, file):
    ran = at("verify", "-o", "json", code=None, journal=file)
    assert ran.returncode == 1 and ran.stdout, f"verify: {ran.returncode}\n{ran.stdout}{ran.stderr}"
    return json.loads(ran.stdout)["found"]


def check_named(at, file, run, position, what):
    found = findings_of(at, file)
    named = [one for one in found if one["run"] == run and one["position"] == position]
    assert named, f"{what}: verify doesn't name {run}, position {position}, only\n{found}"
    strangers = [one for one in found if one["run"] not in (run, None)]
    assert not strangers, f"{what}: other runs are named, too\n{strangers}"


def shown(at, run, file):
    return at.json("show", run, journal=file)["events"]


# ---- every column ----


def a_flip_in_any_column_is_named_and_only_its_run_is_held_up(at):
    base = make_journal(at)
    ids = {one["key"]: one["run"] for one in at.json("list", journal=base)["runs"] if one["key"]}
    others = [one["run"] for one in at.json("list", journal=base)["runs"] if one["run"] != ids["victim"]]
    before = {run: shown(at, run, base) for run in others}
    rows = rows_of(base)
    number = at.json("sql", "SELECT id FROM runs WHERE key = 'victim'", journal=base)["rows"][0]["id"]
    victim = next(r for r in rows if r["run"] == int(number) and r["position"] == VICTIM_AT)
    for column, value in victim.items():
        file = fresh_copy(at, base)
        new = flipped(value, width_of(value) // 2 if not isinstance(value, int) else 0, 0x40)
        assert new is not None and write_past_the_guard(file, victim["lsn"], column, new), column
        what = f"column {column}"
        check_named(at, file, ids["victim"], VICTIM_AT, what)
        assert before == {run: shown(at, run, file) for run in others}, f"{what}: others look different"
        at("show", "victim", code=None, journal=file)
        name = f"worker-{column}"
        at.hire("e2e_cli_worker", name, journal=file)
        for key in ("other", "victim"):
            at("signal", key, "reviewed", '{"approved":true}', journal=file)
        at("result", "other", "--timeout", "30s", journal=file)
        if column != "lsn":  # the order of the log isn't what a run is replayed by
            at.until(lambda: at.json("explain", "victim", journal=file)["reason"] == "blocked",
                     f"{what}: the victim is blocked")
            why = at("explain", "victim", journal=file).stdout
            assert "its journal is damaged" in why and f"position {VICTIM_AT}" in why, why
            assert "[FER-2103]" in at.heard(name), at.heard(name)
        at.dismiss(name)
        check_named(at, file, ids["victim"], VICTIM_AT, what + ", afterwards")


def a_damaged_time_does_not_move_the_clock_of_the_journal(at):
    base = make_journal(at)
    rows = rows_of(base)
    file = fresh_copy(at, base)
    last = rows[-1]
    far = flipped(last["at"], 6, 0x10)
    assert far > last["at"] and write_past_the_guard(file, last["lsn"], "at", far)
    at.hire("e2e_cli_worker", "worker", journal=file)
    run = at("start", "place_order", ORDER, "--key", "new", journal=file).stdout.strip()
    at.until(lambda: at.json("explain", run, journal=file)["reason"] == "waits_for_signal",
             "a new run waits for its review, whose 72 h haven't passed")
    db = sqlite3.connect(file)
    newest = max(at_ for (at_,) in db.execute("SELECT at FROM events WHERE lsn > ?", (last["lsn"],)))
    db.close()
    assert abs(newest / 1e6 - time.time()) < 3600, f"events are recorded at {newest}"
    at.dismiss()


def result_says_that_an_end_is_damaged(at):
    base = make_journal(at)
    number = int(at.json("sql", "SELECT id FROM runs WHERE key = 'done'", journal=base)["rows"][0]["id"])
    end = [row for row in rows_of(base) if row["run"] == number][-1]
    file = fresh_copy(at, base)
    assert write_past_the_guard(file, end["lsn"], "value", flipped(end["value"], 0, 0x40))
    at.refuses(["result", "done"], "FER-2103", f"position {end['position']}", journal=file)


def flips_at_random_places_are_found(at):
    base = make_journal(at)
    rows = rows_of(base)
    runs = names_by_row(at, base)
    chance = random.Random(SEED)
    done = 0
    while done < ROUNDS:
        row = chance.choice(rows)
        column = chance.choice(list(row))
        bits = chance.randrange(1, 256)
        width = width_of(row[column]) + (1 if isinstance(row[column], int) else 0)
        if width == 0:
            continue
        byte = chance.randrange(min(width, 8))
        if isinstance(row[column], int) and byte == 7:
            continue
        new = flipped(row[column], byte if isinstance(row[column], int) else
                      chance.randrange(width), bits)
        if column == "lsn" and order_stays(rows, row, new):
            continue  # its place in the log says nothing then
        if column == "run" and new in runs:
            continue  # another run gets an event too many: that one is named as well
        file = fresh_copy(at, base)
        if not write_past_the_guard(file, row["lsn"], column, new):
            continue
        done += 1
        found = findings_of(at, file)
        what = f"seed {SEED}: {column} of lsn {row['lsn']} from {row[column]!r} to {new!r}"
        last = row["position"] == max(r["position"] for r in rows if r["run"] == row["run"])
        hit = [one for one in found if one["run"] == runs[row["run"]] and
               (one["position"] == row["position"] or (last and column == "run"))]
        lost = last and column == "run"  # what remains is whole: the store knows of a stray event
        assert hit or (lost and found), f"{what}: verify says {found}"


def names_by_row(at, base):
    listed = {}
    for one in at.json("sql", "SELECT id, hex(run) AS hex FROM runs", journal=base)["rows"]:
        listed[int(one["id"])] = one["hex"]
    texts = [one["run"] for one in at.json("list", journal=base)["runs"]]
    return {number: next(t for t in texts if hex_of(t) == text) for number, text in listed.items()}


def hex_of(run):
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for letter in run.removeprefix("run_"):
        number = number * 32 + digits.index(letter)
    return f"{number:032X}"


def order_stays(rows, row, new):
    """Whether the run's events still come in the order of their positions."""
    lsns = [new if r["lsn"] == row["lsn"] else r["lsn"] for r in rows if r["run"] == row["run"]]
    return lsns == sorted(lsns)


# ---- the store's own pages ----


def a_flip_in_the_structure_of_a_page_is_store_damage_and_no_crash(at):
    base = make_journal(at)
    db = sqlite3.connect(base)
    size = db.execute("PRAGMA page_size").fetchone()[0]
    roots = dict(db.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"))
    db.close()
    raw = base.read_bytes()
    pages = {name: (roots[name] - 1) * size for name in ("events", "events_by_run", "runs", "names", "keys")
             if name in roots}
    events = pages["events"]
    if raw[events] == 5:  # an interior page: its rightmost child is a leaf with events
        pages["a leaf of events"] = (int.from_bytes(raw[events + 8:events + 12], "big") - 1) * size
    pages["the schema"] = 100
    for name, offset in pages.items():
        for byte in (0, 3, 5):  # its kind, the number of its cells, where they begin
            file = fresh_copy(at, base)
            broken = bytearray(raw)
            broken[offset + byte] ^= 0x55
            file.write_bytes(broken)
            what = f"byte {byte} of the header of {name}"
            ran = at("verify", code=1, journal=file)
            told = ran.stdout + ran.stderr
            assert "[FER-2103]" in told and ("store damage" in told or "malformed" in told), (what, told)
            # Whatever else is asked, nothing crashes: at() checks that.
            for words in (["list"], ["show", "victim"], ["status"], ["doctor"], ["sql", "SELECT 1"],
                          ["start", "place_order", ORDER]):
                at(*words, code=None, journal=file)
            if byte == 0:
                worker = at.hire("e2e_cli_worker", "worker", wait=False, journal=file)
                at.until(lambda: worker.poll() is not None
                         or f"as process {worker.pid} " in at.heard(), "the worker starts or gives up")
                for _ in range(2):  # the second says: don't wait for what can't be written
                    if worker.poll() is None:
                        worker.terminate()
                        time.sleep(0.3)
                assert worker.wait(timeout=30) in (0, 1), (what, worker.returncode, at.heard())
                at.workers.clear()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--rounds", type=int, default=120)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("tests", nargs="*")
    asked = arguments.parse_args()
    ROUNDS, SEED = asked.rounds, asked.seed
    print(f"seed {SEED}", flush=True)
    status = carry_out([
        a_flip_in_any_column_is_named_and_only_its_run_is_held_up,
        a_damaged_time_does_not_move_the_clock_of_the_journal,
        result_says_that_an_end_is_damaged,
        flips_at_random_places_are_found,
        a_flip_in_the_structure_of_a_page_is_store_damage_and_no_crash], asked.bin, asked.tests)
    if status == 0 and not asked.tests:
        keep("flip", SEED, rounds=ROUNDS, faults=ROUNDS)
    sys.exit(status)
