#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever ends an order while its card is charged, the money is back: once, by idempotency key.

compensation.py FERMATA WORKER"""

import collections
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import run_all  # noqa: E402

FERMATA, WORKER = sys.argv[1:3]
CENTS = 990

Line = collections.namedtuple("Line", "what order cents key undoes")


def ledger(at, what=None):
    path = at.folder / "ledger"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [Line(*line.split(" ")) for line in lines]
    return [one for one in found if what is None or one.what == what]


def hold(at, name):
    (at.folder / f"hold-{name}").touch()


def let_go(at, name):
    (at.folder / f"hold-{name}").unlink()


def comes_to(at, what, count=1):
    at.until(lambda: len(ledger(at, what)) >= count)


def balance(at):
    """What the bank has of us. A key moves money once, however often it comes; a refund gives back
    what the charge with the key that it undoes took, if there was one."""
    taken = {one.key: int(one.cents) for one in ledger(at, "charge")}
    refunds = {one.key: one.undoes for one in ledger(at, "refund")}
    given = [taken[undoes] for undoes in refunds.values() if undoes in taken]
    return sum(taken.values()) - sum(given)


def everything_is_undone_once(at, charges=1, refund_calls=1, release_calls=1):
    """One key for each effect, and the refund names the charge that it undoes."""
    refunds, releases = ledger(at, "refund"), ledger(at, "release")
    assert len({one.key for one in ledger(at, "charge")}) == charges, ledger(at)
    assert len({one.key for one in refunds}) == 1 and len(refunds) == refund_calls, refunds
    assert len({one.key for one in releases}) == 1 and len(releases) == release_calls, releases
    for charge in ledger(at, "charge"):
        assert refunds[0].undoes == charge.key, (refunds, charge)
    assert {one.cents for one in refunds} == {str(CENTS)}, refunds
    whats = [one.what for one in ledger(at)]
    assert whats.index("refund") < whats.index("release"), whats  # the newest first
    assert balance(at) == 0, ledger(at)


def order_in_charge(at, workflow="place_order", *options):
    """An order whose money has moved, and whose charge hasn't come back."""
    hold(at, "charge")
    at("start", workflow, f'{{"id":"a","cents":{CENTS}}}', "--key", "a", *options)
    comes_to(at, "charge")
    assert balance(at) == CENTS


def ended_as(at, state):
    at.until(lambda: at.json("explain", "a")["reason"] == state)


def undone(at):
    events = at.json("show", "a")["events"]
    return [
        (one["operation"], one["name"])
        for one in events
        if one["kind"] == "step_completed" and one["operation"].startswith("c.")
    ]


def a_cancel_during_the_charge_gives_the_money_back(at):
    at.hire(WORKER)
    order_in_charge(at)
    at("cancel", "a", "--why", "the customer called")
    ended_as(at, "cancelled")
    everything_is_undone_once(at)
    assert undone(at) == [("c.1", "refund_card"), ("c.2", "release_stock")], undone(at)
    assert "the customer called" in at("show", "a")


def a_cancel_before_the_money_moved_gives_back_nothing(at):
    at.hire(WORKER)
    hold(at, "charge-before")
    at("start", "place_order", f'{{"id":"a","cents":{CENTS}}}', "--key", "a")
    comes_to(at, "reserve")
    at.until(lambda: "compensation_registered" in kinds(at))
    at("cancel", "a")
    ended_as(at, "cancelled")
    everything_is_undone_once(at, charges=0)


def kinds(at):
    return [one["kind"] for one in at.json("show", "a")["events"]]


def a_deadline_during_the_charge_gives_the_money_back(at):
    at.hire(WORKER)
    order_in_charge(at, "place_order", "--deadline", "1500ms")
    ended_as(at, "cancelled")
    everything_is_undone_once(at)
    assert "deadline" in at("show", "a"), at("show", "a")


def a_time_out_of_the_charge_gives_the_money_back(at):
    at.hire(WORKER)
    order_in_charge(at, "place_hasty_order")
    ended_as(at, "failed")
    everything_is_undone_once(at)
    assert "timed out" in at("show", "a"), at("show", "a")


def a_cancel_is_heard_by_the_next_worker_when_the_first_was_killed(at):
    worker = at.hire(WORKER)
    order_in_charge(at)
    at.dismiss(worker, signal.SIGKILL)
    at("cancel", "a")
    at.hire(WORKER)
    ended_as(at, "cancelled")
    everything_is_undone_once(at)


def a_deadline_that_passes_without_a_worker_gives_the_money_back(at):
    worker = at.hire(WORKER)
    order_in_charge(at, "place_order", "--deadline", "700ms")
    at.dismiss(worker, signal.SIGKILL)
    time.sleep(0.8)
    at.hire(WORKER)
    ended_as(at, "cancelled")
    everything_is_undone_once(at)


def a_worker_killed_during_the_refund_leaves_it_to_the_next(at):
    worker = at.hire(WORKER)
    hold(at, "refund")
    order_in_charge(at)
    at("cancel", "a")
    comes_to(at, "refund")  # the bank has it, the journal doesn't know
    at.dismiss(worker, signal.SIGKILL)
    assert undone(at) == [] and at.reason("a") not in ("cancelled", "failed")
    let_go(at, "refund")
    at.hire(WORKER)
    ended_as(at, "cancelled")
    everything_is_undone_once(at, refund_calls=2)


def a_worker_killed_between_two_compensations_does_not_repeat_the_first(at):
    worker = at.hire(WORKER)
    hold(at, "release")
    order_in_charge(at)
    at("cancel", "a")
    comes_to(at, "release")
    at.dismiss(worker, signal.SIGKILL)
    assert undone(at) == [("c.1", "refund_card")], undone(at)
    let_go(at, "release")
    at.hire(WORKER)
    ended_as(at, "cancelled")
    everything_is_undone_once(at, release_calls=2)


def three_workers_killed_in_one_compensation_refund_once(at):
    worker = at.hire(WORKER)
    hold(at, "refund")
    order_in_charge(at, "place_hasty_order")
    for calls in (1, 2, 3):
        comes_to(at, "refund", calls)
        at.dismiss(worker, signal.SIGKILL)
        worker = at.hire(WORKER)
    comes_to(at, "refund", 4)
    let_go(at, "refund")
    ended_as(at, "failed")
    everything_is_undone_once(at, refund_calls=4)
    assert "all is sound" in at("verify")


if __name__ == "__main__":
    run_all(
        FERMATA,
        [
            a_cancel_during_the_charge_gives_the_money_back,
            a_cancel_before_the_money_moved_gives_back_nothing,
            a_deadline_during_the_charge_gives_the_money_back,
            a_time_out_of_the_charge_gives_the_money_back,
            a_cancel_is_heard_by_the_next_worker_when_the_first_was_killed,
            a_deadline_that_passes_without_a_worker_gives_the_money_back,
            a_worker_killed_during_the_refund_leaves_it_to_the_next,
            a_worker_killed_between_two_compensations_does_not_repeat_the_first,
            three_workers_killed_in_one_compensation_refund_once,
        ],
        sys.argv[3:],
    )
