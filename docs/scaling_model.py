#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How throughput grows with workers on one Postgres primary, and where it ends.

A closed queueing network, solved exactly by mean value analysis (Reiser and Lavenberg, 1980): each worker
is a customer that goes round and round: its own processor, the network, the server's cores, the log, the
sync. Cores and log are queues that all workers share, the rest is delay. Several cores are one queue that is
so many times as fast, and a delay (Seidmann, 1987). The costs are those measured by fermata-bench on two
cores (scaling.md); `--help` shows how to put in your own.
"""
import argparse

EVENTS_PER_RUN = 12  # ten steps, begun and ended


def runs_per_second(workers, a):
    """Runs per second of all, the share of the server's cores and of its log's disk in use."""
    events = a.in_flight  # a batch: one event of each run that waited for the last commit
    server = a.batch_us * 1e-6 + events * a.server_us / EVENTS_PER_RUN * 1e-6
    log = events * a.log_bytes / EVENTS_PER_RUN / (a.log_mb * 1e6)
    own = events * a.worker_us / EVENTS_PER_RUN * 1e-6
    delay = own + a.network_ms * 1e-3 + a.sync_ms * 1e-3 + server * (a.cores - 1) / a.cores
    queues = [server / a.cores, log]
    waiting = [0.0, 0.0]
    rate = 0.0
    for customers in range(1, workers + 1):
        spent = [demand * (1 + before) for demand, before in zip(queues, waiting)]
        rate = customers / (delay + sum(spent))
        waiting = [rate * one for one in spent]
    return rate * events / EVENTS_PER_RUN, rate * queues[0], rate * queues[1]


def table(a):
    lines = [f"| workers | runs per second, {a.cores} cores | cores | log |", "|---:|---:|---:|---:|"]
    for workers in (1, 2, 4, 8, 16, 32, 64):
        runs, cores, log = runs_per_second(workers, a)
        lines.append(f"| {workers} | {round(runs, -2):,.0f} | {cores:.0%} | {log:.0%} |")
    return "\n".join(lines)


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--cores", type=int, default=8, help="of the database server")
    ask.add_argument("--in-flight", type=int, default=256, help="runs under way in each worker")
    ask.add_argument("--server-us", type=float, default=190, help="of a core of the server, for a run of ten steps")
    ask.add_argument("--batch-us", type=float, default=300, help="the same for a batch, however large")
    ask.add_argument("--worker-us", type=float, default=200, help="of the worker's processor, for a run")
    ask.add_argument("--network-ms", type=float, default=0.5, help="there and back")
    ask.add_argument("--sync-ms", type=float, default=1.0, help="a sync of the log")
    ask.add_argument("--log-bytes", type=float, default=8300, help="of log for a run")
    ask.add_argument("--log-mb", type=float, default=200, help="MB/s that the log's disk takes")
    print(table(ask.parse_args()))


if __name__ == "__main__":
    main()
