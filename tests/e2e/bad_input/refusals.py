#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `fermata` and a worker say to wrong input and to files that aren't their journal.

    refusals.py BIN_FOLDER [TEST...]

Each refusal says what, where and what to do, has its code, ends with the code's documented exit, and
leaves the journal as it was."""

import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driven import EXITS, ORDER, Place, carry_out  # noqa: E402

LIMIT = 8 * 1024 * 1024
TABLES = ("events", "runs", "start_requests", "inbox", "keys", "names", "schema_version")


def contents(file):
    """Every row of the tables that tell what happened."""
    db = sqlite3.connect(file)
    try:
        return {table: sorted(map(repr, db.execute(f"SELECT * FROM {table}"))) for table in TABLES}
    finally:
        db.close()


def with_a_waiting_run(at):
    at.hire("e2e_cli_worker")
    at("start", "place_order", ORDER, "--key", "k1")
    at.until(lambda: at.reason("k1") == "waits_for_signal", "k1 waits for its review")


def still_whole(at, before):
    assert contents(at.file) == before, "something was written"
    assert "all is sound" in at("verify").stdout


def order_of(size):
    """An order whose JSON has so many bytes."""
    frame = len('{"id":"","sku":"abc","cents":1}')
    return '{"id":"' + "x" * (size - frame) + '","sku":"abc","cents":1}'


def closed_copy(at, name):
    """A journal with one finished and one waiting run, in one file that nobody has open."""
    with_a_waiting_run(at)
    at.dismiss()
    db = sqlite3.connect(at.file)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return shutil.copy(at.file, at.folder / name)


# ---- input ----


def an_unknown_workflow_is_refused_with_what_it_may_have_meant(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    at.refuses(["start", "no_such_thing", "{}"], "FER-1304", "'no_such_thing'", "--unchecked")
    at.refuses(["start", "place_oder", ORDER], "FER-1304", "did you mean 'place_order'")
    at.refuses(["signal", "nobody", "reviewed", "{}"], "FER-1302", "'nobody'", "fermata list")
    at.refuses(["show", "nobody"], "FER-1302", "'nobody'", "fermata list")
    still_whole(at, before)


def an_input_of_the_wrong_shape_is_refused_with_the_shape(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    for wrong, said in (
        ('{"id":42}', "'id' is 42, it must be a string"),
        ('{"id":"1","cents":"many"}', "'cents' is \"many\", it must be"),
        ('{"id":"1","cents":3000000000}', "'cents' is 3000000000"),
        ('{"id":"1","cents":1.5}', "'cents' is 1.5"),
        ("[1,2]", "it must be an object"),
        ('"42"', "it must be an object"),
        ("null", "it must be an object"),
    ):
        text = at.refuses(["start", "place_order", wrong], "FER-1305", "workflow 'place_order'", said)
        assert '"cents":{"type":"integer"' in text, text
    at.refuses(["start", "place_order"], "FER-1305", "it is null, it must be an object")
    still_whole(at, before)


def what_is_not_json_is_refused_with_its_place(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    for wrong, said in (
        ('{"id":"a"', "it ends too early (line 1, column 10)"),
        ("{id:1}", "'i' isn't expected here (line 1, column 2)"),
        ("hello", "(line 1, column 1)"),
        ('{"id":"a"}}', "there is more behind its end"),
        ("[" * 5000, "nested too deeply"),
        ('{"id":"\x01"}', "isn't expected here"),
    ):
        at.refuses(["start", "place_order", wrong], "FER-1305", "isn't JSON", said)
        at.refuses(["signal", "k1", "reviewed", wrong], "FER-1305", "signal 'reviewed' isn't JSON")
    at.refuses(["start", "place_order", "-"], "FER-1305", "isn't JSON", stdin='{"id":')
    at.refuses(["start", "place_order", "@no-such-file.json"], "FER-4001", "no-such-file.json")
    at.refuses(["start", "place_order", f"@{at.folder}"], "FER-4001", str(at.folder))
    still_whole(at, before)


def a_payload_above_the_limit_is_refused_and_one_at_the_limit_is_not(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    large = at.folder / "large.json"
    large.write_text(order_of(LIMIT + 1))
    for more in ([], ["--unchecked"]):
        text = at.refuses(["start", "place_order", f"@{large}", *more], "FER-1401",
                          "workflow 'place_order'", str(LIMIT + 1), str(LIMIT), "store it elsewhere")
        assert text.lower().count("store it elsewhere") == 1, text
    at.refuses(["signal", "k1", "reviewed", f"@{large}"], "FER-1401", "signal 'reviewed'",
               "store it elsewhere")
    at.refuses(["start", "place_order", ORDER, "--key", "k" * 256], "FER-1307", "255")
    at.refuses(["start", "place_order", ORDER, "--tag", "a=" + "b" * 256], "FER-1404", "255")
    still_whole(at, before)
    large.write_text(order_of(LIMIT))
    run = at("start", "place_order", f"@{large}", "--delay", "1h").stdout.strip()
    assert run in at("list", "-o", "ids").stdout


def a_wrong_command_line_is_refused_with_the_usual_call(at):
    for words, said in (
        (["strat"], "did you mean 'start'"),
        (["list", "--no-such-flag"], "--no-such-flag"),
        (["list", "-o", "yaml"], "'yaml'"),
        (["show"], "fermata help show"),
        (["start", "w", "--unchecked", "--delay", "soon"], "soon"),
        (["result"], "fermata help result"),
    ):
        at.refuses(words, "FER-4001", said)
    del at.env["FERMATA_JOURNAL"]
    at.refuses(["list"], "FER-4002", "--journal", "FERMATA_JOURNAL")
    at.refuses(["list", "--journal", "mysql:x"], "FER-2001", "mysql:x")
    assert not list(at.folder.glob("*.db*"))


def a_text_that_is_not_utf8_is_refused_and_stops_no_worker(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    for words in (["cancel", "k1", "--why", b"d\xe9"], ["terminate", "k1", "--why", b"d\xe9"],
                  ["signal", "k1", b"r\xe9", "1"], ["list", "--namespace", b"\xff"],
                  ["start", "place_order", ORDER, "--queue", b"\xff"]):
        ran = subprocess.run([at.bin / "fermata", *words], env=at.env, capture_output=True, timeout=60)
        assert ran.returncode == EXITS["FER-1309"] and b"[FER-1309]" in ran.stderr, (words, ran)
    still_whole(at, before)
    at("signal", "k1", "reviewed", '{"approved":true}')
    at("result", "k1", "--timeout", "30s")


def a_message_that_can_not_be_read_blocks_only_its_own_run(at):
    with_a_waiting_run(at)
    at("start", "place_order", ORDER, "--key", "k2")
    at.until(lambda: at.reason("k2") == "waits_for_signal", "k2 waits for its review")
    db = sqlite3.connect(at.file, timeout=10)
    run = db.execute("SELECT r.run FROM runs r JOIN keys k ON k.chain = r.run WHERE k.key = 'k1'").fetchone()
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO inbox(chain, seq, id, kind, name, operation, accepted, sender, content_type, "
               "type, flags, value, details) VALUES (?, 1, randomblob(16), 2, 0, '', 1, zeroblob(16), 0, "
               "0, 0, x'', x'62031201e9')", run)
    db.execute("COMMIT")
    db.close()
    at("signal", "k1", "reviewed", '{"approved":true}')
    at("signal", "k2", "reviewed", '{"approved":true}')
    at("result", "k2", "--timeout", "30s")
    at.until(lambda: at.reason("k1") == "blocked", "k1 is blocked")
    assert "a message that waits for it is damaged" in at("explain", "k1").stdout
    assert "in its inbox is damaged" in at("verify", code=1).stdout
    assert "is blocked" in at("result", "k1", "--timeout", "1s", code=5).stderr
    at("terminate", "k1")
    assert "all is sound" in at("verify").stdout


def a_signal_of_the_wrong_shape_is_told_and_the_run_can_begin_anew(at):
    with_a_waiting_run(at)
    at("signal", "k1", "reviewed", '{"approved":"yes"}')
    at.until(lambda: at.reason("k1") == "blocked", "k1 is blocked")
    told = at.json("explain", "k1")
    assert "signal 'reviewed' at position" in told["sentence"] and "changed" not in told["sentence"], told
    at("terminate", "k1")
    run = at("retry", "k1", "--from-start").stdout.strip()
    at.until(lambda: at.reason(run) == "waits_for_signal", "the new run waits for its review")
    at("signal", "k1", "reviewed", '{"approved":true}')
    at("result", "k1", "--timeout", "30s")
    assert "all is sound" in at("verify").stdout


def a_failure_whose_text_is_not_utf8_is_recorded_readably(at):
    at.hire("e2e_cli_worker")
    run = at("start", "ship_order", '{"id":"1","sku":"latin"}').stdout.strip()
    text = at("result", run, "--timeout", "30s", code=1).stderr
    assert "d\ufffdlai" in text, text
    at.json("show", run)
    assert "all is sound" in at("verify").stdout


def an_output_that_can_not_be_written_is_no_success(at):
    with_a_waiting_run(at)
    for words in (["list"], ["show", "k1"], ["status", "-o", "json"]):
        with open("/dev/full", "w") as full:
            ran = subprocess.run([at.bin / "fermata", *words], env=at.env, stdout=full,
                                 stderr=subprocess.PIPE, text=True, timeout=60)
        assert ran.returncode == 1 and "FER-4003" in ran.stderr, (words, ran)


def a_start_that_is_refused_leaves_nothing_behind(at):
    at.refuses(["start", "w", "{}"], "FER-1304", "there is no journal")
    at.refuses(["start", "w", "{}", "--unchecked", "--wait", "foo"], "FER-4001", "the time to wait")
    assert not list(at.folder.glob("*.db*"))


# ---- sql ----


def sql_refuses_every_statement_that_writes(at):
    with_a_waiting_run(at)
    before = contents(at.file)
    files = sorted(os.listdir(at.folder))
    for statement in (
        "DELETE FROM events", "UPDATE runs SET state = 3", "INSERT INTO names(text) VALUES ('x')",
        "REPLACE INTO names(text) VALUES ('x')", "DROP TABLE runs", "DROP TRIGGER events_stay",
        "CREATE TABLE a(b)", "CREATE TEMP TABLE a(b)", "ALTER TABLE runs RENAME TO sprints",
        "WITH x AS (SELECT 1) DELETE FROM events", "SELECT 1; DELETE FROM events", "REINDEX", "VACUUM",
        f"VACUUM INTO '{at.folder}/y.db'", f"ATTACH '{at.folder}/x.db' AS x", "BEGIN IMMEDIATE",
        "PRAGMA journal_mode = DELETE", "PRAGMA user_version = 3", "PRAGMA writable_schema = ON",
        "PRAGMA wal_checkpoint", "ANALYZE",
    ):
        for form in ("table", "jsonl"):
            text = at.refuses(["sql", statement, "-o", form], "FER-4001") if form == "table" else \
                at("sql", statement, "-o", form, code=EXITS["FER-4001"]).stderr
            assert "only statements that read" in text and "FER-4001" in text, (statement, text)
    at.refuses(["sql", "SELEC 1"], "FER-4001", 'near "SELEC"')
    at.refuses(["sql", "SELECT input FROM start_requests"], "FER-4001", "start_requests.input", "--reveal")
    assert at.json("sql", "SELECT count(value) AS n FROM events", "--reveal")["rows"][0]["n"] > 0
    at.refuses(["sql", ""], "FER-4001")
    assert at.json("sql", "SELECT count(*) AS n FROM fermata_runs")["rows"] == [{"n": 2}]
    still_whole(at, before)
    assert sorted(os.listdir(at.folder)) == files, "a file was made"


# ---- files that aren't this version's journal ----


def a_missing_journal_is_never_made_by_who_only_looks(at):
    missing = at.folder / "missing.db"
    for words in (["doctor"], ["verify"], ["sql", "SELECT 1"], ["list"], ["show", "k1"], ["status"],
                  ["explain", "k1"], ["trace", "k1"], ["logs", "k1"], ["result", "k1"],
                  ["signal", "k1", "go"], ["cancel", "k1"], ["retry", "k1"], ["terminate", "k1"],
                  ["backup", str(at.folder / "b.db")], ["migrate"]):
        at.refuses(words, "FER-2002", str(missing), "there is no journal", journal=missing)
        problem = json.loads(at(*words, "-o", "json", code=4, journal=missing).stderr)
        assert problem["code"] == "FER-2002" and problem["exit"] == 4, problem
    nowhere = at.folder / "no-such-folder" / "a.db"
    at.refuses(["start", "w", "--unchecked"], "FER-2002", str(nowhere), "its folder doesn't exist",
               journal=nowhere)
    assert os.listdir(at.folder) == []


def tell_of(at, file, fer, *parts, user=None):
    """The command in all its ways, and a worker: the same code and sentence; the file stays."""
    was = file.read_bytes() if file.is_file() else None
    for words in (["list"], ["status"], ["verify"], ["sql", "SELECT 1"], ["show", "k1"],
                  ["start", "place_order", ORDER, "--unchecked"], ["signal", "k1", "reviewed"]):
        at.refuses(words, fer, str(file), *parts, journal=file, user=user)
    ran = at("doctor", code=1, journal=file, user=user)
    assert f"[{fer}]" in ran.stdout and "✗ bad" in ran.stdout, ran.stdout
    more = {"user": user, "group": user, "extra_groups": []} if user else {}
    worker = subprocess.run([at.bin / "e2e_cli_worker", "--journal", f"sqlite:{file}"],
                            capture_output=True, text=True, timeout=30, env=at.env, **more)
    assert worker.returncode == 1, (worker.returncode, worker.stderr)
    for part in (f"[{fer}]", str(file), *parts):
        assert part in worker.stderr, (part, worker.stderr)
    assert was is None or file.read_bytes() == was, f"{file} was changed"


def what_is_no_journal_is_left_alone(at):
    journal = pathlib.Path(closed_copy(at, "garbage.db"))
    bytes_of = bytearray(journal.read_bytes())
    bytes_of[:16] = b"garbage garbage!"
    journal.write_bytes(bytes_of)
    tell_of(at, journal, "FER-2002", "can't be opened as a journal", "file is not a database")
    text = at.folder / "text.db"
    text.write_text("I am a letter to somebody, and no database at all.\n" * 20)
    tell_of(at, text, "FER-2002", "can't be opened as a journal", "file is not a database")
    foreign = at.folder / "foreign.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE customers(name)")
    db.commit()
    db.close()
    tell_of(at, foreign, "FER-2002", "not a journal of Fermata's; name another file")
    folder = at.folder / "folder.db"
    folder.mkdir()
    tell_of(at, folder, "FER-2002", "is a folder, not a journal")
    beside = {one.name for one in at.folder.iterdir()}
    for name in ("garbage.db", "text.db", "foreign.db", "folder.db"):
        assert not {f"{name}-lock", f"{name}-wake", f"{name}-workers"} & beside, beside


def a_journal_that_was_cut_short_is_damage_and_not_another_file(at):
    whole = pathlib.Path(closed_copy(at, "whole.db"))
    for length in (50, 5000, whole.stat().st_size // 2):
        short = at.folder / f"short-{length}.db"
        short.write_bytes(whole.read_bytes()[:length])
        tell_of(at, short, "FER-2103", "malformed", "restore it from a backup")
    assert "all is sound" in at("verify", journal=whole).stdout


def a_journal_without_permission_is_named_with_the_right_that_is_missing(at):
    if os.geteuid() != 0:
        print("        (not as root: by file modes alone)")
    journal = pathlib.Path(closed_copy(at, "closed.db"))
    user = 65534 if os.geteuid() == 0 else None
    at.folder.chmod(0o755)
    for mode in (0o600 if user else 0o000, 0o444):
        journal.chmod(mode)
        was = sorted(os.listdir(at.folder))
        reads = journal.read_bytes if user else lambda: b""
        before = reads()
        for words in (["list"], ["verify"], ["start", "place_order", ORDER, "--unchecked"]):
            at.refuses(words, "FER-2006", str(journal), "Permission denied", "right", journal=journal,
                       user=user)
        assert reads() == before and sorted(os.listdir(at.folder)) == was
    journal.chmod(0o644)
    assert "all is sound" in at("verify", journal=journal).stdout


def a_journal_of_a_newer_version_is_left_to_that_version(at):
    journal = pathlib.Path(closed_copy(at, "newer.db"))

    def bump(readable_by_min):
        db = sqlite3.connect(journal)
        db.execute("UPDATE schema_version SET version = 99, written_by_min = 99, readable_by_min = ?, "
                   "written_by = '9.9.9' WHERE version = (SELECT max(version) FROM schema_version)",
                   (readable_by_min,))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()

    bump(99)
    tell_of(at, journal, "FER-2003", "9.9.9", "use that version, or a later one")
    text = at.refuses(["list"], "FER-2003", journal=journal)
    assert text.lower().count("use that version") == 1, text
    at.refuses(["migrate"], "FER-2003", "9.9.9", journal=journal)
    # One that older versions may still read: who only looks is answered, who would write isn't.
    bump(1)
    assert "all is sound" in at("verify", journal=journal).stdout
    assert at.json("sql", "SELECT count(*) AS n FROM fermata_runs", journal=journal)["rows"] == [
        {"n": 2}]
    at.refuses(["start", "place_order", ORDER], "FER-2003", "can't write to", journal=journal)
    at.refuses(["signal", "k1", "reviewed", "{}"], "FER-2003", "can't write to", journal=journal)


def a_worker_of_a_journal_that_another_version_migrated_stops_writing_and_says_so(at):
    with_a_waiting_run(at)
    db = sqlite3.connect(at.file, timeout=10)
    was = db.execute("SELECT version, written_by_min, written_by FROM schema_version "
                     "ORDER BY version DESC").fetchone()
    db.execute("UPDATE schema_version SET version = 99, written_by_min = 99, written_by = '9.9.9' "
               "WHERE version = ?", was[:1])
    db.commit()
    events = contents(at.file)["events"]
    at.refuses(["signal", "k1", "reviewed", '{"approved":true}'], "FER-2003", "9.9.9")
    at.until(lambda: "[FER-2003]" in at.heard(), "the worker says that it may not write any more", 40)
    assert contents(at.file)["events"] == events
    db.execute("UPDATE schema_version SET version = ?, written_by_min = ?, written_by = ? "
               "WHERE version = 99", was)
    db.commit()
    db.close()
    at("signal", "k1", "reviewed", '{"approved":true}')
    at("result", "k1", "--timeout", "30s")
    assert "all is sound" in at("verify").stdout


if __name__ == "__main__":
    all_tests = [one for name, one in list(globals().items())
                 if callable(one) and getattr(one, "__module__", "") == "__main__"
                 and name.startswith(("a_", "an_", "what_", "sql_"))]
    sys.exit(carry_out(all_tests, sys.argv[1], sys.argv[2:]))
