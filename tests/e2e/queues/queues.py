#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Steps on a queue of their own, served by other processes: killed, frozen, cancelled, drained.

queues.py FERMATA WORKER [NAME OF A TEST …]"""

import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import run_all  # noqa: E402

FERMATA, WORKER = sys.argv[1:3]


def hire(at, role, *flags):
    at.env["ROLE"] = role
    flags = flags or {"films": (), "gpu": ("--queue", "gpu"),
                      "both": ("--queue", "default", "--queue", "gpu")}[role]
    return at.hire(WORKER, "--journal", at.journal, *flags)


def start(at, name, workflow="make_film"):
    at("start", workflow, f'"{name}"' if workflow != "make_series" else name, "--key", name,
       "--unchecked")


def lines(at, file):
    there = at.folder / file
    return there.read_text().splitlines() if there.exists() else []


def begun(at, name):
    return [line for line in lines(at, "begun") if line.startswith(name + " by ")]


def by(worker, attempt=1, after=0):
    return f"by {worker.pid} attempt {attempt} after {after}"


def kinds(at, name):
    return [one["kind"] for one in at.json("show", name)["events"]]


def is_begun(at, name, times=1):
    at.until(lambda: len(begun(at, name)) >= times)


def let_go(at):
    (at.folder / "go").touch()


def gone(at, worker):
    worker.kill()
    worker.wait()
    at.workers.remove(worker)


def is_sound(at):
    assert "all is sound" in at("verify")


def a_step_goes_to_the_worker_that_serves_its_queue(at):
    hire(at, "films")
    gpu = hire(at, "gpu")
    start(at, "a")
    assert at.result("a").strip() == '"a rendered and cut"'
    assert begun(at, "a") == ["a " + by(gpu)]
    assert kinds(at, "a") == ["run_started", "attempt_started", "step_completed", "step_completed",
                              "run_completed"]
    shown = at("show", "a")
    assert "step queued" in shown and "for queue gpu" in shown, shown
    assert at.json("show", "a")["tasks"] == []
    is_sound(at)


def explain_says_who_could_serve_it_and_who_executes_it(at):
    hire(at, "films")
    start(at, "slow 1")
    at.waits_for("slow 1", "step_not_served")
    why = at("explain", "slow 1")
    assert "step 'render' waits in queue gpu since " in why and "; no worker serves it" in why, why
    assert "with --queue gpu" in why, why
    status = at("status")
    assert "1 attempt at step 'render' waits in queue gpu" in status, status
    assert "no worker serves it" in at("doctor"), at("doctor")

    others = hire(at, "films", "--queue", "gpu")
    why = at("explain", "slow 1")
    assert "1 worker serves it, none of them has step 'render'" in why, why
    at.dismiss(others)

    gpu = hire(at, "gpu")
    at.waits_for("slow 1", "step_executing")
    why = at("explain", "slow 1")
    assert "step 'render' is executed by worker wrk_" in why, why
    assert f"(process {gpu.pid} on " in why and "of queue gpu, attempt 1, since " in why, why
    shown = at("show", "slow 1")
    assert "is executed by worker wrk_" in shown, shown
    task = at.json("show", "slow 1")["tasks"][0]
    assert (task["state"], task["queue"], task["attempt"]) == ("executing", "gpu", 1), task
    queue = at.json("status")["queues"][0]
    assert (queue["executing"], queue["waiting"], queue["workers"]) == (1, 0, 1), queue
    assert "somebody serves each" in at("doctor"), at("doctor")
    assert "queued for gpu" in at("trace", "slow 1"), at("trace", "slow 1")
    let_go(at)
    at.result("slow 1")


def the_owner_is_killed_and_the_step_goes_on(at):
    films = hire(at, "films")
    gpu = hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    gone(at, films)
    let_go(at)
    at.until(lambda: lines(at, "rendered") == ["slow 1"])
    hire(at, "films")
    assert at.result("slow 1").strip() == '"slow 1 rendered and cut"'
    assert begun(at, "slow 1") == ["slow 1 " + by(gpu)]
    is_sound(at)


def the_executing_worker_is_killed_and_another_takes_the_step(at):
    hire(at, "films")
    first = hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    gone(at, first)
    second = hire(at, "gpu")
    is_begun(at, "slow 1", 2)
    let_go(at)
    at.result("slow 1")
    assert begun(at, "slow 1") == ["slow 1 " + by(first), "slow 1 " + by(second)]
    assert kinds(at, "slow 1").count("suspicion") == 1, kinds(at, "slow 1")
    assert kinds(at, "slow 1").count("attempt_failed") == 0
    is_sound(at)


def a_step_that_must_not_be_repeated_fails_when_its_worker_is_killed(at):
    hire(at, "films")
    gpu = hire(at, "gpu")
    start(at, "slow 1", "make_once")
    is_begun(at, "slow 1")
    gone(at, gpu)
    hire(at, "gpu")
    at.result("slow 1", code=1)
    assert "whether it had an effect is unknown" in at("show", "slow 1")
    assert len(begun(at, "slow 1")) == 1
    is_sound(at)


def a_step_that_kills_three_workers_is_quarantined_while_its_owner_lives(at):
    films = hire(at, "films")
    start(at, "deadly 1")
    start(at, "good")
    deaths = 0
    while deaths < 3:
        gpu = hire(at, "gpu")
        at.until(lambda: gpu.poll() is not None)
        assert gpu.returncode == -signal.SIGSEGV
        at.workers.remove(gpu)
        deaths += 1
        at.until(lambda: kinds(at, "deadly 1").count("attempt_crashed") == deaths)
    at.waits_for("deadly 1", "quarantined")
    hire(at, "gpu")
    assert at.result("good").strip() == '"good rendered and cut"'
    assert len(begun(at, "deadly 1")) == 3
    why = at("explain", "deadly 1")
    assert "took its worker down 3 times" in why and "SIGSEGV" in why, why
    assert films.poll() is None

    (at.folder / "mended").touch()
    at("retry", "deadly 1", "--yes")
    assert at.result("deadly 1").strip() == '"deadly 1 rendered and cut"'
    is_sound(at)


def cancel_reaches_the_step(at):
    hire(at, "films")
    hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    at("cancel", "slow 1", "--yes")
    begins = time.monotonic()
    at.until(lambda: lines(at, "stopped") == ["slow 1"])
    assert time.monotonic() - begins < 3, "it was told by the poll alone"
    at.result("slow 1", code=None)
    assert at.json("show", "slow 1")["run"]["state"] == "cancelled"
    assert "step_cancelled" in kinds(at, "slow 1")
    is_sound(at)


def cancel_of_a_step_that_nobody_serves_ends_the_run(at):
    hire(at, "films")
    start(at, "slow 1")
    at.waits_for("slow 1", "step_not_served")
    at("cancel", "slow 1", "--yes")
    at.until(lambda: at.json("show", "slow 1")["run"]["state"] == "cancelled")
    hire(at, "gpu")
    start(at, "after")
    at.result("after")
    assert begun(at, "slow 1") == []


def terminate_reaches_the_step_and_its_outcome_is_refused(at):
    hire(at, "films")
    hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    at("terminate", "slow 1", "--yes")
    at.until(lambda: lines(at, "stopped") == ["slow 1"])
    at.until(lambda: "is too late" in (at.folder / "worker.log").read_text())
    assert kinds(at, "slow 1")[-1] == "run_terminated"
    assert at.json("status")["queues"] == []
    is_sound(at)


def a_frozen_worker_s_step_is_taken_back_within_its_heartbeat_timeout(at):
    hire(at, "films")
    frozen = hire(at, "gpu")
    start(at, "beating 1", "make_watched")
    is_begun(at, "beating 1")
    at.until(lambda: at.json("show", "beating 1")["tasks"][0]["heartbeat"] is not None)
    assert ", heartbeat " in at("explain", "beating 1")
    at.freeze(frozen)
    begins = time.monotonic()
    second = hire(at, "gpu")
    is_begun(at, "beating 1", 2)
    assert time.monotonic() - begins < 10, "it waited for the lease"
    again = begun(at, "beating 1")[1]
    assert f"by {second.pid} attempt 2 after " in again and not again.endswith("after 0"), again
    assert "attempt 2" in at("explain", "beating 1")
    let_go(at)
    at.result("beating 1")
    frozen.send_signal(signal.SIGCONT)
    at.until(lambda: "is too late" in (at.folder / "worker.log").read_text())
    failed = [one for one in at.json("show", "beating 1")["events"]
              if one["kind"] == "attempt_failed"]
    assert len(failed) == 1 and "was silent for 2000 ms" in str(failed[0]), failed
    assert kinds(at, "beating 1").count("step_completed") == 1
    is_sound(at)


def a_frozen_worker_without_heartbeats_loses_its_step_with_its_lease(at):
    hire(at, "films")
    frozen = hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    at.freeze(frozen)
    second = hire(at, "gpu")
    at.until(lambda: len(begun(at, "slow 1")) == 2, limit=60)
    let_go(at)
    at.result("slow 1")
    assert begun(at, "slow 1")[1] == "slow 1 " + by(second)
    frozen.send_signal(signal.SIGCONT)
    at.until(lambda: "[FER-3002]" in (at.folder / "worker.log").read_text())
    start(at, "after")
    at.result("after")
    assert kinds(at, "slow 1").count("suspicion") == 1
    assert kinds(at, "slow 1").count("step_completed") == 2  # render and cut
    is_sound(at)


def a_worker_that_is_told_to_stop_gives_its_step_back(at):
    hire(at, "films")
    first = hire(at, "gpu")
    start(at, "slow 1")
    is_begun(at, "slow 1")
    second = hire(at, "gpu")
    at.dismiss(first)
    is_begun(at, "slow 1", 2)
    assert begun(at, "slow 1")[1] == "slow 1 " + by(second)
    assert "suspicion" not in kinds(at, "slow 1")
    assert "given back" in at("show", "slow 1")
    let_go(at)
    at.result("slow 1")
    is_sound(at)


def a_queue_has_places_of_its_own(at):
    hire(at, "both", "--queue", "default", "--queue", "gpu=2", "--concurrency", "1")
    for n in range(6):
        start(at, f"slow {n}")
    at.until(lambda: len(lines(at, "begun")) == 2)
    time.sleep(1)
    assert len(lines(at, "begun")) == 2, lines(at, "begun")
    queue = at.json("status")["queues"][0]
    assert (queue["executing"], queue["waiting"]) == (2, 4), queue
    let_go(at)
    for n in range(6):
        at.result(f"slow {n}")


def killed_again_and_again_nothing_finished_is_repeated(at):
    chance = random.Random(7)
    hired = [hire(at, "films"), hire(at, "films"), hire(at, "gpu"), hire(at, "gpu")]
    start(at, "60", "make_series")
    for n in range(20):
        start(at, f"film {n}")
    for _ in range(12):
        time.sleep(chance.random() * 0.4)
        at_hand = chance.randrange(4)
        gone(at, hired[at_hand])
        hired[at_hand] = hire(at, "films" if at_hand < 2 else "gpu")
    assert at.result("60").strip() == '"60"'
    for n in range(20):
        assert at.result(f"film {n}").strip() == f'"film {n} rendered and cut"'
        events = at.json("show", f"film {n}")["events"]
        done = [one for one in events if one["kind"] == "step_completed"]
        assert len(done) == 2, events
    assert at.json("status")["queues"] == []
    is_sound(at)


if __name__ == "__main__":
    run_all(FERMATA, [one for name, one in list(globals().items())
                      if callable(one) and getattr(one, "__module__", "") == "__main__"
                      and name.startswith(("a_", "the_", "explain_", "cancel_", "terminate_", "killed_"))],
            sys.argv[3:])
