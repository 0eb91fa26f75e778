# SPDX-License-Identifier: Apache-2.0
"""A WebSocket and HTTP client for tests, of our own so that it can also do what
a client must not."""
import base64
import hashlib
import http.client
import json
import os
import socket
import struct
import time

LIMIT_S = 20
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

CONTINUE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Closed(Exception):
    """The other side closed; code is None if it just hung up."""

    def __init__(self, code=None, reason=""):
        super().__init__("closed %s %s" % (code, reason))
        self.code, self.reason = code, reason


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__("HTTP %d: %s" % (status, body[:200]))
        self.status, self.body = status, body


class WebSocket:
    def __init__(self, port, path="/", protocol="hardtack.json.v1",
                 headers=None, connect=True):
        self.port, self.path, self.protocol = port, path, protocol
        self.headers = dict(headers or {})
        self.buffer = b""
        self.pongs = []
        self.sock = None
        self.accepted = None
        if connect:
            self.connect()

    def connect(self):
        self.sock = socket.create_connection(("localhost", self.port), LIMIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16))
        lines = ["GET %s HTTP/1.1" % self.path,
                 "Host: localhost:%d" % self.port,
                 "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Key: " + key.decode(),
                 "Sec-WebSocket-Version: 13"]
        if self.protocol:
            lines.append("Sec-WebSocket-Protocol: " + self.protocol)
        lines += ["%s: %s" % h for h in self.headers.items()]
        self.sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = self._head()
        status = int(head.split(b" ", 2)[1])
        fields = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip()
        if status != 101:
            length = int(fields.get(b"content-length", b"0"))
            raise Refused(status, self._take(length).decode("utf-8", "replace"))
        want = base64.b64encode(hashlib.sha1(key + GUID).digest())
        assert fields[b"sec-websocket-accept"] == want, fields
        self.accepted = fields.get(b"sec-websocket-protocol", b"").decode()
        self.fields = fields

    def _more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise Closed()
        self.buffer += piece

    def _head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def _take(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    # ---- frames

    def frame(self, opcode, data=b"", fin=True, mask=True, rsv=0):
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask else 0
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", len(data))
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", len(data))
        if mask:
            key = os.urandom(4)
            head += key
            pad = (key * (len(data) // 4 + 1))[:len(data)]
            data = (int.from_bytes(data, "big") ^
                    int.from_bytes(pad, "big")).to_bytes(len(data), "big")
        self.sock.sendall(head + data)

    def read_frame(self):
        a, b = self._take(2)
        assert not b & 0x80, "the server masked"
        n = b & 0x7f
        if n == 126:
            n = struct.unpack(">H", self._take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self._take(8))[0]
        return bool(a & 0x80), a & 15, self._take(n)

    def receive(self, limit=LIMIT_S):
        """The next whole message, as bytes."""
        self.sock.settimeout(limit)
        whole = b""
        while True:
            fin, opcode, data = self.read_frame()
            if opcode == PING:
                self.frame(PONG, data)
            elif opcode == PONG:
                self.pongs.append(data)
            elif opcode == CLOSE:
                code = struct.unpack(">H", data[:2])[0] if data else None
                try:
                    self.frame(CLOSE, data[:2])
                except OSError:
                    pass
                raise Closed(code, data[2:].decode())
            else:
                whole += data
                if fin:
                    return whole

    # ---- messages

    def send(self, whole=None, **fields):
        """A message, or its fields; from_ is `from`."""
        message = whole
        if message is None:
            message = {k.rstrip("_"): v for k, v in fields.items()}
        if self.protocol == "hardtack.pb.v1":
            self.frame(BINARY, encode(message))
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            self.frame(TEXT, text.encode())

    def get(self, limit=LIMIT_S):
        data = self.receive(limit)
        if self.protocol == "hardtack.pb.v1":
            return decode(data)
        return json.loads(data)

    def ask(self, **fields):
        """Send, and return the next message that comes."""
        self.send(**fields)
        return self.get()

    def silent(self, seconds=0.3):
        """Nothing comes for so long; returns what came otherwise."""
        try:
            return self.get(seconds)
        except (socket.timeout, TimeoutError):
            return None

    def close(self, code=1000):
        self.frame(CLOSE, struct.pack(">H", code))
        try:
            while True:
                self.receive()
        except (Closed, OSError):
            pass
        self.sock.close()

    def drop(self):
        self.sock.close()


# ---- protobuf: proto/gateway.proto, as it is written

NAMES = ["type", "to", "from", "msg_id", "method", "text", "bytes", "message",
         "json", "timeout_ms", "all", "members", "token", "resume", "received",
         "code", "reason", "client", "node", "resumed", "afresh", "grace_ms",
         "queued", "limit", "after_ms", "joined", "left"]
TYPES = {"call": 0, "cast": 1, "subscribe": 2, "unsubscribe": 3, "hello": 4,
         "resume": 5, "login": 6, "ack": 7, "ping": 8, "reply": 16, "ok": 17,
         "error": 18, "message": 19, "members": 20, "welcome": 32,
         "notice": 33, "slow": 34, "drain": 35, "pong": 36}
RAW = ("bytes", "message")


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def encode(message):
    out = b""
    for name, value in message.items():
        number = NAMES.index(name) + 1
        if name == "type":
            value = TYPES.get(value, value)
        if isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    message, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = read()
        name = NAMES[(key >> 3) - 1]
        if key & 7 == 0:
            value = read()
        else:
            n = read()
            value = data[at:at + n]
            at += n
            value = value if name in RAW else value.decode()
        if name in ("joined", "left"):
            message.setdefault(name, []).append(value)
        else:
            message[name] = value
    words = {v: k for k, v in TYPES.items()}
    message["type"] = words[message.get("type", 0)]
    return message


# ---- HTTP

def request(port, method, path, body=None, headers=None):
    """Returns status, headers, body (parsed if it is JSON)."""
    connection = http.client.HTTPConnection("localhost", port, timeout=LIMIT_S)
    try:
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        fields = {k.lower(): v for k, v in answer.getheaders()}
        if fields.get("content-type", "").startswith("application/json"):
            data = json.loads(data)
        return answer.status, fields, data
    finally:
        connection.close()


def call(port, target, body=None, headers=None):
    return request(port, "POST", "/call/" + target, body, headers)


def wait(what, fn, limit=LIMIT_S):
    end = time.monotonic() + limit
    while not fn():
        assert time.monotonic() < end, "never: " + what
        time.sleep(0.02)
