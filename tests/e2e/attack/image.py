#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power cuts of the whole stack: the journal lies on an ext4 file system of its own (an image on a loop device
with direct I/O), which stops under load as if the power went: EXT4_IOC_SHUTDOWN without a flush. What had
reached the device is there when it is mounted again, and nothing else: neither what lay in the page cache
nor ext4's own unwritten journal. Everything that was acknowledged before is there, and goes on.

    image.py BIN_FOLDER [--rounds 5] [--store sqlite|postgres] [--seed N]

What it can't show: a device that loses what it said is flushed, since a loop device has no cache of its own
that a flush would empty; and writes in another order or torn (tests/attack/power does that under SQLite).
A copy of the image in mid-load wouldn't be one moment of it. Needs root and a loop device.
"""
import argparse
import fcntl
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "postgres"), str(HERE.parents[1] / "attack")]
from evidence import keep  # noqa: E402
from fleet import Fleet, show_logs  # noqa: E402
from server import Server  # noqa: E402

SHUTDOWN, WITHOUT_FLUSH = 0x8004587D, 2
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def run(*words):
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True,
                          env=dict(os.environ, PATH=PATH)).stdout.strip()


class Image:
    def __init__(self, folder, megabytes):
        self.file, self.at = folder / "image", folder / "disk"
        self.device = None
        self.at.mkdir()
        with open(self.file, "wb") as image:
            image.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", self.file)

    def mount(self):
        # Without the kernel's cache of the image, where the file system below allows that.
        try:
            self.device = run("losetup", "--find", "--show", "--direct-io=on", self.file)
        except subprocess.CalledProcessError:
            self.device = run("losetup", "--find", "--show", self.file)
        run("mount", self.device, self.at)

    def cut(self):
        folder = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(folder)

    def unmount(self):
        if self.device is None:
            return
        for _ in range(100):  # processes that were killed may still hold it for a moment
            if subprocess.run(["umount", self.at], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        run("losetup", "--detach", self.device)
        self.device = None


class Sqlite:
    def __init__(self, disk):
        self.address = f"sqlite:{disk}/journal.db"

    def start(self):
        pass

    def die(self):
        pass

    def stop(self):
        pass


class Postgres:
    def __init__(self, disk):
        os.chmod(disk, 0o755)
        self.server = Server(at=disk)
        self.address = self.server.address()
        self.made = False

    def start(self):
        self.server.start()
        if not self.made:
            self.server.create()
        self.made = True

    def die(self):
        """All of it at once; on this disk nothing can be tidied up."""
        with_children = [self.server.process.pid, *self.server.children()]
        for pid in with_children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.process.wait()
        end = time.monotonic() + 20
        while self.server.children():
            assert time.monotonic() < end, "children of the dead postmaster go on"
            time.sleep(0.02)

    def stop(self):
        self.server.stop()


def acknowledged(fleet):
    if not fleet.answers.exists():
        return 0
    return sum(line.startswith("acked") for line in fleet.answers.read_text().splitlines())


def attack(asked, store, fleet, image):
    chance = random.Random(asked.seed)
    store.start()
    run("sync", "-f", image.at)  # initdb was told not to; from here on nobody helps
    given = worst = 0
    for number in range(asked.rounds):
        fleet.hire_all(2 - len(fleet.workers))
        feeding = fleet.client("feed", given, 40, fleet.answers, stderr=subprocess.DEVNULL)
        before = acknowledged(fleet)
        fleet.until(lambda: acknowledged(fleet) > before + 20, "calls are acknowledged", 60)
        time.sleep(chance.uniform(0, 2))
        image.cut()
        for one in [*fleet.workers, feeding]:
            one.kill()
            one.wait()
        fleet.workers = []
        store.die()
        image.unmount()
        image.mount()
        back = time.monotonic()
        store.start()
        # What the client was told before the cut is there before anybody works on.
        assert fleet.client("answers", fleet.answers).wait() == 0, f"cut {number}: an answer didn't hold"
        fleet.hire_all(2)
        assert fleet.feed(given, 40).wait() == 0, "a client gave up"
        worst = max(worst, int((time.monotonic() - back) * 1000))
        given += 40
    fleet.all_ended(300)
    assert not any(fleet.dismiss()), "a worker didn't go in peace"
    counts = fleet.all_is_well(given)
    print(f"{asked.rounds} power cuts under {asked.store}, {given * 5} runs, {counts['acked']} acknowledged starts: "
          f"all is well", flush=True)
    keep(f"image_{asked.store}", asked.seed, faults=asked.rounds, worst_recovery_ms=worst, **counts)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bin")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    asked = arguments.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("SKIPPED: this needs root and a loop device, so that POWER CUTS OF THE STACK ARE NOT TESTED")
        return 0
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fermata-image-") as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        image = Image(folder, 600 if asked.store == "postgres" else 200)
        image.mount()
        store = {"sqlite": Sqlite, "postgres": Postgres}[asked.store](image.at)
        fleet = Fleet(asked.bin, store.address, folder)
        try:
            attack(asked, store, fleet, image)
            return 0
        except BaseException as why:
            print(f"BAD: {why}", flush=True)
            show_logs(fleet)
            raise
        finally:
            fleet.close()
            store.stop()
            image.unmount()


if __name__ == "__main__":
    sys.exit(main())
