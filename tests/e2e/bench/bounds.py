# SPDX-License-Identifier: Apache-2.0
"""What a run, a step, a replayed event and an idle worker may cost, in counts that don't depend on the machine's
speed: the one table of bounds. Each lies some 10 to 20 % above what was measured; who makes something cheaper lowers it.

A line: where, what is asked, the value (a column of fermata-bench's line, or a sum of them), least, most, the reason.
Where commits are shared by chance of timing, what grows with each commit is taken off.
"""

BOUNDS = [
    # One run at a time. Nothing is shared: the counts are exact, but for claims of an idle worker.
    ("sqlite", "W1", "commits_per_run", 12, 12.5, "start, ten steps, end: 12, and 12.04 with looks"),
    ("sqlite", "W1", "fsyncs_per_run", 12, 13, "one a commit, 12.1; checkpoints have two more every 1,000 pages"),
    ("sqlite", "W1", "statements_per_run", 1, 90, "80 to 81: under seven a commit, and the start's rows"),
    ("sqlite", "W1", "wal_bytes_per_run", 1, 225_000, "197 KB: four pages of 4 KB in each of 12 commits"),
    ("sqlite", "W1", "switches_per_run", 1, 110, "54: four or five a step; a crowded machine has more"),
    ("postgres", "W1", "commits_per_run", 12, 13.8, "12.5: 12, and claims that found nothing"),
    ("postgres", "W1", "statements_per_run", 1, 43, "37.5: three a commit"),
    ("postgres", "W1", "wal_bytes_per_run", 1, 10_500, "8.6 KB: rows and index entries of 12 events"),
    ("postgres", "W1", "switches_per_run", 1, 80, "34: a step's thread, the loop, the socket"),
    # 64 in flight. How many share a commit hangs on the disk, so commits are bounded loosely.
    ("sqlite", "W2", "commits_per_run", 0.05, 2.5, "12 were no group commit; 0.4 on a slow disk, 1 on a quick one"),
    ("sqlite", "W2", "fsyncs_per_run - commits_per_run", -0.1, 0.25, "each commit has one, checkpoints two"),
    ("sqlite", "W2", "statements_per_run - 12 * commits_per_run", 1, 10.5, "8.6: 12 for a commit's own, the rest for rows"),
    ("sqlite", "W2", "wal_bytes_per_run - 34_000 * commits_per_run", -20_000, 14_000,
     "9.5 to 11 KB: some eight pages a commit that any row touches, the rest for rows"),
    ("sqlite", "W2", "switches_per_run", 0.1, 30, "6: hand-overs are batches, not one a step (40 and more)"),
    ("postgres", "W2", "commits_per_run", 0.05, 4, "0.9: four lanes; 12 were no group commit"),
    ("postgres", "W2", "statements_per_run - 6 * commits_per_run", -20, 1, "4.5 to 5.4 a commit, however many runs are in it"),
    ("postgres", "W2", "wal_bytes_per_run", 1, 9_500, "7.8 KB: as W1, with fewer commits"),
    ("postgres", "W2", "switches_per_run", 0.1, 30, "7: as SQLite, and the sockets"),
    # Clients in a process of their own, 64 runs in flight, two worker processes: who waits is looked for together. When
    # each looked whenever others had written anything, it were 27 statements and 29 to 40 thread changes.
    ("sqlite", "W2-across", "switches_per_run", 0.1, 12, "3.2 to 3.4: a thread that starts and is told, and the thread that looks"),
    ("postgres", "W2-across", "statements_per_run", 0.1, 6, "2.4 to 2.9: one look when the wait begins, a share of the starts and of looks for all"),
    ("postgres", "W2-across", "switches_per_run", 0.1, 16, "4.4: as SQLite, and the sockets"),
    # Nothing to do, for 8 s: a poll each 30 s and a look at leases each 15 s; tests/e2e/postgres/idle.py has it longer.
    ("sqlite", "W12", "idle_statements", 0, 12, "9 in 8 s: a look is several; a statement each 50 ms were 160"),
    ("postgres", "W12", "idle_statements", 0, 4, "0 or 1: 360 an hour are three in 30 s"),
    # Warm, one run at a time, the run's start and end shared out over its ten steps.
    ("allocations", "memory", "allocations_per_step", 1, 65, "59.1, the same each time: machine, frame, and the testing kit with its journal"),
    ("allocations", "sqlite", "allocations_per_step", 1, 54, "49.1: loop, encoding, rows, and the client that starts and awaits"),
    ("allocations", "sqlite", "sqlite_allocations_per_step", 0.1, 20, "15.5 to 17, a commit for each step: pages of the log's index, cursors"),
    ("instructions", "memory", "instructions_per_step", 1, 80_000, "72,886 by callgrind, the same each time: as above, compiled with -O1"),
    ("instructions", "W8", "instructions_per_event", 1, 26_000, "22,895 to 22,946: read, decoded, replayed from SQLite; -O1, too"),
]
