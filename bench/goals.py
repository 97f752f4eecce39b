#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""goals.py: measures W1 to W12 on SQLite and Postgres by turns, and writes bench/GOALS.md: each figure beside what
bare writes reached in the same minute, and beside its goal.

    cmake --preset release && cmake --build --preset release --target fermata_bench
    bench/goals.py                        # more than an hour; leave the machine alone meanwhile
    bench/goals.py --rounds 1 --only W1,W2 --page /tmp/page.md
    bench/goals.py --from build/goals.jsonl    # only the page, from what was measured before
"""

import argparse
import dataclasses
import datetime
import json
import operator
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STORES = ("sqlite", "postgres")
NAMES = {"sqlite": "SQLite", "postgres": "Postgres"}
IS = {"<=": operator.le, ">=": operator.ge}


@dataclasses.dataclass(frozen=True)
class Command:
    workload: str
    options: str = ""
    stores: tuple = STORES
    once: bool = False  # too long for each round
    preload: str = ""  # a library

    @property
    def name(self):
        """In the lines that are kept."""
        return f"{self.workload}-tcmalloc" if self.preload else self.workload


COMMANDS = [
    Command("W1", "--seconds 3"),
    Command("W2", "--seconds 3 --repeat 3"),
    Command("W2", "--seconds 3 --repeat 3 --in-flight 256", preload="libtcmalloc_minimal.so.4"),
    Command("W2-across", "--seconds 3 --in-flight 256"),
    Command("W3", "--seconds 4"),
    Command("W4", "--seconds 4 --runs 1000000"),
    Command("W5", "--seconds 2 --repeat 2 --runs 200000 --slots 16,64,256 --processes 1,2,4", once=True),
    Command("W6", "--runs 1000000 --rate 100000", once=True),
    Command("W6", "--runs 100000 --rate 10000"),
    Command("W7", "--seconds 2"),
    Command("W7-across", "--seconds 2"),
    Command("W8", "--repeat 3 --events 1000,10000,100000,1000000", stores=("sqlite",)),
    Command("W9", "--runs 100000", once=True),
    Command("W10", once=True, stores=("sqlite",)),
    Command("W11", "--seconds 3 --finished 1000,100000,1000000", once=True),
    Command("W11", "--seconds 1 --repeat 1 --finished 30000 --record-input hash", once=True),
    Command("W12", "--idle 60", once=True),
]


@dataclasses.dataclass(frozen=True)
class Figure:
    workload: str
    title: str
    column: str
    unit: str = ""
    where: tuple = ()  # (column, value) of the lines meant
    probe: str = ""
    ratio: str = ""
    goals: dict = dataclasses.field(default_factory=dict)  # by store: (column, "<=" or ">=", bound, words)


def both(*goal):
    return {store: goal for store in STORES}


FIGURES = [
    Figure("W1", "ten steps, one run at a time, p50", "p50_ms", "ms", probe="probe_12_commits_p50_ms", ratio="ratio",
           goals=both("ratio", "<=", 1.2, "≤ 1.2 × 12 commits")),
    *(Figure("W2", f"{n:,} in flight", "wf_per_s", "runs/s", (("in_flight", n),), "probe_wf_per_s", "ratio",
             {} if n != 256 else {"sqlite": ("wf_per_s", ">=", 10_000, "≥ 10,000 runs/s"),
                                  "postgres": ("wf_per_s", ">=", 5_000, "≥ 5,000 runs/s")})
      for n in (16, 64, 256, 1024)),
    Figure("W2", "256 in flight, beside bare rows", "ratio", "×", (("in_flight", 256),),
           goals=both("ratio", ">=", 0.7, "≥ 0.7")),
    Figure("W2", "256 in flight, start to end, p99", "p99_ms", "ms", (("in_flight", 256),),
           goals=both("p99_ms", "<=", 100, "≤ 100 ms")),
    Figure("W2-tcmalloc", "256 in flight, with tcmalloc for malloc", "wf_per_s", "runs/s", (), "probe_wf_per_s", "ratio",
           {"sqlite": ("wf_per_s", ">=", 10_000, "≥ 10,000 runs/s"),
            "postgres": ("wf_per_s", ">=", 5_000, "≥ 5,000 runs/s")}),
    Figure("W2-across", "256 in flight, client and worker apart", "wf_per_s", "runs/s", (), "probe_wf_per_s", "ratio"),
    Figure("W3", "1,000 steps at once", "p50_ms", "ms", (("fan_out_to", "steps"),), "probe_p50_ms", "ratio",
           both("p50_ms", "<=", 15, "≤ 15 ms")),
    Figure("W3", "1,000 children at once", "p50_ms", "ms", (("fan_out_to", "children"),), "probe_p50_ms", "ratio",
           both("ratio", "<=", 2, "≤ 2 × the rows")),
    *(Figure("W4", f"starts one by one, {n} clients", "starts_per_s", "/s", (("clients", n), ("starts_a_call", 1)),
             "probe_rows_per_s", "ratio") for n in (1, 16, 64)),
    Figure("W4", "starts, 1,000 a call", "starts_per_s", "/s", (("clients", 1), ("starts_a_call", 1000)),
           "probe_rows_per_s", "ratio", both("ratio", ">=", 0.8, "≥ 0.8 of bare rows")),
    *(Figure("W5", f"drain 200,000, {p} process{'' if p == 1 else 'es'}, {s} slots", "runs_per_s", "runs/s",
             (("processes", p), ("slots", s)), "probe_runs_per_s", "ratio",
             both("to_fewer_slots", ">=", 0.95, "no drop with slots") if s == 256 else {})
      for p in (1, 2, 4) for s in (16, 64, 256)),
    Figure("W6", "1,000,000 asleep, due within 10 s", "fires_per_s", "fires/s", (("due_per_s", 100_000),),
           "probe_fires_per_s", "ratio", both("ratio", ">=", 0.7, "≥ 0.7 of bare rows")),
    Figure("W6", "10,000 fires/s, lateness p99", "late_p99_ms", "ms", (("due_per_s", 10_000),),
           goals=both("late_p99_ms", "<=", 20, "≤ 20 ms")),
    Figure("W6", "1,000,000 asleep, restart", "restart_ms", "ms", (("due_per_s", 100_000),),
           goals=both("restart_ms", "<=", 2_000, "≤ 2 s")),
    Figure("W7", "signal to durable event, p50", "signal_p50_ms", "ms", (), "probe_idle_commit_p50_ms", "signal_ratio",
           both("signal_ratio", "<=", 2.4, "≤ 2.4 × one idle commit")),
    Figure("W7", "start to first line, p50", "start_p50_ms", "ms", (), "probe_idle_commit_p50_ms", "start_ratio",
           both("start_ratio", "<=", 1.3, "≤ 1.3 × one idle commit")),
    Figure("W7-across", "signal, across processes, p50", "signal_p50_ms", "ms", (), "probe_idle_commit_p50_ms",
           "signal_ratio", both("signal_over", "<=", 0.3, "≤ 3.6 × one idle commit + 0.3 ms")),
    Figure("W7-across", "start, across processes, p50", "start_p50_ms", "ms", (), "probe_idle_commit_p50_ms",
           "start_ratio", both("start_over", "<=", 0.3, "≤ 3.6 × one idle commit + 0.3 ms")),
    *(Figure("W8", f"replay of {n:,} events", "events_per_s", "/s", (("histories", 1), ("events_each", n)),
             goals={"sqlite": ("events_per_s", ">=", 1e6, "≥ 1,000,000/s")})
      for n in (1_000, 10_000, 100_000, 1_000_000)),
    Figure("W8", "replay of 10,000 histories of 65", "events_per_s", "/s", (("events_each", 65),),
           goals={"sqlite": ("events_per_s", ">=", 1e6, "≥ 1,000,000/s")}),
    *(Figure("W9", f"100,000 in flight killed, goes on in {how}: {what}", column, "ms", (("goes_on", value),),
             "probe_all_owned_ms" if column == "all_owned_ms" else "", "ratio" if column == "all_owned_ms" else "",
             both(column, "<=", bound, words))
      for how, value in (("another process", "another"), ("the same, restarted", "started anew"))
      for what, column, bound, words in (("first progress", "first_progress_ms", 100, "≤ 100 ms"),
                                         ("all owned", "all_owned_ms", 2_000, "≤ 2 s"))),
    Figure("W10", "a parked run with its frame", "bytes_per_run", "bytes", (("frames", "live"),),
           goals={"sqlite": ("bytes_per_run", "<=", 1_024, "≤ 1 KB")}),
    Figure("W10", "a parked run, evicted", "bytes_per_run", "bytes", (("frames", "evicted"),),
           goals={"sqlite": ("bytes_per_run", "<=", 64, "≤ 64 B")}),
    Figure("W11", "W2 with 1,000,000 finished runs, beside few", "to_few", "×", (("finished", 1_000_000),),
           goals=both("to_few", ">=", 0.95, "≥ 0.95")),
    Figure("W11", "list of 100 of 1,000,000, p99", "list_p99_ms", "ms", (("finished", 1_000_000),),
           goals=both("list_p99_ms", "<=", 5, "≤ 5 ms")),
    Figure("W11", "a finished ten-step run, on disk", "bytes_per_run", "bytes", (("finished", 1_000_000),),
           goals=both("bytes_per_run", "<=", 4_096, "≤ 4 KB")),
    Figure("W11", "the same, inputs of steps as hashes", "bytes_per_run", "bytes", (("finished", 30_000),),
           goals=both("bytes_per_run", "<=", 2_560, "≤ 2.5 KB")),
    Figure("W12", "minimal worker, stripped", "stripped_mb", "MB", goals=both("stripped_mb", "<=", 8, "≤ 8 MB")),
    Figure("W12", "start to first finished run", "first_run_p50_ms", "ms", (), "probe_exec_p50_ms", "",
           both("first_run_p50_ms", "<=", 20, "≤ 20 ms")),
    Figure("W12", "idle memory", "idle_rss_mb", "MB", goals=both("idle_rss_mb", "<=", 10, "≤ 10 MB")),
    Figure("W12", "statements of an idle worker", "statements_per_hour", "/hour",
           goals=both("statements_per_hour", "<=", 120, "a poll each 30 s")),
]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="medians are of N rounds; 3")
    parser.add_argument("--only", default="", metavar="W1,...", help="these workloads; all")
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin", metavar="DIR")
    parser.add_argument("--lines", type=Path, default=ROOT / "build/goals.jsonl", metavar="FILE",
                        help="where each measurement is kept as it comes")
    parser.add_argument("--from", dest="read", type=Path, metavar="FILE", help="measure nothing")
    parser.add_argument("--page", type=Path, default=ROOT / "bench/GOALS.md", metavar="FILE")
    return parser.parse_args()


def library(name):
    """Where it is: a loader that doesn't find it goes on without."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout.splitlines()
    found = [line.split("=> ")[1] for line in known if line.split()[:1] == [name]]
    return found[0] if found else sys.exit(f"goals: {name} isn't installed; scripts/setup.sh installs it")


