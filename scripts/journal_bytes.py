#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where a journal's bytes are: by table and index, for each run that it has, and by column of events.

    journal_bytes.py FILE                # SQLite; a copy, or one that nobody writes
    journal_bytes.py SCHEMA              # Postgres, by psql: the one that PGHOST … name
"""
import os
import sqlite3
import subprocess
import sys

COLUMNS = ["operation", "value", "input", "salt", "digest", "details", "chain"]


def show(heads, rows, runs):
    print(f"{runs} runs; bytes a run")
    rows = [heads] + [[f"{cell:.1f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    for row in rows:
        print(f"{row[0]:28}", *(f"{cell:>10}" for cell in row[1:]))


def of_sqlite(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    runs = max(1, db.execute("SELECT count(*) FROM runs").fetchone()[0])
    parts = db.execute("SELECT name, sum(pgsize), sum(payload), sum(unused) FROM dbstat GROUP BY name "
                       "ORDER BY 2 DESC").fetchall()
    rows = [[name, size / runs, payload / runs, unused / runs, (size - payload - unused) / runs]
            for name, size, payload, unused in parts if size / runs >= 1]
    rows.append(["all", *(sum(part[i] for part in parts) / runs for i in (1, 2, 3)), ""])
    show(["", "pages", "payload", "unused", "overhead"], rows, runs)
    sums = ", ".join(f"sum(length({name}))" for name in COLUMNS)
    found = db.execute(f"SELECT count(*), {sums} FROM events").fetchone()
    return runs, found


def ask(sql):
    lines = subprocess.run(["psql", "-AtF", "|", "-c", sql], check=True, capture_output=True, text=True)
    return [line.split("|") for line in lines.stdout.splitlines()]


def of_postgres(schema):
    runs = max(1, int(ask(f"SELECT count(*) FROM {schema}.runs")[0][0]))
    parts = ask("SELECT c.relname, pg_relation_size(c.oid), greatest(c.reltuples, 0)::int8 FROM pg_class c "
                f"WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind IN ('r', 'i') ORDER BY 2 DESC")
    rows = [[name, int(size) / runs, int(tuples) / runs] for name, size, tuples in parts if int(size) >= runs]
    rows.append(["all", sum(int(part[1]) for part in parts) / runs, ""])
    show(["", "pages", "rows"], rows, runs)
    sums = ", ".join(f"sum(pg_column_size({name}))" for name in COLUMNS)
    found = ask(f"SELECT count(*), {sums}, sum(pg_column_size(e.*)) FROM {schema}.events e")[0]
    return runs, [int(cell or 0) for cell in found]


def main():
    where = sys.argv[1]
    runs, found = of_sqlite(where) if os.path.exists(where) else of_postgres(where)
    named = zip(["rows", *COLUMNS, "whole rows"], found)
    print("events:", ", ".join(f"{name} {(cell or 0) / runs:.1f}" for name, cell in named))


if __name__ == "__main__":
    main()
