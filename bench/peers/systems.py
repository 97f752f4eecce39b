# SPDX-License-Identifier: Apache-2.0
"""The systems that are measured: what each is, how it is set up, what it can't be asked, and how it is run.
Each measurement has servers and a store of its own."""

import contextlib
import dataclasses
import json

from processes import Failed, free_ports, run, server, wait_for

WORKLOADS = ("W1", "W2", "W3", "W4", "W5", "W7")
POSTGRES = "Postgres"
SHARED_BUFFERS = "1GB"  # of every Postgres, ours too

NO_STEPS = "jobs have no steps"
# By workload, or by what is measured in it.
QUEUE_LACKS = {"W1": NO_STEPS, "W2": NO_STEPS, "W3": NO_STEPS, "signal_p50_ms": "jobs wait for no signals"}
NO_BATCHES = {"batch_per_s": "it has no such call"}
ACROSS_LACKS = {name: "this is measured in one process only" for name in ("W1", "W3", "W4", "W5")}


@dataclasses.dataclass(frozen=True)
class System:
    name: str
    title: str
    store: str
    settings: str
    lacks: dict = dataclasses.field(default_factory=dict)  # what it isn't asked: why
    driver: str = ""  # of drivers/; none: fermata-bench
    package: str = ""  # npm's, for its version
    env: dict = dataclasses.field(default_factory=dict)
    needs: tuple = ("npm",)

    def ours(self):
        return not self.driver


EMBEDDED = "client and worker in one process"
NODE_LIBRARY = "client and worker in one Node process"
SYSTEMS = [
    System("fermata-sqlite", "Fermata", "SQLite", f"defaults; {EMBEDDED}", needs=()),
    System("fermata-postgres", "Fermata", POSTGRES, f"defaults; {EMBEDDED}", needs=()),
    System("fermata-sqlite-across", "Fermata, two processes", "SQLite",
           "defaults; clients in one process, one worker in another", ACROSS_LACKS, needs=()),
    System("fermata-postgres-across", "Fermata, two processes", POSTGRES,
           "defaults; clients in one process, one worker in another", ACROSS_LACKS, needs=()),
    System("restate", "Restate", "its own log",
           "one node, defaults (its log and its RocksDB sync); server, worker and client are processes of "
           "their own, HTTP between them; W4 and W5: starts can't be held back, so W5 counts both",
           NO_BATCHES,
           driver="restate.mjs", package="@restatedev/restate-server", needs=("npm", "restate")),
    System("dbos", "DBOS Transact", POSTGRES,
           f"pool of 20 (its default is 10), notifications on; {NODE_LIBRARY}; W4 and W5 by a queue with "
           "its default pause of a second, everything else started directly",
           NO_BATCHES,
           driver="dbos.mjs", package="@dbos-inc/dbos-sdk"),
    System("openworkflow-sqlite", "OpenWorkflow", "SQLite",
           f"defaults (SQLite's `synchronous` stays FULL); as many slots as runs in flight; {NODE_LIBRARY}; "
           "looks for results once a second: W2 counts last lines",
           NO_BATCHES,
           driver="openworkflow.mjs", package="openworkflow", env={"PEERS_STORE": "sqlite"}),
    System("openworkflow-postgres", "OpenWorkflow", POSTGRES, "the same", NO_BATCHES,
           driver="openworkflow.mjs", package="openworkflow", env={"PEERS_STORE": "postgres"}),
    System("pg-boss", "pg-boss", POSTGRES,
           f"pool of 20, notifications on, 64 jobs a batch, again at once when full; {NODE_LIBRARY}",
           QUEUE_LACKS, driver="pg_boss.mjs", package="pg-boss"),
    System("graphile-worker", "graphile-worker", POSTGRES,
           f"pool of 20, 64 jobs at once; {NODE_LIBRARY}",
           QUEUE_LACKS, driver="graphile.mjs", package="graphile-worker"),
    System("graphile-worker-local", "graphile-worker, local queue", POSTGRES,
           "the same, and 500 jobs taken at a time into its local queue",
           QUEUE_LACKS, driver="graphile.mjs", package="graphile-worker", env={"PEERS_LOCAL_QUEUE": "500"}),
    System("bullmq", "BullMQ", "Redis",
           f"`appendfsync always`; 64 jobs at once; {NODE_LIBRARY}",
           QUEUE_LACKS, driver="bullmq.mjs", package="bullmq", env={"PEERS_APPENDFSYNC": "always"},
           needs=("npm", "redis")),
    System("bullmq-everysec", "BullMQ, not durable", "Redis",
           "`appendfsync everysec`: the last second may be lost; else the same",
           QUEUE_LACKS, driver="bullmq.mjs", package="bullmq", env={"PEERS_APPENDFSYNC": "everysec"},
           needs=("npm", "redis")),
]


def why_not(system, installed):
    """A sentence, if it can't be run here."""
    for need in system.needs:
        if need in installed.missing:
            return installed.missing[need]
    if "restate" in system.needs and not installed.restate.exists():
        return "can't be installed: its server isn't among the packages for this kind of machine"
    return None


