#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each workload of fermata-bench in a tiny size: it ends, says what it should, and counts nothing lost
and nothing done twice.

    small.py FERMATA_BENCH sqlite|postgres        # postgres: beneath scripts/with_postgres.sh
"""
import json
import subprocess
import sys

# W8 and W10 have no tiny size. The payload is the larger one of the two that are measured.
SIZES = ("--seconds 0.4 --repeat 1 --payload 4096 --in-flight 16 --runs 300 --width 50 --rate 20000 "
         "--finished 200,400 --slots 16 --processes 1 --idle 0.2").split()
# Of each workload: how many lines, and what must be above zero in them, however slow the machine is:
# in so short a time nothing may be completed, so what is counted by the second isn't among them.
WORKLOADS = {
    "W1": (1, ["p50_ms", "probe_12_commits_p50_ms"]),
    "W2": (1, ["runs", "p50_ms", "commits_per_run"]),
    "W2-open-loop": (3, ["capacity_per_s", "p50_ms", "p999_ms"]),
    "W2-across": (2, ["runs", "p50_ms", "workers_cpu_us_per_run"]),
    "W3": (2, ["p50_ms", "p99_ms", "probe_p50_ms", "commits_per_run"]),
    "W4": (5, ["starts_per_s", "probe_rows_per_s", "commits_per_start"]),
    "W5": (1, ["cpu_us_per_run"]),
    "W6": (1, ["created_per_s", "asleep_rss_mb", "restart_ms", "restarted_rss_mb", "fires_per_s",
               "probe_fires_per_s", "late_p99_ms"]),
    "W7": (1, ["signal_p50_ms", "start_p50_ms", "probe_idle_commit_p50_ms"]),
    "W7-across": (1, ["signal_p50_ms", "start_p50_ms", "probe_idle_commit_p50_ms"]),
    "W9": (2, ["all_owned_ms", "all_ended_ms"]),
    "W11": (2, ["list_p99_ms", "completed_p99_ms", "none_p99_ms", "tag_p99_ms", "bytes_per_run"]),
    "W12": (1, ["stripped_mb", "first_run_p50_ms", "idle_rss_mb"]),
}
NOTHING = {"lost", "lost_steps", "lost_runs", "missing_runs", "repeated", "repeated_beyond", "early"}


def problems(line):
    workload = line["workload"]
    for name in WORKLOADS[workload][1]:
        if not line.get(name, 0) > 0:
            yield f"{name} is {line.get(name, 'missing')}"
    for name, value in line.items():
        # A killed worker's steps are repeated: W9 compares them with those in flight.
        if (name in NOTHING or (name == "repeated_steps" and workload != "W9")) and value != 0:
            yield f"{name} is {value}"


def main():
    program, store = sys.argv[1:]
    ran = subprocess.run([program, *WORKLOADS, *SIZES, "--on", store], capture_output=True, text=True,
                         timeout=240)
    print(ran.stdout, ran.stderr, sep="", flush=True)
    assert ran.returncode == 0, f"exit code {ran.returncode}"
    lines = [json.loads(text) for text in ran.stdout.splitlines()]
    wrong = [f"{line['workload']}: {what}" for line in lines for what in problems(line)]
    for workload, (count, _) in WORKLOADS.items():
        found = sum(line["workload"] == workload for line in lines)
        if found != count:
            wrong.append(f"{workload}: {found} lines, not {count}")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
