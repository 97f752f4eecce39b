# SPDX-License-Identifier: Apache-2.0
"""Workers, clients and the command on one journal, and a frame for tests that are sentences."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from driven import EXITS, short  # noqa: E402
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "attack"))
from evidence import keep  # noqa: E402

shown = {}  # what the tests of this program have counted, for evidence


def show(**counts):
    for name, count in counts.items():
        known = shown.get(name, 0)
        shown[name] = max(known, count) if name.startswith("worst") else known + count


class Fleet:
    """All that works on one journal: `home` keeps their logs, and the workers' state folder."""

    def __init__(self, bin_folder, address, home):
        self.bin, self.address, self.home = pathlib.Path(bin_folder), address, pathlib.Path(home)
        self.mix_log, self.answers = self.home / "mix.log", self.home / "answers"
        self.environment = dict(os.environ, MIX_LOG=str(self.mix_log), FERMATA_BUILD="attack",
                                FERMATA_STATE=str(self.home / "state"), NO_COLOR="1",
                                FERMATA_JOURNAL=address)
        self.workers = []
        self.logs = []  # of all workers there ever were
        self.clients = []

    # ---- workers ----

    def hire(self, *flags, address=None, environment=None, program="attack_worker"):
        log = self.home / f"worker-{len(self.logs)}.log"
        with open(log, "w") as said:
            worker = subprocess.Popen(
                [self.bin / program, "--journal", address or self.address,
                 "--concurrency", "16", *flags],
                env=dict(self.environment, **(environment or {})), stdout=said, stderr=said)
        worker.log = log
        self.workers.append(worker)
        self.logs.append(log)
        return worker

    def hire_all(self, count):
        for _ in range(count):
            self.hire()
        for worker in self.workers:
            self.until(lambda w=worker: self.serves(w), "a worker starts")
        return self

    def serves(self, worker):
        assert worker.poll() is None, \
            f"a worker ended by itself with {worker.returncode}:\n{self.heard(worker)[-3000:]}"
        return f"as process {worker.pid} " in self.heard(worker)

    def heard(self, worker=None):
        logs = [worker.log] if worker else self.logs
        return "".join(log.read_text(errors="replace") for log in logs)

    def replace(self, victim):
        worker = self.workers[victim]
        assert worker.poll() is None, f"a worker ended by itself with {worker.returncode}"
        worker.kill()
        worker.wait()
        del self.workers[victim]
        self.hire()

    def dismiss(self):
        """Ends them as an operator does; answers how they went."""
        for worker in self.workers:
            self.until(lambda w=worker: self.serves(w), "a worker starts", 60)
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(timeout=60) for worker in self.workers]
        self.workers = []
        return codes

    # ---- clients ----

    def command(self, program, *words, environment=None, **how):
        one = subprocess.Popen([self.bin / program, *map(str, words)],
                               env=dict(self.environment, **(environment or {})), **how)
        self.clients.append(one)
        return one

    def client(self, *words, address=None, **how):
        return self.command("attack_client", address or self.address, *words, **how)

    def feed(self, start, count):
        """Five runs a number, each call until it is acknowledged."""
        return self.client("feed", start, count, self.answers)

    def all_ended(self, seconds=120):
        assert self.client("wait", seconds).wait() == 0, "some runs don't end"

    def all_is_well(self, count, acknowledged=True):
        """Every run has ended as it should, no finished step was repeated, verify finds nothing; what
        was acknowledged is there once. Gives the counts that evidence has."""
        found = counted(self.client("check", count, self.mix_log, **TELLS), "the history is bad")
        counts = {"acked": found["runs"], "lost": found["missing"], "repeated": found["repeated"]}
        if acknowledged:
            answers = counted(self.client("answers", self.answers, **TELLS), "an answer didn't hold")
            counts.update(acked=answers["answers"], lost=counts["lost"] + answers["wrong"])
        show(**counts)
        return counts

    # ---- the command ----

    def __call__(self, *words, code=0, address=None, timeout=60, stdin=None):
        ran = subprocess.run([self.bin / "fermata", *map(str, words)], input=stdin,
                             env=dict(self.environment, FERMATA_JOURNAL=address or self.address),
                             capture_output=True, text=True, timeout=timeout)
        assert code is None or ran.returncode == code, \
            f"{short(words)} ended with {ran.returncode}, not {code}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def json(self, *words, **more):
        return json.loads(self(*words, "-o", "json", **more).stdout)

    def refuses(self, words, fer, *parts, **more):
        """It ends as docs/errors.md says, in one sentence that has the code and these parts."""
        ran = self(*words, code=EXITS[fer], **more)
        for part in (f"[{fer}]", *parts):
            assert part in ran.stderr, f"{short(words)}: no '{part}' in\n{ran.stderr}"
        return ran.stderr

    # ---- waiting, ending ----

    def until(self, holds, what, limit=30.0):
        end = time.monotonic() + limit
        while not holds():
            assert time.monotonic() < end, f"not so within {limit} s: {what}"
            time.sleep(0.03)

    def close(self):
        for one in [*self.workers, *self.clients]:
            if one.poll() is None:
                one.kill()
            one.wait()


TELLS = {"stdout": subprocess.PIPE, "text": True}


def counted(client, complaint):
    """What a client that is told to says at its end, as {"runs": 100, "wrong": 0, …}, if it finds all well."""
    said = client.communicate()[0]
    print(said, end="", flush=True)
    assert client.returncode == 0, complaint
    return {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", said)}


def show_logs(fleet):
    for log in fleet.logs:
        text = log.read_text(errors="replace")
        if text:
            print(f"---- {log.name}\n{text[-4000:]}", flush=True)


def carry_out(tests, asked, wanted=(), name=None):
    """Runs each test with a new place, in a folder of its own; its name is the sentence it shows.
    `asked(folder)` makes the place: it has `close()`, and perhaps `fleet`. What they have shown is kept
    under `name`."""
    failed = rounds = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        sentence = test.__name__.replace("_", " ")
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fermata-e2e-") as folder:
            at = None
            try:
                at = asked(folder)
                test(at)
                rounds += 1
                print(f"ok      {sentence} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception as problem:  # noqa: BLE001: every test is told
                failed += 1
                print(f"FAILED  {sentence}\n{type(problem).__name__}: {problem}", flush=True)
                if getattr(at, "fleet", None):
                    show_logs(at.fleet)
            finally:
                if at is not None:
                    at.close()
    if name and not failed:
        keep(name, "none", rounds=rounds, **shown)
    return 1 if failed else 0
