#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes docs/guarantees.md from the text docs/guarantees.in.md, the attacks of scripts/soak.sh and what each has
shown when it was run last (docs/guarantees.jsonl).

    guarantees.py [--evidence FILE]      takes over what scripts/soak.sh has shown (build/soak/evidence.jsonl), of all
                                         attacks or of some, and writes the page; a soak of all calls it at its end
    guarantees.py --totals               prints the sums of what scripts/soak.sh has shown
    guarantees.py --check BUILD          whether text, page, attacks and tests belong together

In the text, {{attacks: NAME...}} becomes a table of these attacks; {{totals}} and {{all}} are about all of them.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT, PAGE, LAST = (ROOT / "docs" / name for name in ("guarantees.in.md", "guarantees.md", "guarantees.jsonl"))
MARK = re.compile(r"^\{\{(\w+)(?:: (.*))?\}\}$", re.M)
HEAD = "<!-- Written by scripts/guarantees.py: change docs/guarantees.in.md, or run scripts/soak.sh. -->\n"
NONE = "none¹"
RECOVERY = ["worst_recovery_ms", "recovery_worst_ms"]

# What is promised to be attacked so often in one run of scripts/soak.sh: title, which attacks, which of their
# counts (the first that one has), how often.
GOALS = [
    ("power cuts under SQLite, everywhere", ["power_cut"], ["rounds"], 100_000),
    ("workers killed at random times", ["kill", "recovery", "programs_sqlite", "programs_postgres", "fleet_chaos",
                                        "demo"],
     ["kills", "faults"], 500),
    ("faults at failpoints", ["failpoints_sqlite", "failpoints_postgres"], ["faults", "rounds"], 0),
    ("random programs, predicted", ["programs_sqlite", "programs_postgres"], ["rounds"], 10_000),
    ("seeds of simulated fleets", ["simulation"], ["rounds"], 10_000),
    ("planted bugs caught", ["planted"], ["caught"], 25),
]


class Attack:
    """One of scripts/soak.sh, and what it has shown when it was run last."""

    def __init__(self, name, description, command, shown):
        self.name, self.description, self.command = name, description, command
        self.shown = shown.get(name)
        self.status = self.shown["status"] if self.shown else "not run"
        self.passed = self.status == "passed"

    def count(self, *names):
        """The sum (of times the longest) over what was kept of the first of these counts that there is, or None."""
        if not self.passed:
            return None
        for name in names:
            found = [one["counts"][name] for one in self.shown["kept"] if name in one["counts"]]
            if found:
                return max(found) if name.endswith("_ms") else sum(found)
        return None

    def names(self):
        return list(dict.fromkeys(name for one in self.shown["kept"] for name in one["counts"])) if self.passed else []

    def none_of(self, name):
        """How many were lost or repeated: counted, or none because it would have ended there."""
        counted = self.count(name)
        if counted is None and self.count("acked") is not None and name == "lost":
            return NONE
        return cell(counted)

    def seed(self):
        return ", ".join(sorted({one["seed"] for one in self.shown["kept"]} - {"none"})) if self.shown else ""

    def when(self):
        if not self.shown:
            return "–"
        day = datetime.datetime.fromtimestamp(self.shown["at"], datetime.timezone.utc)
        return f"{day:%Y-%m-%d}, `{self.shown['commit']}`"


def cell(number, unit=1, digits=0):
    return "–" if number is None else f"{number / unit:,.{digits}f}"


def took(seconds):
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def attacks(*evidence):
    """All of scripts/soak.sh, in its order; the last line in the last of these files counts."""
    shown = {}
    for file in evidence:
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            one = json.loads(line)
            shown[one["name"]] = one
    said = subprocess.run([ROOT / "scripts/soak.sh", "--list"], capture_output=True, text=True, check=True)
    return {name: Attack(name, description, command, shown) for name, description, command in
            (line.split("\t") for line in said.stdout.splitlines())}


def row(one):
    recovery = one.count(*RECOVERY)
    cells = [f"[`{one.name}`](#the-attacks)"]
    if not one.passed:
        return [*cells, f"**{one.status}**", "", "", "", "", ""]
    return [*cells, cell(one.count("rounds")), cell(one.count("faults")), cell(one.count("acked")),
            one.none_of("lost"), cell(one.count("repeated")),
            "–" if recovery is None else f"{recovery / 1000:.1f} s"]


USUAL = ["rounds", "faults", "acked", "lost", "repeated", *RECOVERY]
COLUMNS = ["attack", "rounds", "faults", "acked", "lost", "repeated", "worst recovery"]


def table(columns, rows, right):
    """In Markdown; from column `right` on numbers."""
    rule = ["---" if n < right else "---:" for n in range(len(columns))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, rule, *rows])


def table_of(chosen):
    passed = [one for one in chosen if one.passed]
    sums = [f"**{len(passed)} of {len(chosen)} passed**"]
    for name in ("rounds", "faults", "acked", "lost", "repeated"):
        counted = [one.count(name) for one in passed if one.count(name) is not None]
        sums.append(f"**{sum(counted):,}**" if counted else "–")
    recoveries = [one.count(*RECOVERY) for one in passed]
    recoveries = [ms for ms in recoveries if ms is not None]
    sums.append(f"**{max(recoveries) / 1000:.1f} s**" if recoveries else "–")
    return table(COLUMNS, [*map(row, chosen), sums], 1)


