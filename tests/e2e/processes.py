# SPDX-License-Identifier: Apache-2.0
"""A folder with a journal, the worker processes on it, and the command `fermata`.

A test is a function that takes a Place; its name is the sentence. `run_all` runs those given."""

import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time


class Place:
    def __init__(self, command, folder):
        self.command = command
        self.folder = pathlib.Path(folder)
        self.journal = f"sqlite:{self.folder}/journal.db"
        self.env = dict(os.environ, FERMATA_JOURNAL=self.journal, NO_COLOR="1", PLACE=str(folder))
        self.env.pop("FERMATA_BUILD", None)
        self.workers = []

    def __call__(self, *arguments, code=0):
        ran = subprocess.run(
            [self.command, *arguments], env=self.env, capture_output=True, text=True, timeout=60
        )
        if code is not None:
            told = f"{arguments} ended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
            assert ran.returncode == code, told
        return ran.stdout if code is not None else ran

    def json(self, *arguments):
        return json.loads(self(*arguments, "-o", "json"))

    def hire(self, program, *arguments):
        """Starts a worker. Returns when it is known to the journal."""
        with open(self.folder / "worker.log", "a") as log:
            worker = subprocess.Popen([program, *arguments], env=self.env, stdout=log, stderr=log)
        self.workers.append(worker)
        # One that crashes at once is as good as known.
        self.until(lambda: worker.poll() is not None or worker.pid in self.alive())
        return worker

    def alive(self):
        ran = self("status", "-o", "json", code=None)
        if ran.returncode != 0:
            return set()  # the journal isn't made yet
        return {one["pid"] for one in json.loads(ran.stdout)["workers"] if one["state"] == "alive"}

    def dismiss(self, worker, how=signal.SIGTERM):
        worker.send_signal(how)
        code = worker.wait(timeout=30)
        assert code == (0 if how == signal.SIGTERM else -how), f"the worker ended with {code}"
        self.workers.remove(worker)

    def freeze(self, worker):
        """Stops a worker where it doesn't hold the journal's lock: whoever writes waits for that one."""
        with open(self.folder / "journal.db-lock", "r+b") as lock:
            while True:
                worker.send_signal(signal.SIGSTOP)
                self.until(lambda: state_of(worker) in "TZ")
                try:
                    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
                    return fcntl.lockf(lock, fcntl.LOCK_UN, 1)
                except BlockingIOError:
                    worker.send_signal(signal.SIGCONT)
                    time.sleep(0.01)

    def until(self, condition, limit=30):
        end = time.monotonic() + limit
        while not condition():
            assert time.monotonic() < end, "it didn't happen in time"
            time.sleep(0.03)

    def reason(self, run):
        return self.json("explain", run)["reason"]

    def waits_for(self, run, reason):
        try:
            self.until(lambda: self.reason(run) == reason)
        except AssertionError:
            raise AssertionError(f"{run} isn't {reason}:\n{self('explain', run)}") from None

    def result(self, run, code=0):
        return self("result", run, "--timeout", "30s", code=code)

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


def state_of(process):
    """R, S, D, T when it is stopped, Z when it has ended (proc(5))."""
    stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0]


def line_of(source, marker):
    """The line of a source that has the comment "// marker"."""
    wanted = re.compile(rf"//\s*{re.escape(marker)}$")
    found = [n for n, line in enumerate(source.read_text().splitlines(), 1) if wanted.search(line)]
    assert len(found) == 1, f"{marker}: {found}"
    return f"{source.name}:{found[0]}"


def run_all(command, tests, wanted=()):
    failed = 0
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        sentence = test.__name__.replace("_", " ")
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="fermata-e2e-") as folder:
            at = Place(command, folder)
            try:
                test(at)
                print(f"ok      {sentence} ({time.monotonic() - begun:.1f} s)", flush=True)
            except Exception as problem:  # noqa: BLE001: every test is told
                failed += 1
                print(f"FAILED  {sentence}\n{type(problem).__name__}: {problem}", flush=True)
                log = at.folder / "worker.log"
                print("workers: " + (log.read_text()[-3000:] if log.exists() else "none"))
            finally:
                at.close()
    sys.exit(1 if failed else 0)
