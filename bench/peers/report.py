# SPDX-License-Identifier: Apache-2.0
"""The page, from the lines that run.py wrote: the first says what was measured, each other is one
measurement, or says why there is none."""

import dataclasses
import statistics
import textwrap

REFERENCES = ("fermata-sqlite", "fermata-postgres")


@dataclasses.dataclass(frozen=True)
class Metric:
    workload: str
    key: str
    title: str
    more_is_better: bool = False
    optional: bool = False  # systems without it aren't expected to have it


METRICS = [
    Metric("W1", "p50_ms", "W1: ten steps one after the other, one run at a time; ms until its result, p50"),
    Metric("W1", "last_line_p50_ms", "W1, until the last line, where results are only looked for; ms, p50",
           optional=True),
    Metric("W2", "wf_per_s", "W2: ten steps, {in_flight} runs in flight; runs per second", more_is_better=True),
    Metric("W2", "p99_ms", "W2: from a run's start to its end; ms, p99"),
    Metric("W2", "cpu_ms_per_wf", "W2: processor time of client, worker and server; ms a run"),
    Metric("W3", "steps_ms", "W3: one run calls {width} steps at once and joins; ms"),
    Metric("W3", "children_ms", "W3: one run calls {width} children at once and joins; ms"),
    Metric("W4", "one_by_one_per_s", "W4: starts enqueued one by one, 64 at once; per second", more_is_better=True),
    Metric("W4", "batch_per_s", "W4: starts enqueued 1,000 a call, 4 calls at once; per second",
           more_is_better=True),
    Metric("W5", "per_s", "W5: {jobs:,} runs or jobs that do nothing, drained with 64 slots; per second",
           more_is_better=True),
    Metric("W7", "start_p50_ms", "W7: idle system, from asking for a start to the first line; ms, p50"),
    Metric("W7", "signal_p50_ms", "W7: idle system, from asking for a signal to the next line; ms, p50"),
]

BUILD = "cmake --preset release && cmake --build --preset release --target fermata_bench"

HOW = """
    `bench/peers/run.py` wrote this page; bench/peers/README.md says what is measured and what isn't comparable.

    - **{machine[cores]} cores, Linux {machine[kernel]}, {machine[disk]}**: clients, workers and servers are all on them.
      {measured}, rounds: {rounds}. {server_versions}
    - Everything syncs: SQLite `synchronous=FULL`; Postgres `fsync` and `synchronous_commit` on, a new server for each
      measurement, `shared_buffers` {shared_buffers}, else as Debian sets it; Redis as named below.
    - Steps do nothing; inputs and results are {sizes[payload]} bytes of JSON. A measurement is {sizes[seconds]:g} s long, longer where
      there are too few samples.
    - One system at a time, by turns: a round asks a workload of all of them, each with a new store, before the next
      workload. **Times are of this machine and hour; compare the ratios, and look at the raw probe.**
    - **× SQLite**, **× Postgres**: how many times better Fermata on that store was *in the same round*, median of the
      rounds; below 1 it was worse. **min–max** and **n** are of the rounds.
    - **lost** must be 0: steps or results that didn't come, of all rounds (–: not counted there).
    - **Raw probe**: bare writes without an engine in the same minute as Fermata's measurement. W1, twelve commits; W2 and
      W5, bare rows with as many in flight; W3, the fewest transactions; W4, rows; W7, one commit after a rest.
"""


AGAIN = """## Again

    {build}
    bench/peers/run.py {asked}

It needs npm, Debian's packages of `scripts/setup.sh`, and root or a user who may start Postgres. What else it needs it
puts below `build/peers`.
"""


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def table(titles, rows):
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


