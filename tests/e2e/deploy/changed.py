#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A workflow changes under its runs: they are blocked with a report, until code that fits comes.

changed.py FERMATA BEFORE CHANGED PATCHED"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import line_of, run_all  # noqa: E402

FERMATA, BEFORE, CHANGED, PATCHED = sys.argv[1:5]
SOURCE = pathlib.Path(__file__).with_name("changed_worker.cpp")
ENDS = {
    "renames": "card(x) held(x)",
    "swaps": "held(x) card(x)",
    "asks_otherwise": "card(held(x))",
}
NEW_ENDS = dict(ENDS, renames="account(x) held(x)", asks_otherwise="card(held(x)!)")


def begin(at, key):
    for workflow in ENDS:
        at("start", workflow, '"x"', "--key", key)
    for workflow in ENDS:
        at.waits_for(f"{workflow}/{key}", "waits_for_signal")


def send_on(at, key):
    for workflow in ENDS:
        at("signal", f"{workflow}/{key}", "go")


def end_as(at, key, ends):
    for workflow, wanted in ends.items():
        found = at.result(f"{workflow}/{key}").strip()
        assert found == f'"{wanted}"', f"{workflow}: {found}, not {wanted}"


def block(at, key):
    """Begun by the first code, then met by the changed one. Gives the worker with that."""
    worker = at.hire(BEFORE)
    begin(at, key)
    at.dismiss(worker)
    worker = at.hire(CHANGED)
    send_on(at, key)
    for workflow in ENDS:
        at.waits_for(f"{workflow}/{key}", "blocked")
    return worker


def has_places(text, workflow):
    """The report in one sentence: what is recorded, what is asked, and where both stand."""
    text = re.sub(r"\s+", " ", text)
    for which in ("before", "after"):
        place = line_of(SOURCE, f"{workflow} {which}")
        assert f"({place})" in text, f"{place} isn't in\n{text}"
    assert "[FER-1203]" in text and "ctx.patched()" in text, text


def a_changed_run_is_blocked_with_both_source_lines(at):
    block(at, "k")
    words = {
        "renames": ["the journal has step 'charge_card'", "the code asks step 'charge_account'"],
        "swaps": ["the journal has step 'reserve_stock'", "the code asks step 'charge_card'"],
        "asks_otherwise": ["step 'charge_card'", "with another input than the journal has"],
    }
    for workflow in ENDS:
        run = f"{workflow}/k"
        for text in (at("explain", run), at("show", run)):
            has_places(text, workflow)
            for part in words[workflow]:
                assert part in re.sub(r"\s+", " ", text), (part, text)
        listed = at.json("list", "--workflow", workflow)["runs"]
        assert [one["attention"] for one in listed] == ["blocked"], listed
        # Nothing was appended by the code that doesn't fit.
        kinds = [one["kind"] for one in at.json("show", run)["events"]]
        assert "run_failed" not in kinds and "attempt_failed" not in kinds, kinds


def code_with_patched_cures_it(at):
    worker = block(at, "old")
    at.dismiss(worker)
    at.hire(PATCHED)
    end_as(at, "old", ENDS)
    begin(at, "new")
    send_on(at, "new")
    end_as(at, "new", NEW_ENDS)
    assert "patched" in at("show", "renames/new") and "patched" not in at("show", "renames/old")


def the_old_code_goes_on_when_it_is_back(at):
    worker = block(at, "k")
    at.dismiss(worker)
    at.hire(BEFORE)
    end_as(at, "k", ENDS)


def workers_of_the_old_code_go_on_beside_the_new(at):
    at.hire(BEFORE)
    begin(at, "k")
    at.hire(CHANGED)
    send_on(at, "k")
    end_as(at, "k", ENDS)


if __name__ == "__main__":
    run_all(
        FERMATA,
        [
            a_changed_run_is_blocked_with_both_source_lines,
            code_with_patched_cures_it,
            the_old_code_goes_on_when_it_is_back,
            workers_of_the_old_code_go_on_beside_the_new,
        ],
        sys.argv[5:],
    )
