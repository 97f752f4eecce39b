# SPDX-License-Identifier: Apache-2.0
"""A line to a server on this host that can be bad: slow, silent, cut in the middle of a message, one byte at
a time."""

import select
import socket
import struct
import threading
import time

FAULTS = ("delay", "vanish", "reset", "trickle")


class Cable:
    """Listens on `port`. What `fault` names happens to every line that is open when it is set, and to new
    ones until `heal`; a line on which bytes vanished, or that was reset, doesn't come back."""

    def __init__(self, server_port, chance):
        self.server_port, self.chance = server_port, chance
        self.fault = None
        self.over = threading.Event()
        self.lines = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while not self.over.is_set():
            try:
                client, _ = self.listening.accept()
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                continue
            self.lines = [line for line in self.lines if line.is_alive()]
            line = Line(self, client, server)
            self.lines.append(line)
            line.start()

    def begin(self, fault):
        self.fault = fault

    def heal(self):
        self.fault = None

    def close(self):
        self.over.set()
        self.listening.close()


class Line(threading.Thread):
    def __init__(self, cable, client, server):
        super().__init__(daemon=True)
        self.cable, self.client, self.server = cable, client, server
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self):
        try:
            while not self.cable.over.is_set():
                ready, _, _ = select.select([self.client, self.server], [], [], 0.1)
                for one in ready:
                    if not self.carry(one, self.server if one is self.client else self.client):
                        return
        except OSError:
            pass
        finally:
            self.client.close()
            self.server.close()

    def carry(self, source, to):
        """False: the line is over."""
        data = source.recv(65536)
        if not data:
            return False
        fault = self.cable.fault
        if fault == "vanish":
            # Neither side hears of it before the fault is over, as behind a router that forgot them.
            while self.cable.fault == fault and not self.cable.over.is_set():
                time.sleep(0.02)
            return self.cut()
        if fault == "reset":
            to.sendall(data[: self.cable.chance.randrange(len(data))])
            return self.cut()
        if fault == "delay":
            time.sleep(self.cable.chance.uniform(0.01, 0.3))
        elif fault == "trickle":
            for at in range(len(data)):
                if self.cable.fault != fault:
                    to.sendall(data[at:])
                    return True
                to.sendall(data[at : at + 1])
                time.sleep(0.01)
            return True
        to.sendall(data)
        return True

    def cut(self):
        for one in (self.client, self.server):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False