class Results:
    def __init__(self, lines):
        self.header, *self.lines = lines
        self.systems = self.header["systems"]

    def values(self, system, metric):
        """Round: value."""
        return {line["round"]: line["figures"][metric.key] for line in self.lines
                if line["system"] == system and line["workload"] == metric.workload
                and line.get("figures", {}).get(metric.key) is not None}

    def reasons(self, system, metric):
        """Why there are rounds without a value, each reason once."""
        error = metric.key.removesuffix("_ms") + "_error"
        said = [line.get("error") or line.get("figures", {}).get(error) for line in self.lines
                if line["system"] == system and line["workload"] == metric.workload]
        return sorted({reason for reason in said if reason})

    def lost(self, system, workload):
        counted = [line["figures"]["lost"] for line in self.lines if line["system"] == system
                   and line["workload"] == workload and "lost" in line.get("figures", {})]
        if not counted:
            return "–"
        return "0" if sum(counted) == 0 else f"**{sum(counted):.0f}**"

    def ratio(self, values, reference, metric):
        """How many times better the reference is, in the same round; and "–" without a common one."""
        of = self.values(reference, metric)
        common = [round_ for round_ in values if of.get(round_) and values[round_]]
        ratios = [of[i] / values[i] if metric.more_is_better else values[i] / of[i] for i in common]
        return number(statistics.median(ratios)) if ratios else "–"


def row(results, title, store, values, lost, metric):
    spread = f"{number(min(values.values()))}–{number(max(values.values()))}"
    return [title, store, number(statistics.median(values.values())), spread, str(len(values)),
            *(results.ratio(values, reference, metric) for reference in REFERENCES), lost]


def remarks_of(results, metric, system):
    """What has to be said below the table about one system."""
    found = results.values(system["name"], metric)
    reasons = results.reasons(system["name"], metric)
    rounds = results.header["rounds"]
    missing = rounds - len(found)
    lacks = system["lacks"].get(metric.key) or system["lacks"].get(metric.workload)
    if metric.optional and not found:
        return
    if lacks:
        yield f"not asked, as {lacks}"
    elif reasons:
        yield f"failed in {missing} of {rounds} rounds: {'; '.join(reasons)}"
    elif not found:
        yield "wasn't measured"
    elif missing > 0:
        yield f"{missing} of {rounds} rounds are missing"
    for key, text in (("not_in_time", "up to {} weren't executed in time; the speed is of those that were"),
                      ("repeated", "up to {} steps were executed again in a round")):
        most = max(results.values(system["name"], Metric(metric.workload, key, "")).values(), default=0)
        if most > 0:
            yield text.format(number(most))


def remarks(results, metric):
    """One line for all systems of which the same has to be said."""
    said = {}
    for system in results.systems:
        for text in remarks_of(results, metric, system):
            said.setdefault(text, []).append(f"{system['title']} ({system['store']})")
    return "\n".join(f"- {', '.join(names)}: {text}." for text, names in said.items())


def section(results, metric):
    rows = []
    for system in results.systems:
        values = results.values(system["name"], metric)
        if values:
            title = f"{system['title']} {system['version']}" if not system["ours"] else f"**{system['title']}**"
            rows.append(row(results, title, system["store"], values,
                            results.lost(system["name"], metric.workload), metric))
    for store in ("SQLite", "Postgres"):
        values = results.values(f"probe {store}", metric)
        if values:
            rows.append(row(results, "*raw probe*", store, values, "", metric))
    if metric.optional and not rows:
        return ""
    titles = ["system", "store", "median", "min–max", "n", "× SQLite", "× Postgres", "lost"]
    heading = "## " + metric.title.format(**results.header["sizes"])
    return "\n\n".join(filter(None, [heading, table(titles, rows), remarks(results, metric)])) + "\n"


def page(lines):
    results = Results(lines)
    header = results.header
    server_versions = ", ".join(f"{name} {version}" for name, version in header["versions"].items()) + "."
    parts = ["# Fermata beside other systems\n",
             textwrap.dedent(HOW).strip().format(server_versions=server_versions, **header) + "\n",
             "## The systems\n",
             table(["system", "version", "store", "settings"],
                   [[one["title"], one["version"], one["store"], one["settings"]] for one in results.systems]) + "\n"]
    if header["left_out"]:
        parts.append(f"Left out of this run by `--only`: {', '.join(header['left_out'])}.\n")
    parts += [part for metric in METRICS if metric.workload in header["workloads"]
              if (part := section(results, metric))]
    sized = " ".join(f"--{name.replace('_', '-')} {value:g}" for name, value in header["sizes"].items())
    asked = f"--rounds {header['rounds']} --workloads {','.join(header['workloads'])} {sized}"
    parts.append(AGAIN.format(build=BUILD, asked=asked))
    return "\n".join(parts)
