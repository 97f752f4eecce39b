#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A step that takes its worker down is quarantined and explained; the other runs go on.

crash.py FERMATA WORKER CRASH_ME"""

import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from processes import run_all, state_of  # noqa: E402

FERMATA, WORKER, CRASH_ME = sys.argv[1:4]
GOOD = [f"good{n}" for n in range(12)]


def keep_alive(at, settled, workers=1):
    """Starts workers again whenever they die, as systemd does. Gives how they died each time."""
    deaths = []

    def bury():
        for dead in [one for one in at.workers if one.poll() is not None]:
            at.workers.remove(dead)
            deaths.append(-dead.returncode)

    def look():
        bury()
        while len(at.workers) < workers:
            at.hire(WORKER)
        return settled()

    at.until(look)
    bury()
    return deaths


def attention(at, run):
    return at.json("show", run)["run"]["attention"]


def start_unchecked(at, workflow, key):
    at("start", workflow, f'"{key}"', "--key", key, "--unchecked")


def has_backtrace(text, parts):
    for part in parts:
        assert part in text, f"no {part} in\n{text}"
    frames = re.findall(r"#(\d+) \S", text)
    assert len(frames) >= 5 and frames[:3] == ["0", "1", "2"], text


def the_run_is_quarantined_and_the_others_go_on(at):
    journal_maker = at.hire(WORKER)
    at.dismiss(journal_maker)
    for key in [*GOOD[:6], "broken", *GOOD[6:]]:
        start_unchecked(at, "make_thumbnail", key)

    deaths = keep_alive(at, lambda: attention(at, "broken") == "quarantined")
    assert deaths == [signal.SIGSEGV] * 3, deaths
    for key in GOOD:
        assert at.result(key).strip() == f'"a thumbnail of {key} 80"'
        kinds = [one["kind"] for one in at.json("show", key)["events"]]
        assert "attempt_crashed" not in kinds, (key, kinds)

    why = at("explain", "broken")
    assert "broken is quarantined: an operation took its worker down too often" in why, why
    assert "step 'decode_picture' (operation 1) took its worker down 3 times" in why, why
    assert "[FER-1202]" in why and "fermata retry broken" in why, why
    parts = ["SIGSEGV, fault at address 0x10", "width_of_picture(", "decode(", "(program+0x"]
    has_backtrace(why, ["'decode_picture', attempt 1, crashed 3 times, the last", *parts])
    shown = at("show", "broken")
    assert shown.count("attempt crashed") == 3, shown
    assert "step 'decode_picture' (operation 1) took its worker down 3 times" in shown, shown
    has_backtrace(shown, parts)

    notes = [one for one in at.json("show", "broken")["events"] if one["kind"] == "attempt_crashed"]
    assert len(notes) == 3, notes
    for note in notes:
        assert note["details"]["signal"] == signal.SIGSEGV, note
        assert 100 < len(note["details"]["backtrace"]) < 8192, note


def with_three_workers_alive_it_takes_no_more_deaths(at):
    at.dismiss(at.hire(WORKER))
    for key in [*GOOD[:6], "broken", *GOOD[6:]]:
        start_unchecked(at, "make_thumbnail", key)
    deaths = keep_alive(at, lambda: attention(at, "broken") == "quarantined", workers=3)
    assert deaths == [signal.SIGSEGV] * 3, deaths
    assert crashes_told(at, "broken") == 3
    for key in GOOD:
        assert at.result(key).strip() == f'"a thumbnail of {key} 80"'
    assert "all is sound" in at("verify")


def crashes_told(at, run):
    kinds = [one["kind"] for one in at.json("show", run)["events"]]
    return kinds.count("attempt_crashed")


def a_rescuer_that_dies_is_followed_by_another(at):
    if os.environ.get("FERMATA_HAS_FAILPOINTS") != "1":
        return print("        (this build has no failpoints)")
    elsewhere = [CRASH_ME, "--journal", at.journal, "--queue", "elsewhere"]
    for place, told in (("rescue.marked", 0), ("rescue.blamed", 1)):
        run = f"broken by {place}"
        at.dismiss(at.hire(*elsewhere))
        start_unchecked(at, "make_thumbnail", run)
        victim = at.hire(WORKER)
        at.until(lambda: victim.poll() == -signal.SIGSEGV)
        at.workers.remove(victim)

        at.env["FERMATA_FAILPOINT"] = f"{place}=kill"
        rescuer = at.hire(*elsewhere)
        del at.env["FERMATA_FAILPOINT"]
        at.until(lambda: rescuer.poll() == -signal.SIGKILL)
        at.workers.remove(rescuer)
        assert crashes_told(at, run) == told

        follower = at.hire(*elsewhere)
        at.until(lambda: crashes_told(at, run) == 1)
        (at.folder / "mended").touch()
        healthy = at.hire(WORKER)
        assert at.result(run).strip() == f'"a thumbnail of {run} 80"'
        assert crashes_told(at, run) == 1
        at.dismiss(healthy)
        at.dismiss(follower)
        (at.folder / "mended").unlink()
    assert "all is sound" in at("verify")


def crash_and_rescue(at, run, failpoint):
    """One dies, and another, who has only just begun, looks after it. Answers both, and the names of the
    places that the rescuer passed."""
    start_unchecked(at, "make_thumbnail", run)
    victim = at.hire(WORKER)
    at.until(lambda: victim.poll() == -signal.SIGSEGV)
    at.workers.remove(victim)
    passed = at.folder / f"passed by the rescuer of {run}"
    at.env.update(FERMATA_FAILPOINT=failpoint, FERMATA_FAILPOINT_HITS=str(passed))
    rescuer = at.hire(CRASH_ME, "--journal", at.journal, "--queue", "elsewhere")
    del at.env["FERMATA_FAILPOINT"], at.env["FERMATA_FAILPOINT_HITS"]
    return victim, rescuer, lambda: passed.read_text().split()


def who_goes_after_a_rescue_that_failed_is_followed_at_once(at):
    if os.environ.get("FERMATA_HAS_FAILPOINTS") != "1":
        return print("        (this build has no failpoints)")
    at.dismiss(at.hire(WORKER))
    _, rescuer, passed = crash_and_rescue(at, "broken one", "none=none")
    at.until(lambda: "rescue.released" in passed())
    before = passed()[:passed().index("rescue.blamed")].count("sqlite.in_transaction")
    at.dismiss(rescuer)

    # He sees none of it: else he would be the rescuer.
    witness = at.hire(CRASH_ME, "--journal", at.journal, "--queue", "elsewhere")
    at.freeze(witness)
    victim, rescuer, passed = crash_and_rescue(
        at, "broken two", f"sqlite.in_transaction=error@{before + 1}")
    at.until(lambda: "rescue.released" in passed())
    at.dismiss(rescuer)
    witness.send_signal(signal.SIGCONT)

    db = sqlite3.connect(at.folder / "journal.db")
    released = f"SELECT released FROM workers WHERE pid = {victim.pid}"
    at.until(lambda: db.execute(released).fetchone() == (1,), limit=5)
    db.close()


def who_leaves_takes_no_other_ones_black_box_along(at):
    if os.environ.get("FERMATA_HAS_FAILPOINTS") != "1":
        return print("        (this build has no failpoints)")
    at.env["FERMATA_FAILPOINT"] = "leave.after=stop"
    leaver = at.hire(WORKER)
    del at.env["FERMATA_FAILPOINT"]
    leaver.send_signal(signal.SIGTERM)
    at.until(lambda: state_of(leaver) == "T")
    heir = at.hire(WORKER)  # in the slot that is free by now
    leaver.send_signal(signal.SIGCONT)
    assert leaver.wait(timeout=30) == 0
    at.workers.remove(leaver)

    start_unchecked(at, "make_thumbnail", "broken")
    at.until(lambda: heir.poll() == -signal.SIGSEGV)
    at.workers.remove(heir)
    at.hire(CRASH_ME, "--journal", at.journal, "--queue", "elsewhere")
    at.until(lambda: crashes_told(at, "broken") == 1)


def retry_releases_it(at):
    at.dismiss(at.hire(WORKER))
    start_unchecked(at, "make_thumbnail", "broken")
    keep_alive(at, lambda: attention(at, "broken") == "quarantined")

    # As long as nothing is mended it goes back there, after three more.
    at("retry", "broken")
    deaths = keep_alive(at, lambda: attention(at, "broken") == "quarantined")
    assert deaths == [signal.SIGSEGV] * 3, deaths

    (at.folder / "mended").touch()
    assert at("retry", "broken").strip() == at.json("show", "broken")["run"]["run"]
    assert at.result("broken").strip() == '"a thumbnail of broken 80"'
    assert at.workers[0].poll() is None
    assert "all is sound" in at("verify")


def a_crash_of_the_workflows_own_code_is_told_too(at):
    at.dismiss(at.hire(WORKER))
    start_unchecked(at, "crash_outside", "a")
    start_unchecked(at, "make_thumbnail", "b")
    deaths = keep_alive(at, lambda: attention(at, "a") == "quarantined")
    assert deaths == [signal.SIGABRT] * 3, deaths
    for text in (at("explain", "a"), at("show", "a")):
        assert "the workflow's own code took its worker down 3 times" in text, text
        has_backtrace(text, ["SIGABRT", "run_crash_outside("])
    assert at.result("b").strip() == '"a thumbnail of b 80"'

    (at.folder / "mended").touch()
    at("retry", "a")
    assert at.result("a").strip() == '"a 80"'


def an_awaitable_step_is_quarantined_and_those_that_wait_beside_it_arent_blamed(at):
    at.dismiss(at.hire(WORKER))
    for key in ["good1", "good2", "broken", "good3"]:
        start_unchecked(at, "fetch", key)
    deaths = keep_alive(at, lambda: attention(at, "broken") == "quarantined")
    assert deaths == [signal.SIGSEGV] * 3, deaths
    assert "step 'fetch_picture' (operation 1) took its worker down 3 times" in at("explain", "broken")
    has_backtrace(at("explain", "broken"), ["SIGSEGV, fault at address 0x10", "width_of_picture("])
    for key in ["good1", "good2", "good3"]:
        assert at.result(key).strip() == f'"{key} 80"'
        kinds = [one["kind"] for one in at.json("show", key)["events"]]
        assert not {"attempt_crashed", "suspicion"} & set(kinds), (key, kinds)


def a_transactional_step_in_the_journal_is_quarantined(at):
    at.dismiss(at.hire(WORKER))
    for key in ["good1", "broken", "good2"]:
        start_unchecked(at, "store", key)
    deaths = keep_alive(at, lambda: attention(at, "broken") == "quarantined")
    assert deaths == [signal.SIGSEGV] * 3, deaths
    assert "step 'store_picture' (operation 1) took its worker down 3 times" in at("explain", "broken")
    for key in ["good1", "good2"]:
        assert at.result(key).strip() == f'"{key} 80"'
    assert "all is sound" in at("verify")


def what_a_killed_attempt_told_reaches_the_next(at):
    at.dismiss(at.hire(WORKER))
    at("start", "count", "42", "--key", "c", "--unchecked")
    deaths = keep_alive(at, lambda: at.json("show", "c")["run"]["state"] == "completed")
    assert deaths == [signal.SIGKILL], deaths
    assert at.result("c").strip() == "42"


def before_it_is_quarantined_it_says_how_the_last_attempt_died(at):
    worker = at.hire(WORKER)
    start_unchecked(at, "make_thumbnail", "broken")
    at.until(lambda: worker.poll() is not None)
    # Another looks after the dead one and stays away from its work.
    at.hire(CRASH_ME, "--journal", at.journal, "--queue", "elsewhere")
    at.until(lambda: "attempt 1" in at("explain", "broken"))
    has_backtrace(at("explain", "broken"), ["SIGSEGV, fault at address 0x10", "program+0x"])


def paid(at):
    log = at.folder / "paid"
    return log.read_text().split() if log.exists() else []


def die_while_paying(at, workflow, what):
    """The worker dies once while it pays: by a bug of its own, or by somebody's kill -9."""
    worker = at.hire(WORKER)
    start_unchecked(at, workflow, what)
    at.until(lambda: paid(at) == [what])
    if what == "slow":
        worker.kill()
    assert worker.wait(timeout=30) == (-signal.SIGKILL if what == "slow" else -signal.SIGSEGV)
    at.workers.remove(worker)
    return at.hire(WORKER)