def output(command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def machine():
    """What the figures are of, and on: pages of several machines are compared."""
    pairs = 500_000
    began = time.monotonic()
    output(["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={pairs}"])
    changed = output(["git", "status", "--porcelain", "--untracked-files=no"])
    return {"workload": "machine", "cores": os.cpu_count(), "kernel": platform.release().split("-")[0],
            "postgres": server_version(), "system_call_us": (time.monotonic() - began) / (2 * pairs) * 1e6,
            "commit": output(["git", "describe", "--always", "--abbrev=10"]) + ("+" if changed else "")}


def measure(bench, command, store):
    """The lines of one measurement, None if it failed. Each on Postgres has a server of its own."""
    call = [str(bench), command.workload, "--on", store, "--json", *command.options.split()]
    if command.preload:  # of ours alone: the server keeps what it has
        call[:0] = ["env", f"LD_PRELOAD={library(command.preload)}"]
    if store == "postgres":
        call.insert(0, str(ROOT / "scripts/with_postgres.sh"))
    done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"goals: {' '.join(call)} failed ({done.returncode}):\n{done.stderr}", file=sys.stderr, flush=True)
        return None
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [{**line, "workload": command.name} for line in lines] if command.preload else lines


def measure_all(how):
    """How many measurements failed: the others are kept, as they take an hour."""
    bench = how.bin / "fermata-bench"
    if not bench.exists():
        sys.exit(f"goals: {bench} isn't there; build it: cmake --preset release && cmake --build --preset release "
                 "--target fermata_bench")
    only = set(filter(None, how.only.split(",")))
    chosen = [one for one in COMMANDS if not only or one.workload in only]
    began = time.monotonic()
    failed = 0
    with how.lines.open("w") as kept:
        kept.write(json.dumps(machine()) + "\n")
        for number in range(how.rounds):
            for command in chosen:
                for store in command.stores if not command.once or number == 0 else ():
                    minutes = (time.monotonic() - began) / 60
                    print(f"{minutes:5.1f} min  round {number + 1} of {how.rounds}  {command.workload} on {NAMES[store]} "
                          f"{command.options}", file=sys.stderr, flush=True)
                    lines = measure(bench, command, store)
                    failed += lines is None
                    for line in lines or ():
                        kept.write(json.dumps({"store": store, "round": number + 1, **line}) + "\n")
                    kept.flush()
    return failed


