# SPDX-License-Identifier: Apache-2.0
"""What the tests of whole processes share: a folder with a journal, the command, workers."""

import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ORDER = '{"id":"42","sku":"abc","cents":990}'


def documented_exits():
    """FER code → the exit code that docs/errors.md promises."""
    text = (REPOSITORY / "docs" / "errors.md").read_text()
    found = re.findall(r"^### (FER-\d{4})$.*?\*Exit\*: (\d+)", text, re.S | re.M)
    return {code: int(number) for code, number in found}


EXITS = documented_exits()


class Place:
    """A folder with a journal, the command `fermata`, and the workers that were hired there."""

    def __init__(self, folder, bin_folder, journal="journal.db"):
        self.folder = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_folder)
        self.file = self.folder / journal
        self.env = dict(os.environ, FERMATA_JOURNAL=f"sqlite:{self.file}", NO_COLOR="1",
                        MIX_LOG=str(self.folder / "mix.log"), FERMATA_BUILD="e2e")
        self.workers = {}

    def __call__(self, *words, code=0, journal=None, stdin=None, user=None):
        """Runs `fermata` with these words; `code` None: whatever it ends with."""
        env = dict(self.env, FERMATA_JOURNAL=f"sqlite:{journal}") if journal else self.env
        more = {"user": user, "group": user, "extra_groups": []} if user else {}
        ran = subprocess.run([str(self.bin / "fermata"), *map(str, words)], env=env, input=stdin,
                             capture_output=True, text=True, timeout=60, **more)
        assert ran.returncode >= 0, f"{words} was ended by signal {-ran.returncode}\n{ran.stderr}"
        if code is not None:
            assert ran.returncode == code, \
                f"{short(words)} ended with {ran.returncode}, not {code}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def json(self, *words, **more):
        return json.loads(self(*words, "-o", "json", **more).stdout)

    def refuses(self, words, fer, *parts, **more):
        """It ends as docs/errors.md says, with one sentence that has the code and these parts."""
        ran = self(*words, code=EXITS[fer], **more)
        assert ran.stdout == "", f"{short(words)} was refused, and yet it says\n{ran.stdout}"
        assert ran.stderr.startswith("fermata: ") and f"[{fer}]" in ran.stderr, \
            f"{short(words)}: no [{fer}] in\n{ran.stderr}"
        for part in parts:
            assert part in ran.stderr, f"{short(words)}: no '{part}' in\n{ran.stderr}"
        return ran.stderr

    def hire(self, program, name="worker", wait=True, journal=None):
        """Starts a worker, whose log is NAME.log in the folder."""
        env = dict(self.env, FERMATA_JOURNAL=f"sqlite:{journal}") if journal else self.env
        with open(self.folder / f"{name}.log", "a") as log:
            worker = subprocess.Popen([str(self.bin / program)], env=env, stdout=log, stderr=log)
        self.workers[name] = worker
        if wait:
            self.until(lambda: self.serves(worker.pid, journal or self.file), f"{name} starts")
        return worker

    @staticmethod
    def serves(pid, file):
        """Whether this process has told the journal what it serves."""
        if not pathlib.Path(file).exists():
            return False
        db = sqlite3.connect(file, timeout=10)
        try:
            return db.execute("SELECT count(*) FROM serving s JOIN workers w ON w.id = s.worker "
                              "WHERE w.pid = ?", (pid,)).fetchone()[0] > 0
        except sqlite3.OperationalError:
            return False  # it is just being made
        finally:
            db.close()

    def heard(self, name="worker"):
        return (self.folder / f"{name}.log").read_text()

    def dismiss(self, name="worker"):
        """Ends a worker as an operator does; it must go in peace."""
        worker = self.workers.pop(name)
        worker.send_signal(signal.SIGTERM)
        code = worker.wait(timeout=30)
        assert code == 0, f"{name} ended with {code}\n{self.heard(name)[-2000:]}"

    def end_all(self):
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        self.workers = {}

    def until(self, holds, what, limit=30):
        end = time.monotonic() + limit
        while True:
            # First who has ended: a worker that ends while `holds` is asked may be what it asks for.
            ended = [f"{name} ended with {worker.returncode}" for name, worker in self.workers.items()
                     if worker.poll() is not None]
            if holds():
                return
            assert not ended, f"{', '.join(ended)}, while waiting until {what}"
            assert time.monotonic() < end, f"not so within {limit} s: {what}"
            time.sleep(0.05)

    def reason(self, run):
        return self.json("explain", run)["reason"]


def short(words):
    text = "fermata " + " ".join(map(str, words))
    return text if len(text) < 200 else text[:200] + "…"


def carry_out(tests, bin_folder, wanted=()):
    """Runs each test in a folder of its own; its name is the sentence it shows."""
    failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        sentence = test.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory(prefix="fermata-e2e-") as folder:
            at = Place(folder, bin_folder)
            begun = time.monotonic()
            try:
                test(at)
                print(f"ok      {sentence} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception as problem:  # noqa: BLE001: every test is told
                failed += 1
                print(f"FAILED  {sentence}\n{type(problem).__name__}: {problem}", flush=True)
                for log in sorted(at.folder.glob("*.log")):
                    if log.name != "mix.log":
                        print(f"---- {log.name}\n{log.read_text()[-3000:]}", flush=True)
            finally:
                at.end_all()
    return 1 if failed else 0


def fail(sentence):
    print(sentence, flush=True)
    sys.exit(1)
