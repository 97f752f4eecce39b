#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures Fermata beside other workflow engines and queues, one system at a time, by turns, and writes
bench/RESULTS.md. README.md says what is measured and how.

    bench/peers/run.py                           # all of it, five rounds
    bench/peers/run.py --rounds 1 --only restate,dbos --workloads W1,W2
    bench/peers/run.py --report                  # writes the page from the last results
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import report
from install import install
from processes import Failed, end_in_order, run
from systems import SHARED_BUFFERS, SYSTEMS, WORKLOADS, Bench, why_not

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/peers"


def arguments():
    listed = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    others = " ".join(system.name for system in SYSTEMS if not system.ours())
    parser.add_argument("--only", type=listed, metavar="NAME,...",
                        help=f"these beside ours, which are always measured: {others}")
    parser.add_argument("--workloads", type=listed, default=list(WORKLOADS), metavar="W1,...")
    parser.add_argument("--seconds", type=float, default=3, help="of one measurement (3)")
    parser.add_argument("--in-flight", type=int, default=256, help="runs in W2")
    parser.add_argument("--width", type=int, default=1000, help="steps and children in W3")
    parser.add_argument("--jobs", type=int, default=20000, help="in W4 and W5")
    parser.add_argument("--payload", type=int, default=120, help="bytes of each input and result")
    parser.add_argument("--folder", help="where stores lie; else beside other temporary files")
    parser.add_argument("--results", type=pathlib.Path, default=FOLDER / "results.jsonl")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "bench/RESULTS.md")
    parser.add_argument("--report", action="store_true", help="only writes the page")
    asked = parser.parse_args()
    known = {system.name for system in SYSTEMS}
    for name in sorted(set(asked.only or ()) - known) + sorted(set(asked.workloads) - set(WORKLOADS)):
        parser.error(f"{name} isn't known")
    return asked


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def disk_kind(folder):
    """Its file system, and what kind of device that is on."""
    kind = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", folder], capture_output=True, text=True)
    filesystem = kind.stdout.strip() or "an unknown file system"
    number = os.stat(folder).st_dev
    device = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    rotates = [at / "queue/rotational" for at in (device, device.parent)]
    rotates = [file.read_text().strip() == "1" for file in rotates if file.exists()]
    if re.match(r"x?vd", device.name):
        on = "a virtual disk"
    elif device.name.startswith("nvme"):
        on = "an NVMe disk"
    else:
        on = "an unknown device" if not rotates else "a rotating disk" if rotates[0] else "a solid-state disk"
    return filesystem, f"{filesystem} on {on}"


def output(command, env=None):
    return run(list(map(str, command)), 60, env, cwd=ROOT).strip()


def versions(installed):
    """Of Node, Postgres and Redis, and of each system."""
    postgres = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = {"Postgres": output([postgres[-1], "--version"]).split()[2] if postgres else "missing"}
    if "npm" not in installed.missing:
        found["Node"] = output([installed.node, "--version"]).removeprefix("v")
    if "redis" not in installed.missing:
        said = output([installed.redis, "--version"], installed.redis_environment())
        found["Redis"] = re.search(r"v=(\S+)", said)[1]
    return found


def fermata_version():
    commit = output(["git", "describe", "--always", "--abbrev=10"])
    changed = output(["git", "status", "--porcelain", "--untracked-files=no"])
    return f"commit {commit}" + (" and changes" if changed else "")


def version_of(system, installed):
    if system.ours():
        return fermata_version()
    package = installed.npm / "node_modules" / system.package / "package.json"
    return json.loads(package.read_text())["version"] if package.exists() else "not installed"


def header(asked, systems, installed, disk):
    described = [{
        "name": system.name, "title": system.title, "store": system.store, "settings": system.settings,
        "lacks": system.lacks, "ours": system.ours(), "version": version_of(system, installed),
    } for system in systems]
    sizes = {name: getattr(asked, name) for name in ("seconds", "in_flight", "width", "jobs", "payload")}
    return {
        "measured": datetime.date.today().isoformat(), "rounds": asked.rounds, "sizes": sizes,
        "workloads": asked.workloads, "systems": described, "versions": versions(installed),
        "shared_buffers": SHARED_BUFFERS,
        "machine": {"cores": len(os.sched_getaffinity(0)), "disk": disk,
                    "kernel": re.match(r"[\d.]+", platform.release())[0].rstrip(".")},
        "left_out": [system.name for system in SYSTEMS if system not in systems],
    }


def short(figures):
    return " ".join(f"{name}={value:.4g}" for name, value in figures.items() if isinstance(value, (int, float)))


def measure_all(asked, systems, installed, bench, add):
    """Each round asks each workload of all systems, one after the other, and begins with another one."""
    for round_ in range(1, asked.rounds + 1):
        first = (round_ - 1) % len(systems)
        turn = systems[first:] + systems[:first]
        for workload in asked.workloads:
            for system in turn:
                if workload in system.lacks:
                    continue
                line = {"system": system.name, "workload": workload, "round": round_}
                began = time.monotonic()
                try:
                    if reason := why_not(system, installed):
                        raise Failed(reason)
                    bench.folder.mkdir()
                    bench.folder.chmod(0o755)  # the database's own user gets there
                    os.sync()  # what was written before is nobody's burden
                    figures, probe = bench.measure(system, workload)
                    add({**line, "figures": figures})
                    if probe:
                        add({**line, "system": f"probe {system.store}", "figures": probe})
                    told = short(figures)
                except (Failed, OSError, LookupError, ValueError) as error:
                    add({**line, "error": str(error) or type(error).__name__})
                    told = f"FAILED: {error}"
                finally:
                    shutil.rmtree(bench.folder, ignore_errors=True)
                took = time.monotonic() - began
                say(f"round {round_}/{asked.rounds} {workload} {system.name} ({took:.0f} s): {told}")


def measure(asked):
    program = ROOT / "build/release/bin/fermata-bench"
    if not program.exists():
        sys.exit(f"run.py: build it first: {report.BUILD}")
    home = pathlib.Path(tempfile.mkdtemp(prefix="fermata-peers.", dir=asked.folder))
    home.chmod(0o755)
    try:
        filesystem, disk = disk_kind(home)
        if filesystem in ("tmpfs", "ramfs"):
            sys.exit(f"run.py: on {filesystem} a sync costs nothing; name a folder on a disk by --folder")
        installed = install(FOLDER, say)
        systems = [one for one in SYSTEMS if one.ours() or not asked.only or one.name in asked.only]
        if asked.results.exists():
            asked.results.replace(asked.results.with_suffix(".before.jsonl"))
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        with open(asked.results, "w", encoding="utf-8") as to:
            def add(line):
                to.write(json.dumps(line) + "\n")
                to.flush()
            add(header(asked, systems, installed, disk))
            bench = Bench(ROOT, installed, home / "store", asked)
            measure_all(asked, systems, installed, bench, add)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main():
    asked = arguments()
    end_in_order()
    if not asked.report:
        measure(asked)
    lines = [json.loads(text) for text in asked.results.read_text(encoding="utf-8").splitlines()]
    asked.page.write_text(report.page(lines), encoding="utf-8")
    say(f"wrote {asked.page}")


if __name__ == "__main__":
    main()