def on_crash_fail_hands_the_doubt_to_the_workflow_and_tries_nothing_again(at):
    for what in ("broken", "slow"):
        (at.folder / "paid").unlink(missing_ok=True)
        worker = die_while_paying(at, "pay_or_fail", what)
        said = at.result(what)
        assert said.startswith('"unknown, crashed: the worker went away during an attempt'), said
        assert paid(at) == [what]
        at.dismiss(worker)


def on_crash_ask_waits_for_a_person_and_tries_again_when_told(at):
    for what in ("broken", "slow"):
        (at.folder / "paid").unlink(missing_ok=True)
        (at.folder / "mended").unlink(missing_ok=True)
        worker = die_while_paying(at, "pay_or_ask", what)
        at.until(lambda: attention(at, what) == "needs_attention")
        why = at("explain", what)
        assert "step 'pay'" in why and "[FER-1204]" in why, why
        assert "whether that had an effect is unknown" in why, why
        assert paid(at) == [what]

        (at.folder / "mended").touch()
        at("retry", what)
        assert at.result(what).strip() == f'"{what} 80"'
        assert paid(at) == [what, what]
        at.dismiss(worker)


def the_example_explains_itself(at):
    quiet = dict(os.environ, FERMATA_JOURNAL="")
    ran = subprocess.run([CRASH_ME], cwd=at.folder, env=quiet, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    journal = ["--journal", f"sqlite:{at.folder}/crash_me.db"]
    for text in (at("explain", "broken.png", *journal), at("show", "broken.png", *journal)):
        assert "quarantined" in text and "'decode_picture'" in text, text
        has_backtrace(text, ["SIGSEGV", "gsignal", "decode("])


if __name__ == "__main__":
    run_all(
        FERMATA,
        [
            the_run_is_quarantined_and_the_others_go_on,
            with_three_workers_alive_it_takes_no_more_deaths,
            a_rescuer_that_dies_is_followed_by_another,
            who_goes_after_a_rescue_that_failed_is_followed_at_once,
            who_leaves_takes_no_other_ones_black_box_along,
            retry_releases_it,
            a_crash_of_the_workflows_own_code_is_told_too,
            an_awaitable_step_is_quarantined_and_those_that_wait_beside_it_arent_blamed,
            a_transactional_step_in_the_journal_is_quarantined,
            what_a_killed_attempt_told_reaches_the_next,
            before_it_is_quarantined_it_says_how_the_last_attempt_died,
            on_crash_fail_hands_the_doubt_to_the_workflow_and_tries_nothing_again,
            on_crash_ask_waits_for_a_person_and_tries_again_when_told,
            the_example_explains_itself,
        ],
        sys.argv[4:],
    )