class Bench:
    """Runs one measurement after the other; `sizes` are those of the command line."""

    def __init__(self, root, installed, folder, sizes):
        self.root, self.installed, self.folder, self.sizes = root, installed, folder, sizes
        self.timeout_s = 300 + 30 * sizes.seconds
        self.program = root / "build/release/bin/fermata-bench"

    def measure(self, system, workload):
        """(figures of the system, figures of the raw probe or None)"""
        if system.ours():
            return self.measure_ours(system, workload)
        with self.servers(system) as env:
            out = self.on_store(system, [self.installed.node, self.installed.drivers / system.driver,
                                         workload], env)
        return json.loads(out.splitlines()[-1]), None

    def on_store(self, system, command, env):
        if system.store == POSTGRES:
            command = [self.root / "scripts/with_postgres.sh", *command]
            env = {**env, "FERMATA_POSTGRES_FOLDER": str(self.folder),
                   "FERMATA_POSTGRES_OPTIONS": f"-c shared_buffers={SHARED_BUFFERS}"}
        return run(list(map(str, command)), self.timeout_s, env)

    def environment(self, system):
        return {
            "NODE_ENV": "production", "PEERS_FOLDER": str(self.folder),
            "PEERS_SECONDS": str(self.sizes.seconds), "PEERS_IN_FLIGHT": str(self.sizes.in_flight),
            "PEERS_JOBS": str(self.sizes.jobs), "PEERS_WIDTH": str(self.sizes.width),
            "PEERS_PAYLOAD": str(self.sizes.payload), **system.env,
        }

    @contextlib.contextmanager
    def servers(self, system):
        env = self.environment(system)
        starters = {"restate": self.restate, "bullmq": self.redis}
        start = starters.get(system.driver.removesuffix(".mjs"))
        if not start:
            yield env
            return
        with start(env) as more:
            yield {**env, **more}

    @contextlib.contextmanager
    def restate(self, env):
        ingress, admin, node, worker = free_ports(4)
        settings = {
            **env, "DO_NOT_TRACK": "1", "RESTATE_BASE_DIR": str(self.folder / "restate"),
            "RESTATE_LISTEN_MODE": "tcp", "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_ADVERTISED_HOST": "127.0.0.1", "RESTATE_NODE_NAME": "one",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}", "RESTATE_LOG_FILTER": "warn",
            "RESTATE_LOGGING": "ERROR",
        }
        serve = [str(self.installed.node), str(self.installed.drivers / "restate_worker.mjs"), str(worker)]
        with server([str(self.installed.restate)], self.folder / "restate.log", settings) as one, \
                server(serve, self.folder / "worker.log", settings) as other:
            yield {"PEERS_INGRESS_PORT": str(ingress), "PEERS_ADMIN_PORT": str(admin),
                   "PEERS_WORKER_PORT": str(worker), "PEERS_SERVERS": f"{one.pid},{other.pid}"}

    @contextlib.contextmanager
    def redis(self, env):
        (port,) = free_ports(1)
        data = self.folder / "redis"
        data.mkdir()
        command = [self.installed.redis, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(data),
                   "--appendonly", "yes", "--appendfsync", env["PEERS_APPENDFSYNC"], "--save", ""]
        with server(command, self.folder / "redis.log", self.installed.redis_environment()) as process:
            wait_for(port, process)
            yield {"PEERS_REDIS_PORT": str(port), "PEERS_SERVERS": str(process.pid)}

    def measure_ours(self, system, workload):
        sizes = self.sizes
        across = system.name.endswith("-across")
        # W2-across measures for a quarter of the time; W7 makes one start in that of dozens of signals.
        times = {"W2": 4 if across else 1, "W7": 3}.get(workload, 1)
        asked = f"{workload}-across" if across else workload
        command = [self.program, asked, "--on", "postgres" if system.store == POSTGRES else "sqlite",
                   "--repeat", 1, "--seconds", sizes.seconds * times, "--in-flight", sizes.in_flight,
                   "--payload", sizes.payload, "--width", sizes.width, "--runs", sizes.jobs,
                   "--processes", 1, "--slots", 64, "--folder", self.folder / "fermata"]
        lines = [json.loads(text) for text in self.on_store(system, command, {}).splitlines()]
        return ours(workload, lines)


def ours(workload, lines):
    """What fermata-bench said, in the words of the drivers."""
    first = lines[0]
    found = {"lost": sum(line.get(name, 0) for line in lines for name in ("lost", "lost_steps")),
             "repeated": sum(line.get(name, 0) for line in lines for name in ("repeated", "repeated_steps"))}
    if workload == "W1":
        return ({**found, "p50_ms": first["p50_ms"], "p99_ms": first["p99_ms"]},
                {"p50_ms": first["probe_12_commits_p50_ms"]})
    if workload == "W2":
        cpu_us = sum(value for name, value in first.items() if name.endswith("cpu_us_per_run"))
        return ({**found, "wf_per_s": first["wf_per_s"], "p99_ms": first["p99_ms"],
                 "cpu_ms_per_wf": cpu_us / 1000}, {"wf_per_s": first["probe_wf_per_s"]})
    if workload == "W3":
        kinds = {line["fan_out_to"]: line for line in lines}
        return ({**found, **{f"{kind}_ms": line["p50_ms"] for kind, line in kinds.items()}},
                {f"{kind}_ms": line["probe_p50_ms"] for kind, line in kinds.items()})
    if workload == "W4":
        wanted = {"one_by_one_per_s": (64, 1), "batch_per_s": (4, 1000)}
        kinds = {(line["clients"], line["starts_a_call"]): line for line in lines}
        return ({**found, **{name: kinds[key]["starts_per_s"] for name, key in wanted.items()}},
                {name: kinds[key]["probe_rows_per_s"] for name, key in wanted.items()})
    if workload == "W5":
        return ({"per_s": first["runs_per_s"], "not_in_time": first["not_in_time"]},
                {"per_s": first["probe_runs_per_s"]})
    if workload == "W7":
        names = ("start_p50_ms", "start_p99_ms", "signal_p50_ms", "signal_p99_ms")
        idle = first["probe_idle_commit_p50_ms"]
        return ({name: first[name] for name in names if name in first},
                {"start_p50_ms": idle, "signal_p50_ms": idle})
    raise Failed(f"{workload} isn't known")
