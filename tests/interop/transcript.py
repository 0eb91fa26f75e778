#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Record what two peers say to each other, through a proxy, as test vectors.

usage: transcript.py KIND KIND > transcripts/NAME.txt

The first kind dials.  One line a frame: ">" for what the dialler sent or "<" for what it was sent, the frame in hex with
its length, and after a "#" what it is.  The cookie is "cookie"; pings are left out.
"""

import queue
import socket
import sys
import threading

import wire
from harness import Peer


class Proxy:
    """One connection to target, every frame of which is put in a queue."""

    def __init__(self, target):
        self.frames, self.target = queue.Queue(), target
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        near = self.server.accept()[0]
        far = socket.create_connection(("127.0.0.1", self.target))
        threading.Thread(target=self._copy, args=(near, far, ">"), daemon=True).start()
        self._copy(far, near, "<")

    def _copy(self, source, sink, direction):
        link = wire.Link(source)
        while True:
            try:
                payload = link.read(3600)
                self.frames.put((direction, payload))
                sink.sendall(wire.frame(payload))
            except (wire.Closed, OSError):
                return

    def print_until(self, *kinds):
        """Print frames until each of these kinds, as (direction, kind), has passed."""
        waiting = list(kinds)
        while waiting:
            direction, payload = self.frames.get(timeout=10)
            kind, _ = wire.parse(payload)
            if kind in ("ping", "pong"):
                continue
            print(direction, wire.frame(payload).hex(), "#", kind or "nothing known")
            if (direction, kind) in waiting:
                waiting.remove((direction, kind))


def main():
    kinds = sys.argv[1:3]
    a, b = Peer(kinds[0], "a"), Peer(kinds[1], "b")
    a.do("spawn", "probe", "pa", "ga")
    b.do("spawn", "probe", "pb", "gb")
    b.do("spawn", "calc", "cb", "calculators")
    proxy = Proxy(b.port)
    print(f"# {kinds[0]} dials {kinds[1]}: handshake and synchronisation")
    a.do("dial", proxy.address)
    proxy.print_until((">", "ready"), ("<", "ready"))
    a.wait(ev="ready")
    for title, caller, words in (
            ("call EchoStr(\"hello\"), 5000 ms", a, ("gb", "EchoStr", 5000, "68656c6c6f")),
            ("call EchoVecU32([1, 2]) without a timeout", a, ("gb", "EchoVecU32", "-", "1,2")),
            ("call Join(7, -2, \"hi\")", a, ("gb", "Join", 500, "7", "-2", "6869")),
            ("call Ping()", b, ("ga", "Ping", 500)),
            ("call Add(Operands{10, 2})", a, ("calculators", "Add", 1000, "10", "2"))):
        print(f"# {title}")
        caller.do("call", *words)
        proxy.print_until(*((">", "call"), ("<", "reply")) if caller is a else (("<", "call"), (">", "reply")))
    print("# cast Pair(\"hello\", 42), cast Tick")
    a.do("cast", "gb", "Pair", "68656c6c6f", "42")
    a.do("cast", "gb", "Tick")
    proxy.print_until((">", "cast"), (">", "cast"))
    print("# an actor is spawned, joins a scope, and stops")
    b.do("spawn", "probe", "late")
    b.do("join", "late", "group", "scope")
    proxy.print_until(("<", "pg_join"))
    b.do("stop", "late")
    proxy.print_until(("<", "terminate"), ("<", "pg_leave"))
    a.end()
    b.end()


if __name__ == "__main__":
    main()
