#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants each bug of bugs.py and demands that a named test finds it.

    run.py BIN_FOLDER [--only NAME] [--part N/M] [--all] [--parallel N] [--write-docs]

Each bug: its test passes without it and fails with it, within the test's time; a test that hangs has
found nothing, unless the bug is one that makes things wait for ever. --part 2/3: every third bug from the
second on. --all: all tests that are named for a bug, not only the first. --write-docs: writes
docs/planted_bugs.md from what was measured."""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

from bugs import BUGS

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import evidence  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
ROOMS = ("engine", "src", "worker", "include")
PLANTED = re.compile(r'\bplanted\("(\w+)"\)')

Ran = collections.namedtuple("Ran", "passed hung seconds output")
Result = collections.namedtuple("Result", "bug test seconds problem")


def places():
    """Where each bug is planted: name → file:line of its room."""
    found = collections.defaultdict(list)
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.[ch]pp")):
            for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
                for name in PLANTED.findall(line):
                    found[name].append((path.relative_to(ROOT).as_posix(), number))
    return found


def compare(planted):
    """What tree and table don't say alike."""
    names = [bug.name for bug in BUGS]
    for name in sorted(set(names) | set(planted)):
        if names.count(name) != 1 or len(planted[name]) != 1:
            where = ", ".join(f"{file}:{line}" for file, line in planted[name]) or "nowhere"
            yield f"bug '{name}' is in the table {names.count(name)} times, planted at {where}"


def attempt(test, bins, bug=None):
    environment = dict(os.environ, **test.environment)
    environment.pop("FERMATA_PLANT", None)
    environment.pop("FERMATA_EVIDENCE", None)
    if bug:
        environment["FERMATA_PLANT"] = bug
    begun = time.monotonic()
    ran = subprocess.Popen(test.command(bins, ROOT), env=environment, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = ran.communicate(timeout=test.seconds_max)
        hung = False
    except subprocess.TimeoutExpired:
        os.killpg(ran.pid, 9)
        output, _ = ran.communicate()
        hung = True
    return Ran(ran.returncode == 0, hung, time.monotonic() - begun, output.decode(errors="replace"))


def why_not_clean(test, ran):
    if not ran.passed:
        return "hangs without the bug, too" if ran.hung else "fails without the bug, too"
    if not test.found_in(ran.output):
        return "has no such case"
    return ""


def judge(bug, test, clean, bins):
    """One test against one bug."""
    problem = why_not_clean(test, clean)
    if problem:
        return Result(bug, test, 0, f"{test} {problem}\n{clean.output[-3000:]}")
    ran = attempt(test, bins, bug.name)
    if ran.passed:
        problem = f"{test} doesn't find it"
    elif ran.hung and not bug.hangs:
        problem = f"{test} isn't over after {test.seconds_max} s\n{ran.output[-3000:]}"
    return Result(bug, test, ran.seconds, problem)


def run_all(chosen, options):
    """All results, in the order of the table. What a test does without a bug is asked once."""
    with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
        wanted = [(bug, test) for bug in chosen for test in (bug.tests if options.all else bug.tests[:1])]
        clean = {test: None for _, test in wanted}
        for test in clean:
            clean[test] = pool.submit(attempt, test, options.bins)
        judged = [pool.submit(lambda b, t: judge(b, t, clean[t].result(), options.bins), *one)
                  for one in wanted]
        for one in judged:
            result = one.result()
            said = result.problem or f"found by {result.test} in {result.seconds:.2f} s"
            print(f"{'MISSED' if result.problem else 'caught'}  {result.bug.name}: {said}", flush=True)
            yield result


def write_docs(results, planted):
    rows = []
    for bug in BUGS:
        mine = [one for one in results if one.bug is bug]
        tests = "<br>".join(one.test.as_text() for one in mine)
        seconds = "<br>".join(f"{one.seconds:.1f} s" for one in mine)
        rows.append(f"| `{bug.name}` | {bug.breaks} | `{planted[bug.name][0][0]}` | {tests} | {seconds} |")
    text = f"""# Planted bugs

{len(BUGS)} bugs, each where it would really be made, switched on by name (`FERMATA_PLANT`) in builds that have
failpoints, never in a release. Each must be found by a named test: this tests the tests. The last column
is how long that test ran until it failed. `tests/attack/planted/run.py --write-docs` writes this page.

| bug | what it breaks | where | found by | after |
|---|---|---|---|---|
""" + "\n".join(rows) + "\n"
    (ROOT / "docs" / "planted_bugs.md").write_text(text, encoding="utf-8")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("bins")
    parser.add_argument("--only")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--write-docs", action="store_true")
    options = parser.parse_args()
    options.bins = pathlib.Path(options.bins).resolve()
    return options


def choose(options):
    part, parts = map(int, options.part.split("/"))
    return [bug for i, bug in enumerate(BUGS)
            if options.only in (None, bug.name) and i % parts == part - 1]


def main():
    options = parse()
    if os.environ.get("FERMATA_HAS_FAILPOINTS") == "0":
        print("a release build: nothing can be planted there; skipped")
        return 77
    chosen = choose(options)
    needs_server = any(test.server for bug in chosen for test in bug.tests)
    if needs_server and "FERMATA_TEST_POSTGRES" not in os.environ:
        script = str(ROOT / "scripts/with_postgres.sh")
        os.execv(script, [script, sys.executable, *sys.argv])
    planted = places()
    for difference in compare(planted):
        print(difference)
        return 1
    begun = time.monotonic()
    results = list(run_all(chosen, options))
    missed = {one.bug.name for one in results if one.problem}
    caught = len(chosen) - len(missed)
    if chosen and not missed:
        evidence.keep("planted", "none", rounds=len(chosen), faults=len(chosen), caught=caught)
    if options.write_docs and not missed:
        write_docs(results, planted)
    print(f"{caught} of {len(chosen)} planted bugs caught in {time.monotonic() - begun:.0f} s"
          + "".join(f"; missed: {name}" for name in sorted(missed)))
    return 1 if missed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
