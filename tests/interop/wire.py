# SPDX-License-Identifier: Apache-2.0
"""The wire protocol of ractor_cluster, as far as the tests speak it themselves: frames, protobuf, the handshake.

It shares no code with the library or with the crate, so it is a third opinion on what the bytes are.
"""

import hashlib
import socket
import struct
import time

DEFAULT_SCOPE = "__default_scope__"
FRAME_MAX = 16 * 1024 * 1024


# ---- protobuf ----------------------------------------------------------------------------------------------------

def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def num(field, value):
    """An implicit scalar: absent when zero."""
    return varint(field << 3) + varint(value) if value else b""


def num_explicit(field, value):
    return varint(field << 3) + varint(value)


def blob(field, data):
    """A sub-message, or bytes that are to be present even when empty."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def text(field, value):
    return blob(field, value.encode()) if value else b""


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """{number: [value, ...]}; a value is an int or bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def first(message, field, default=0):
    return message.get(field, [default])[-1]


def string(message, field):
    return first(message, field, b"").decode()


# ---- messages ----------------------------------------------------------------------------------------------------

AUTH = {1: "name", 2: "status", 3: "client_status", 4: "challenge", 5: "challenge_reply", 6: "challenge_ack"}
NODE = {1: "cast", 2: "call", 3: "reply"}
CONTROL = {1: "spawn", 2: "terminate", 3: "ping", 4: "pong", 5: "pg_join", 6: "pg_leave", 7: "enumerate",
           8: "node_sessions", 9: "ready"}
LAYERS = {1: AUTH, 2: NODE, 3: CONTROL}
NUMBERS = {kind: (layer, number) for layer, table in LAYERS.items() for number, kind in table.items()}

STATUS_OK, STATUS_OK_SIMULTANEOUS, STATUS_NOT_OK, STATUS_NOT_ALLOWED, STATUS_ALIVE = range(5)


def frame(payload):
    return struct.pack(">Q", len(payload)) + payload


def message(kind, body=b""):
    """The frame of the message of that kind."""
    layer, number = NUMBERS[kind]
    return frame(blob(layer, blob(number, body)))


def parse(payload):
    """(kind, fields); kind is None for what is empty or unknown."""
    for layer, body in fields(payload).items():
        for number, inner in (fields(body[-1]) if layer in LAYERS else {}).items():
            if number in LAYERS[layer]:
                return LAYERS[layer][number], fields(inner[-1])
    return None, {}


def name_body(name, connection, connection_id=0):
    return text(1, name) + blob(2, num(1, 1)) + text(3, connection) + num(4, connection_id)


def challenge_body(name, connection, challenge):
    return text(1, name) + blob(2, num(1, 1)) + num(3, challenge) + text(4, connection)


def actor(pid, name=None):
    return num(1, pid) + (blob(2, name.encode()) if name is not None else b"")


def spawn(*actors):
    return message("spawn", b"".join(blob(1, a) for a in actors))


def terminate(*pids):
    return message("terminate", blob(1, b"".join(varint(p) for p in pids)))


def pg(kind, group, *actors, scope=DEFAULT_SCOPE):
    return message(kind, text(1, group) + b"".join(blob(2, a) for a in actors) + text(3, scope))


def ping(seconds, nanos):
    return message("ping", blob(1, num(1, seconds) + num(2, nanos)))


def block(*args):
    """An argument block of the derive macro."""
    return b"".join(struct.pack(">Q", len(a)) + a for a in args)


def cast(pid, variant, what=b"", extra=b""):
    return message("cast", num(1, pid) + (blob(2, what) if what else b"") + text(3, variant) + extra)


def call(pid, variant, tag, what=b"", timeout_ms=None):
    timeout = b"" if timeout_ms is None else num_explicit(4, timeout_ms)
    return message("call", num(1, pid) + (blob(2, what) if what else b"") + num(3, tag) + timeout + text(5, variant))


def reply(pid, tag, what):
    return message("reply", num(1, pid) + num(2, tag) + (blob(3, what) if what else b""))


def digest(cookie, challenge):
    return hashlib.sha256(struct.pack(">I", challenge) + cookie.encode()).digest()


# ---- a connection ------------------------------------------------------------------------------------------------

class Closed(Exception):
    pass


class Link:
    """One connection, spoken by hand."""

    def __init__(self, sock, name="raw@127.0.0.1", connection="127.0.0.1:1", cookie="cookie"):
        self.sock, self.name, self.connection, self.cookie = sock, name, connection, cookie
        self.buffer = b""
        self.peer = {}

    @classmethod
    def dial(cls, port, **options):
        return cls(socket.create_connection(("127.0.0.1", port), timeout=10), **options)

    def close(self):
        self.sock.close()

    def send(self, *frames):
        try:
            self.sock.sendall(b"".join(frames))
        except OSError as error:
            raise Closed(str(error)) from error

    def read(self, timeout=10):
        """The next payload."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 8:
                size = struct.unpack(">Q", self.buffer[:8])[0]
                if len(self.buffer) >= 8 + size:
                    payload, self.buffer = self.buffer[8:8 + size], self.buffer[8 + size:]
                    return payload
            self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def expect(self, kind, timeout=10, skip=("ping",)):
        """The next message, which must be of that kind; kinds in skip are passed over."""
        while True:
            payload = self.read(timeout)
            got, body = parse(payload)
            if got == kind:
                return body
            if got not in skip:
                raise AssertionError(f"expected {kind}, got {got} {payload.hex()}")

    def until(self, kind, timeout=10):
        """The next message of that kind, whatever comes before."""
        while True:
            got, body = parse(self.read(timeout))
            if got == kind:
                return body

    def expect_closed(self, timeout=10):
        """The peer closes, and says nothing first but what was under way."""
        seen = []
        try:
            while True:
                seen.append(parse(self.read(timeout))[0])
        except Closed:
            return seen

    def initiate(self, connection_id=1):
        """The handshake of the dialling side, up to the verified ack."""
        self.send(message("name", name_body(self.name, self.connection, connection_id)))
        status = first(self.expect("status"), 1)
        if status not in (STATUS_OK, STATUS_OK_SIMULTANEOUS):
            raise AssertionError(f"status {status}")
        self.peer = self.expect("challenge")
        self.send(message("challenge_reply", num(1, 42) + blob(2, digest(self.cookie, first(self.peer, 3)))))
        if first(self.expect("challenge_ack"), 1) != digest(self.cookie, 42):
            raise AssertionError("wrong digest in the ack")
        return status

    def accept(self, challenge=42):
        """The handshake of the accepting side."""
        self.peer = self.expect("name")
        self.send(message("status"), message("challenge", challenge_body(self.name, self.connection, challenge)))
        answer = self.expect("challenge_reply")
        if first(answer, 2) != digest(self.cookie, challenge):
            raise AssertionError("wrong digest in the reply")
        self.send(message("challenge_ack", blob(1, digest(self.cookie, first(answer, 1)))))

    def sync(self):
        """Send an empty block, and read the peer's.  Returns [(kind, fields)] without Ready."""
        self.send(message("ready"))
        seen = []
        while True:
            kind, body = parse(self.read())
            if kind == "ready":
                return seen
            if kind != "ping":
                seen.append((kind, body))

    def alive(self):
        """A ping goes there and comes back: what was sent before it has been read."""
        self.send(ping(7, 9))
        while True:
            body = self.until("pong")
            stamp = fields(first(body, 1, b""))
            if (first(stamp, 1), first(stamp, 2)) == (7, 9):
                return