def goals(known):
    rows = []
    for title, names, counts, goal in GOALS:
        names = [name for name in names if name in known]
        found = [known[name].count(*counts) for name in names]
        missing = [name for name, count in zip(names, found) if count is None]
        reached = sum(count or 0 for count in found)
        note = ", ".join(f"`{name}`: {known[name].status}" for name in missing if not known[name].passed)
        rows.append([title, f"{reached:,}", f"{goal:,}" if goal else "every one × 3", note])
    return rows


def totals(known):
    """Sentences about the run, and the table of what it was to reach."""
    shown = [one.shown for one in known.values() if one.shown]
    if not shown:
        return "**No run is known**: `scripts/soak.sh` makes one."
    by_status = {}
    for one in known.values():
        by_status.setdefault(one.status, []).append(one.name)
    said = [f"{len(by_status.get('passed', []))} of {len(known)} attacks passed"]
    for status, names in sorted(by_status.items()):
        if status != "passed":
            said.append(f"**{status}**: " + ", ".join(f"`{name}`" for name in names))
    sums = {name: sum(one.count(name) or 0 for one in known.values())
            for name in ("faults", "acked", "lost", "repeated")}
    commits = sorted({one["commit"] for one in shown})
    ended = datetime.datetime.fromtimestamp(max(one["at"] for one in shown), datetime.timezone.utc)
    cpus = ", ".join(str(n) for n in sorted({one["cpus"] for one in shown}))
    return "\n".join([
        "; ".join(said) + ".", "",
        f"Until {ended:%Y-%m-%d %H:%M} UTC, commit {', '.join(f'`{c}`' for c in commits)}, on {cpus} CPUs, in "
        f"{took(sum(one['took_s'] for one in shown))}: {sums['faults']:,} faults injected, {sums['acked']:,} "
        f"acknowledged operations looked for, **{sums['lost']:,} lost, {sums['repeated']:,} finished steps "
        "repeated**.", "",
        table(["in one run", "reached", "goal", ""], goals(known), 1)])


def table_of_all(known):
    rows = []
    for one in known.values():
        more = [f"{one.count(name):,} {name.replace('_', ' ')}" for name in one.names() if name not in USUAL]
        rows.append([f"`{one.name}`", one.status if one.passed else f"**{one.status}**", one.when(),
                     took(one.shown["took_s"]) if one.shown else "–", one.seed() or "–",
                     ", ".join(more) or "–",
                     f"`{one.shown['command'] if one.shown else one.command}`"])
    return table(["attack", "", "when, commit", "took", "seed", "what else it counts", "command"], rows, 7)


def page(text, known):
    def fill(mark):
        what, words = mark[1], (mark[2] or "").split()
        if what == "attacks":
            return table_of([known[name] for name in words])
        return {"totals": totals, "all": table_of_all}[what](known)
    return HEAD + MARK.sub(fill, text)


def words_of(text):
    return {name for mark in MARK.finditer(text) if mark[1] == "attacks" for name in mark[2].split()}


def complaints(build):
    known, text = attacks(LAST), TEXT.read_text(encoding="utf-8")
    sections = re.split(r"^## ", text, flags=re.M)
    for section in sections:
        if re.match(r"\d+\. ", section) and not words_of(section):
            yield f"nothing attacks '{section.splitlines()[0]}'"
    for name in sorted(known.keys() - words_of(text)):
        yield f"{name} of scripts/soak.sh attacks no promise"
    for name in sorted(words_of(text) - known.keys()):
        yield f"{name} is said to attack something, and isn't in scripts/soak.sh"
    described = re.findall(r"^- \[`(\w+)`\]\(([^)#]+)\)", text, re.M)
    for name in sorted(known.keys() ^ {name for name, _ in described}):
        yield f"{name} is described and isn't in scripts/soak.sh, or the other way round"
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        if not (TEXT.parent / link).exists():
            yield f"there is no {link}"
    for one in known.values():
        for word in one.command.split():
            file = build / word.removeprefix("build/ci/") if word.startswith("build/ci/") else ROOT / word
            if "/" in word and not file.exists():
                yield f"{one.name}: there is no {word}"
    tests = subprocess.run(["ctest", "--test-dir", build, "-N"], capture_output=True, text=True).stdout
    tests = re.findall(r"Test +#\d+: (\S+)", tests)
    for wanted in re.findall(r"`ctest -R ([^`]+)`", text):
        if not any(re.search(wanted, test) for test in tests):
            yield f"ctest -R {wanted} finds no test"
    there = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if words_of(text) <= known.keys() and there != page(text, known):
        yield f"{PAGE.name} isn't what scripts/guarantees.py writes of {TEXT.name} and {LAST.name}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--evidence", type=pathlib.Path, default=ROOT / "build/soak/evidence.jsonl")
    arguments.add_argument("--totals", action="store_true")
    arguments.add_argument("--check", type=pathlib.Path, metavar="BUILD")
    asked = arguments.parse_args()
    if asked.check:
        wrong = list(complaints(asked.check))
        print("\n".join(wrong) or "promises, attacks and tests belong together")
        return 1 if wrong else 0
    if asked.totals:
        print(re.sub(r"[*`]|\| ---.*\n", "", totals(attacks(asked.evidence))))
        return 0
    known = attacks(LAST, asked.evidence)
    LAST.write_text("".join(json.dumps(one.shown) + "\n" for one in known.values() if one.shown), encoding="utf-8")
    PAGE.write_text(page(TEXT.read_text(encoding="utf-8"), known), encoding="utf-8")
    print(f"{os.path.relpath(PAGE, ROOT)}: {sum(one.passed for one in known.values())} of {len(known)} attacks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