def read(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["workload"] == "W7-across":
            for what in ("signal", "start"):
                line[f"{what}_over"] = line[f"{what}_p50_ms"] - 3.6 * line["probe_idle_commit_p50_ms"]
    return lines


def median(lines, column):
    """None where it wasn't measured."""
    values = [line[column] for line in lines if isinstance(line.get(column), (int, float))]
    return statistics.median(values) if values else None


def shown(value, unit=""):
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def row(figure, store, lines):
    mine = [line for line in lines if line.get("store") == store and line["workload"] == figure.workload and
            all(line.get(column) == value for column, value in figure.where)]
    ours = median(mine, figure.column)
    if ours is None:
        return None
    probe = median(mine, figure.probe) if figure.probe else None
    ratio = median(mine, figure.ratio) if figure.ratio else None
    words, reached = "", ""
    if store in figure.goals:
        column, compare, bound, words = figure.goals[store]
        reached = "yes" if IS[compare](median(mine, column), bound) else "**no**"
    rounds = len({line["round"] for line in mine})
    return [figure.workload, figure.title, NAMES[store], shown(ours, figure.unit),
            shown(probe, figure.unit) if figure.probe else "", shown(ratio) if figure.ratio else "", words, reached,
            str(rounds)]


HEAD = """# Fermata beside its goals

`bench/goals.py` wrote this page; `bench/README.md` says what is measured and what the probes are: bare writes, without an
engine, in the same minute. **Times are of one machine and hour; compare the ratios.** Everything syncs; each step is durable before the
next. Client, worker and database share the processors. Medians of so many rounds, SQLite and Postgres by turns.

{when}, commit {commit}; {cores} processors, Linux {kernel}, {postgres}, a system call takes {call}.
Goals reached: {reached} of {goals}; lost or repeated steps or runs: {lost}. Why the others aren't is in [docs/performance.md](../docs/performance.md).

| | what | store | ours | bare writes | ratio | goal | reached | rounds |
|---|---|---|---|---|---|---|---|---|
"""

LOSSES = ("lost", "repeated", "lost_steps", "repeated_steps", "lost_runs", "missing_runs", "repeated_beyond", "early")


def lost_of(line):
    # W9 executes again what had no committed outcome at the kill: `repeated_beyond` is what must not be.
    return sum(line.get(column) or 0 for column in LOSSES if (line["workload"], column) != ("W9", "repeated_steps"))


def server_version():
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        return subprocess.run([folder, "--version"], capture_output=True, text=True).stdout.strip()
    return "no Postgres"


def page(lines, when):
    rows = [made for figure in FIGURES for store in STORES if (made := row(figure, store, lines))]
    with_goals = [one for one in rows if one[7]]
    on = next((line for line in lines if line["workload"] == "machine"), {})
    head = HEAD.format(when=when, commit=on.get("commit", "–"), cores=on.get("cores", "–"), kernel=on.get("kernel", "–"),
                       postgres=on.get("postgres", "–"), call=shown(on.get("system_call_us"), "µs"), reached=sum(one[7] == "yes" for one in with_goals),
                       goals=len(with_goals), lost=f"{sum(map(lost_of, lines)):.0f}")
    return head + "".join("| " + " | ".join(one) + " |\n" for one in rows)


def main():
    how = parse()
    failed = 0 if how.read else measure_all(how)
    source = how.read or how.lines
    when = datetime.date.fromtimestamp(source.stat().st_mtime).isoformat()
    how.page.write_text(page(read(source), when))
    print(f"{how.page}", file=sys.stderr)
    if failed:
        sys.exit(f"goals: {failed} measurements failed and are missing in it")


if __name__ == "__main__":
    main()
