# SPDX-License-Identifier: Apache-2.0
"""bench/goals.py: its page says what was reached and what wasn't, and asks for columns that there are.

    goals_page.py SOURCE_DIR
"""

import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
spec = importlib.util.spec_from_file_location("goals", ROOT / "bench/goals.py")
goals = importlib.util.module_from_spec(spec)
sys.modules["goals"] = goals  # dataclasses look there
spec.loader.exec_module(goals)


def check(what, holds):
    if not holds:
        sys.exit(f"goals_page: {what}")


def line(store, number, **columns):
    return {"store": store, "round": number, **columns}


def page_of(lines):
    return goals.page(lines, "2026-01-01")


# A median of three rounds; one goal reached, one not; nothing said of what wasn't measured.
w1 = [line("sqlite", n, workload="W1", p50_ms=ms, probe_12_commits_p50_ms=1.0, ratio=ms, lost_steps=0)
      for n, ms in ((1, 1.1), (2, 9.0), (3, 1.15))]
slow = line("postgres", 1, workload="W1", p50_ms=2.5, probe_12_commits_p50_ms=1.0, ratio=2.5)
text = page_of([*w1, slow])
check(f"W1 on SQLite, its median and goal:\n{text}", "| SQLite | 1.15 ms | 1 ms | 1.15 | ≤ 1.2 × 12 commits | yes | 3 |" in text)
check(f"W1 on Postgres misses its goal:\n{text}", "| Postgres | 2.5 ms | 1 ms | 2.5 | ≤ 1.2 × 12 commits | **no** | 1 |" in text)
check(f"one of two is reached:\n{text}", "Goals reached: 1 of 2;" in text)
check(f"nothing is said of W2:\n{text}", "W2" not in text)

# What it was measured on is said as it was noted then, not as it is now.
there = {"workload": "machine", "commit": "abc+", "cores": 64, "kernel": "9.9", "postgres": "postgres 99", "system_call_us": 1.25}
text = page_of([there, *w1])
check(f"the machine:\n{text}", "commit abc+; 64 processors, Linux 9.9, postgres 99, a system call takes 1.25 µs.\n" in text)
check("a machine's line is made so", set(goals.machine()) == set(there))

# What was lost is counted; what W9 had under way at the kill isn't lost.
w9 = line("sqlite", 1, workload="W9", goes_on="another", lost_steps=2, repeated_steps=70, repeated_beyond=1)
check("lost and repeated", goals.lost_of(w9) == 3)

# A column that the program calls otherwise now would leave the page without a word.
put = set(re.findall(r'put\("([a-z0-9_]+)"', "".join(f.read_text() for f in (ROOT / "bench").glob("*.cpp"))))
asked = {name for one in goals.FIGURES for name in (one.column, one.probe, one.ratio, *(c for c, _ in one.where),
                                                    *(goal[0] for goal in one.goals.values()))}
made_here = {"", "signal_over", "start_over", "list_p99_ms"}  # W11 puts its lists by their names
check(f"no such columns: {sorted(asked - put - made_here)}", asked <= put | made_here)
check("each figure's workload is measured", {f.workload for f in goals.FIGURES} == {c.name for c in goals.COMMANDS})
print("the page is as it should be")
