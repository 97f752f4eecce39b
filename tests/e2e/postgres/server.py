# SPDX-License-Identifier: Apache-2.0
"""A private Postgres of a test: started in a folder of its own, killed, started again."""

import glob
import os
import pathlib
import pwd
import random
import shutil
import signal
import subprocess
import tempfile
import time


def tools():
    """The folder of initdb and postgres; Debian puts it out of the path."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    assert found, "no Postgres server is installed; scripts/setup.sh installs one"
    return pathlib.Path(found[-1])


def as_server():
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def own(path):
    if os.geteuid() == 0:
        who = pwd.getpwnam("postgres")
        os.chown(path, who.pw_uid, who.pw_gid)


class Server:
    def __init__(self, name="primary", options="", folder=None, initialise=True):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"fermata-{name}-", dir=folder))
        own(self.home)
        self.data = self.home / "data"
        self.options = options
        self.port = random.randrange(20000, 40000)
        self.process = None
        if initialise:
            self.run("initdb", "-D", self.data, "-U", "fermata", "-A", "trust", "-E", "UTF8",
                     "--locale=C", "-N")

    def run(self, tool, *arguments, check=True):
        return subprocess.run([*as_server(), tools() / tool, *map(str, arguments)], check=check,
                              capture_output=True, text=True)

    def address(self, database="fermata", more=""):
        return f"postgres://fermata@127.0.0.1:{self.port}/{database}{more}"

    def start(self):
        """Returns when it answers. A port that was taken meanwhile is tried no more."""
        with open(self.home / "log", "a") as log:
            self.process = subprocess.Popen(
                [*as_server(), tools() / "postgres", "-D", self.data, "-p", str(self.port), "-c",
                 "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.home}",
                 *[part for one in self.options.split() for part in ("-c", one)]],
                stdout=log, stderr=log)
        end = time.monotonic() + 60
        while self.run("pg_isready", "-h", "127.0.0.1", "-p", self.port, "-U", "fermata", "-q",
                       check=False).returncode != 0:
            assert self.process.poll() is None, (self.home / "log").read_text()[-3000:]
            assert time.monotonic() < end, "the server doesn't come up"
            time.sleep(0.05)
        return self

    def create(self, database="fermata"):
        self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "fermata", database)
        return self

    def sql(self, statement, database="fermata", check=True):
        ran = subprocess.run(
            ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "fermata", "-d", database,
             "-Atqc", statement], capture_output=True, text=True, timeout=60)
        assert not check or ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def kill(self):
        """kill -9 of the postmaster, as a machine that stops; its children end by themselves."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        # Until they have, a new one is refused.
        end = time.monotonic() + 20
        while self.children():
            assert time.monotonic() < end, "children of the dead postmaster go on"
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def children(self):
        """Whoever still has the data folder as its own."""
        found = []
        for status in glob.glob("/proc/[0-9]*/cwd"):
            try:
                if os.readlink(status) == str(self.data):
                    found.append(int(status.split("/")[2]))
            except OSError:
                pass
        return found

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def remove(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
