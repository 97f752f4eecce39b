# SPDX-License-Identifier: Apache-2.0
"""A private Postgres of a test: started in a folder of its own, killed, started again, copied by a
replica that can be promoted, put behind a pool."""

import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
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


def folder():
    """FERMATA_POSTGRES_FOLDER, as scripts/with_postgres.sh understands it: "memory" is where a sync
    costs nothing, if there is room; what is written there survives the server's death, too."""
    asked = os.environ.get("FERMATA_POSTGRES_FOLDER")
    if asked != "memory":
        return asked
    room = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
    return "/dev/shm" if room and room.f_bavail * room.f_frsize > 2_000_000_000 else None


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    def __init__(self, name="primary", options="", initialise=True, at=None,
                 wal=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"fermata-{name}-", dir=at or folder()))
        own(self.home)
        self.data = self.home / "data"
        self.options = options
        self.port = free_port()
        self.process = None
        if initialise:
            self.run("initdb", "-D", self.data, "-U", "fermata", "-A", "trust", "-E", "UTF8",
                     "--locale=C", "-N", *(["-X", wal] if wal else []))

    @classmethod
    def replica_of(cls, primary, name="replica"):
        """A copy that follows the primary, not started yet."""
        copy = cls(name, primary.options, initialise=False)
        copy.run("pg_basebackup", "-D", copy.data, "-R", "-c", "fast", "-X", "stream",
                 *primary.reached_by())
        return copy

    def run(self, tool, *arguments, check=True):
        ran = subprocess.run([*as_server(), tools() / tool, *map(str, arguments)],
                             capture_output=True, text=True)
        assert not check or ran.returncode == 0, f"{tool}: {ran.stderr}"
        return ran

    def reached_by(self, user="fermata"):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", user]

    def address(self, database="fermata", more="", user="fermata"):
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}{more}"

    def launch(self):
        with open(self.home / "log", "a") as log:
            self.process = subprocess.Popen(
                [*as_server(), tools() / "postgres", "-D", self.data, "-p", str(self.port), "-c",
                 "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.home}",
                 *[part for one in self.options.split() for part in ("-c", one)]],
                stdout=log, stderr=log)

    def start(self):
        """Returns when it answers."""
        first = self.process is None
        self.launch()
        end = time.monotonic() + 60
        while self.run("pg_isready", *self.reached_by(), "-q", check=False).returncode != 0:
            if self.process.poll() is not None:
                # A port that was free may be taken a moment later.
                assert first and "could not create any TCP/IP sockets" in self.said(), \
                    self.said()[-3000:]
                self.port, first = free_port(), False
                self.launch()
            assert time.monotonic() < end, "the server doesn't come up"
            time.sleep(0.05)
        return self

    def said(self):
        return (self.home / "log").read_text(errors="replace")

    def create(self, database="fermata"):
        self.run("createdb", *self.reached_by(), database)
        return self

    def psql(self, statement, database="fermata", user="fermata"):
        return subprocess.run(["psql", *self.reached_by(user), "-d", database, "-Atqc", statement],
                              capture_output=True, text=True, timeout=60)

    def sql(self, statement, database="fermata", check=True, user="fermata"):
        ran = self.psql(statement, database, user)
        assert not check or ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def set(self, name, value):
        """Changes a setting of the running server; `None`: its default."""
        self.sql(f"ALTER SYSTEM RESET {name}" if value is None
                 else f"ALTER SYSTEM SET {name} = {value}")
        self.sql("SELECT pg_reload_conf()")

    def promote(self):
        self.sql("SELECT pg_promote(true, 60)", database="postgres")

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
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


class Pool:
    """A pgbouncer in transaction mode before a server; it refuses to run as root, too."""

    def __init__(self, server, size=20):
        self.server, self.port = server, free_port()
        self.home = server.home / "pool"
        self.home.mkdir()
        own(self.home)
        (self.home / "users").write_text('"fermata" ""\n')
        (self.home / "ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.home}/users\npool_mode = transaction\n"
            f"default_pool_size = {size}\nmax_client_conn = 500\n")
        self.process = None

    def address(self, more=""):
        return f"postgres://fermata@127.0.0.1:{self.port}/fermata{more}"

    def start(self):
        found = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
        assert found, "no pgbouncer is installed; scripts/setup.sh installs one"
        with open(self.home / "log", "a") as log:
            self.process = subprocess.Popen([*as_server(), found, self.home / "ini"],
                                            stdout=log, stderr=log)
        end = time.monotonic() + 30
        while subprocess.run([tools() / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port),
                              "-q"]).returncode != 0:
            assert self.process.poll() is None and time.monotonic() < end, self.said()[-3000:]
            time.sleep(0.05)
        return self

    def said(self):
        return (self.home / "log").read_text(errors="replace")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()


def schema_of(server, database):
    """What pg_dump says of it, without what differs between two dumps of the same."""
    dump = server.run("pg_dump", "-s", *server.reached_by(), database).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.M)
