#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""coverage_report.py LCOV UNCOVERED SUMMARY: lines and branches of engine/ that tests reach. Writes into UNCOVERED
which they don't, into SUMMARY each file's share, worst first; prints that of each folder, and a closing line.
Fails below the goal."""

import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "tests/attack"))
import evidence  # noqa: E402

GOAL_LINES = 90
GOAL_BRANCHES = 80


def read(path):
    """{file: ({line: times}, {(line, which): times})}"""
    files = collections.defaultdict(lambda: (collections.Counter(), collections.Counter()))
    name = ""
    with open(path, encoding="utf-8") as text:
        for line in text:
            tag, _, rest = line.strip().partition(":")
            if tag == "SF":
                # The compiler knows it from the root, llvm-cov takes that for the build's folder.
                name = rest.removeprefix("build/coverage/")
                if not name.startswith("engine/"):
                    name = ""
            elif tag == "DA" and name:
                number, times = rest.split(",")[:2]
                files[name][0][int(number)] += int(times)
            elif tag == "BRDA" and name:
                number, block, branch, times = rest.split(",")
                files[name][1][int(number), block, branch] += 0 if times == "-" else int(times)
    return files


def share(counts):
    return sum(1 for times in counts.values() if times > 0), len(counts)


def percent(reached, of):
    return 100 * reached / of if of else 100.0


def ranges(lines):
    """[3, 4, 5, 9] -> "3-5 9" """
    found = []
    for line in sorted(lines):
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return " ".join(f"{a}-{b}" if b > a else f"{a}" for a, b in found)


def write_uncovered(files, path):
    with open(path, "w", encoding="utf-8") as out:
        for name, (lines, branches) in sorted(files.items()):
            missed = {line for line, times in lines.items() if times == 0}
            # Of those in lines that are never reached nothing is to be said.
            halves = collections.Counter(key[0] for key, times in branches.items() if times == 0)
            halves = {line: n for line, n in halves.items() if line not in missed}
            if missed:
                out.write(f"{name}: lines {ranges(missed)}\n")
            if halves:
                out.write(f"{name}: branches in {ranges(halves)}\n")


def row(counts, name):
    a, b, c, d = counts
    return f"{percent(a, b):6.1f} % of {b:5} {percent(c, d):6.1f} % of {d:5}  {name}"


def main():
    files = read(sys.argv[1])
    write_uncovered(files, sys.argv[2])
    table = {name: (*share(lines), *share(branches)) for name, (lines, branches) in files.items()}
    with open(sys.argv[3], "w", encoding="utf-8") as out:
        for name, counts in sorted(table.items(), key=lambda one: percent(one[1][0], one[1][1])):
            out.write(row(counts, name) + "\n")
    folders = collections.defaultdict(lambda: [0, 0, 0, 0])
    for name, counts in table.items():
        for i, count in enumerate(counts):
            folders[name.rpartition("/")[0]][i] += count
    print(f"{'lines':>16} {'branches':>16}")
    for name in sorted(folders):
        print(row(folders[name], name))
    a, b, c, d = (sum(counts[i] for counts in folders.values()) for i in range(4))
    if not b or not d:
        sys.exit("coverage: nothing was counted")
    print(f"engine: lines {percent(a, b):.1f} % ({a} of {b}), branches {percent(c, d):.1f} % ({c} of {d})")
    if percent(a, b) < GOAL_LINES or percent(c, d) < GOAL_BRANCHES:
        sys.exit(f"coverage: the goal is {GOAL_LINES} % of lines and {GOAL_BRANCHES} % of branches")
    evidence.keep("coverage", "none", lines=b, lines_covered=a, branches=d, branches_covered=c)


main()
