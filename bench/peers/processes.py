# SPDX-License-Identifier: Apache-2.0
"""Processes that are ours to end: each begins a group of its own, and only that is stopped."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time


class Failed(Exception):
    """A sentence that says what didn't work; it stands in the page."""


def stop(process, patience_s=20):
    """Its whole group, which may outlive the process itself."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def reason(text):
    """The line that says what went wrong, as far as one can tell."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w: ]*error\b.*:", line, re.IGNORECASE)]
    return (errors[:1] or lines[-1:] or ["it said nothing"])[0][:200]


def run(command, timeout_s, env=None, cwd=None):
    """What the command printed."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, cwd=cwd, env={**os.environ, **(env or {})})
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"it hadn't ended after {timeout_s:.0f} s") from None
    finally:
        stop(process)
    if process.returncode != 0:
        raise Failed(f"it ended with {process.returncode}: {reason(err or out)}")
    return out


@contextlib.contextmanager
def server(command, log, env=None, cwd=None):
    """A process that serves until the end of the block; what it says goes to the file `log`."""
    with open(log, "ab") as to:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=to, stderr=to, start_new_session=True,
            cwd=cwd, env={**os.environ, **(env or {})})
    try:
        yield process
        if process.poll() is not None:
            text = open(log, encoding="utf-8", errors="replace").read()
            raise Failed(f"{os.path.basename(command[0])} has ended: {reason(text)}")
    finally:
        stop(process)


def free_ports(count):
    """Ports of the loopback that nobody uses at the moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(port, process, patience_s=20):
    """Until somebody listens there: `process`, which got it from `free_ports`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise Failed(f"{os.path.basename(process.args[0])} doesn't listen after {patience_s} s, or has ended")


def end_in_order():
    """So that who is told to end stops what he has started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
