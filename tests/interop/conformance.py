# SPDX-License-Identifier: Apache-2.0
"""Scenarios in which one end is written out by hand, byte by byte (wire.py): what a node does with each input.

Where 0.15 behaves otherwise than 0.16 a scenario is for some kinds only; see SCENARIOS at the end.
"""

import socket
import struct
import time

import wire
from harness import Failure, poll
from scenarios import check, equal
from wire import Closed, Link, blob, fields, first, message, num, string, varint


def node(cluster, kind, **more):
    """A node with a probe in group g; returns it and the pid."""
    peer = cluster.start(kind, "node", **more)
    return peer, peer.do("spawn", "probe", "p", "g")


def dial(peer, sync=True, **options):
    link = Link.dial(peer.port, **options)
    link.initiate()
    if sync:
        link.sync()
    return link


def answers(link, pid, tag=77):
    """The probe on the other side answers a call."""
    link.send(wire.call(pid, "EchoU8", tag, wire.block(b"\x07"), 5000))
    body = link.until("reply")
    equal("reply", (first(body, 1), first(body, 2), first(body, 3, b"")), (pid, tag, b"\x07"))


def refused(peer, *frames):
    """A connection on which these frames are sent is closed; returns what it said before."""
    link = Link.dial(peer.port)
    try:
        link.send(*frames)
    except Closed:
        pass
    return link.expect_closed()


def name(connection_id=1, who="raw@127.0.0.1", connection="127.0.0.1:1"):
    return message("name", wire.name_body(who, connection, connection_id))


# ---- the handshake -----------------------------------------------------------------------------------------------

def accepts(cluster, kind):
    """The whole exchange with a node that accepts, and its sync block."""
    peer, pid = node(cluster, kind)
    peer.do("spawn", "probe", "-", "h")
    link = Link.dial(peer.port)
    link.initiate()
    equal("name", string(link.peer, 1), peer.name)
    equal("version", first(fields(first(link.peer, 2, b"")), 1), 1)
    equal("connection", string(link.peer, 4), peer.address)
    block = link.sync()
    spawned = {}
    for kind_, body in block:
        if kind_ == "spawn":
            for a in map(fields, body.get(1, [])):
                spawned[first(a, 1)] = string(a, 2) if 2 in a else None
    equal("the probe's name", spawned.get(pid), "p")
    check("an unnamed actor is advertised", None in spawned.values())
    groups = {string(b, 1): [first(fields(a), 1) for a in b[2]] for k, b in block if k == "pg_join"}
    equal("group g", groups.get("g"), [pid])
    equal("scope", {string(b, 3) for k, b in block if k == "pg_join"}, {wire.DEFAULT_SCOPE})
    check(f"order {[k for k, _ in block]}", [k for k, _ in block] == sorted((k for k, _ in block), key="spawn pg_join".index))
    peer.wait(ev="ready", peer="raw@127.0.0.1")
    answers(link, pid)


def initiates(cluster, kind):
    """The whole exchange with a node that dials."""
    peer, pid = node(cluster, kind)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        peer.begin("dial", f"127.0.0.1:{port}")
        server.settimeout(10)
        link = Link(server.accept()[0], connection=f"127.0.0.1:{port}")
        link.accept()
        equal("name", string(link.peer, 1), peer.name)
        equal("connection", string(link.peer, 3), peer.address)
        check("connection id", (first(link.peer, 4) != 0) == (kind != "rust15"))
        link.sync()
        peer.wait(ev="ready", peer="raw@127.0.0.1")
        answers(link, pid)


def initiates_statuses(cluster, kind):
    """What a dialler does with each ServerStatus."""
    peer, _ = node(cluster, kind)

    def dialled(status):
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer.begin("dial", "127.0.0.1:%d" % server.getsockname()[1])
            server.settimeout(10)
            link = Link(server.accept()[0], connection="127.0.0.1:%d" % server.getsockname()[1])
        link.expect("name")
        link.send(message("status", num(1, status)))
        return link

    for status in (wire.STATUS_NOT_OK, wire.STATUS_NOT_ALLOWED):
        equal(f"said to {status}", dialled(status).expect_closed(), [])
    for status in (wire.STATUS_OK, wire.STATUS_OK_SIMULTANEOUS, wire.STATUS_ALIVE, 99):
        link = dialled(status)
        if status == wire.STATUS_ALIVE:
            equal("client status", first(link.expect("client_status"), 1), 1)
        link.send(message("challenge", wire.challenge_body("raw@127.0.0.1", link.connection, 0)))
        reply = link.expect("challenge_reply")
        equal("digest of challenge 0", first(reply, 2), wire.digest("cookie", 0))
        link.send(message("challenge_ack", blob(1, wire.digest("cookie", first(reply, 1)))))
        link.until("ready")
        link.close()
        peer.wait(ev="disconnected", peer="raw@127.0.0.1")
    link = dialled(wire.STATUS_OK)
    link.send(message("challenge", wire.challenge_body("raw@127.0.0.1", link.connection, 5)))
    link.expect("challenge_reply")
    link.send(message("challenge_ack", blob(1, bytes(32))))
    equal("said to a wrong ack", link.expect_closed(), [])


def wrong_digest(cluster, kind):
    """Silence and the end, for a wrong digest and for one that is too short or too long."""
    peer, _ = node(cluster, kind)
    for spoil in (lambda d: bytes([d[0] ^ 1]) + d[1:], lambda d: d[:31], lambda d: d + b"\0", lambda d: b""):
        link = Link.dial(peer.port)
        link.send(name())
        link.expect("status")
        challenge = first(link.expect("challenge"), 3)
        link.send(message("challenge_reply", num(1, 1) + blob(2, spoil(wire.digest("cookie", challenge)))))
        equal("said", link.expect_closed(), [])
        peer.wait(ev="disconnected")  # 0.15 refuses a second session of the same name
    check("nobody was let in", not peer.seen(ev="authenticated"))


def after_name(peer, wrong):
    """What was still to be written when the session ended may be lost, so the answer to Name may be cut short."""
    said = refused(peer, name(), wrong)
    equal("said after Name", said, ["status", "challenge"][:len(said)])


def out_of_order(cluster, kind):
    """An authentication message in a state that does not expect it ends the connection."""
    peer, pid = node(cluster, kind)
    digest = message("challenge_reply", num(1, 1) + blob(2, bytes(32)))
    for wrong in (message("status"), message("client_status", num(1, 1)), message("challenge", num(3, 1)), digest,
                  message("challenge_ack", blob(1, bytes(32))), wire.frame(blob(1, b""))):
        equal("said to a first message that is not Name", refused(peer, wrong), [])
        if wrong is not digest:
            after_name(peer, wrong)
    after_name(peer, name())
    link = dial(peer)
    for late in (name(), message("status"), digest, wire.frame(blob(1, b"")), message("ready")):
        link.send(late)
    answers(link, pid)


def before_authentication(cluster, kind):
    """Control and node messages before the end of the handshake have no effect and do no harm."""
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.send(wire.spawn(wire.actor(5)), wire.pg("pg_join", "early", wire.actor(5)), wire.cast(pid, "Tick"),
              wire.ping(1, 1), message("ready"), wire.call(pid, "Ping", 1))
    link.initiate()
    equal("group", peer.do("members", "early"), [])
    link.sync()
    link.alive()
    check("a cast got through", not peer.seen(ev="cast"))
    check("a call got through", not peer.seen(ev="call"))


def own_address(cluster, kind):
    """A peer with our own name, or our own connection string, is ourselves."""
    peer, _ = node(cluster, kind)
    for who, connection in ((peer.name, "127.0.0.1:1"), ("other@127.0.0.1", peer.address)):
        link = Link.dial(peer.port, name=who, connection=connection)
        try:
            link.initiate()
            raise Failure(f"{who} {connection} was let in")
        except Closed:
            pass
    equal("sessions", peer.sessions(), {})


def in_pieces(cluster, kind):
    """One byte at a time; then everything in one write."""
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    send = link.send
    link.send = lambda *frames: [send(bytes([b])) for b in b"".join(frames)]
    link.initiate()
    link.sync()
    answers(link, pid)
    link.send = send
    link.send(*(wire.cast(pid, "U32", wire.block(struct.pack(">I", i))) for i in range(500)))
    for i in range(500):
        equal("args", peer.wait(ev="cast")["args"], [str(i)])


# ---- frames ------------------------------------------------------------------------------------------------------

def empty_frames(cluster, kind):
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.send(wire.frame(b""), wire.frame(b""))
    link.initiate()
    link.sync()
    link.send(wire.frame(b""))
    answers(link, pid)
    link.send(wire.frame(b"") * 100)
    link.alive()


def unknown_fields(cluster, kind):
    """Fields from the future, of every wire type, at every level, are passed over.  Hardtack's are 1000 to 1099."""
    peer, pid = node(cluster, kind)
    extra = (blob(1100, b"\x08\x01") + num(1101, 5) + varint(1102 << 3 | 5) + bytes(4) + varint(1103 << 3 | 1) + bytes(8))
    link = Link.dial(peer.port)
    flags = blob(2, num(1, 7) + extra)
    link.send(wire.frame(blob(1, blob(1, wire.text(1, link.name) + flags + wire.text(3, link.connection)
                                      + num(4, 1) + extra) + extra) + extra))
    link.expect("status")
    challenge = first(link.expect("challenge"), 3)
    link.send(message("challenge_reply", extra + num(1, 42) + blob(2, wire.digest("cookie", challenge))))
    link.expect("challenge_ack")
    link.sync()
    link.send(wire.frame(blob(4, b"")), wire.frame(blob(3, blob(10, b""))), wire.frame(blob(3, b"")),
              wire.frame(blob(2, b"")), wire.frame(blob(2, blob(9, b""))), wire.frame(extra))
    link.send(wire.spawn(wire.actor(5, "five") + extra), wire.pg("pg_join", "extra", wire.actor(5) + extra),
              wire.cast(pid, "Tick", extra=extra))
    peer.wait(ev="cast", variant="Tick")
    equal("members", [m["pid"] for m in peer.do("members", "extra")], [5])
    answers(link, pid)


def fields_in_any_order(cluster, kind):
    """Fields out of order and repeated: the last one counts."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    what = wire.block(b"\x05")
    link.send(wire.frame(blob(2, blob(1, wire.text(3, "U16") + blob(2, b"no") + num(1, pid + 1) + num(1, pid)
                                      + wire.text(3, "U8") + blob(2, what)))))
    equal("args", peer.wait(ev="cast", variant="U8")["args"], ["5"])
    link.send(wire.frame(blob(3, blob(2, num(1, 900) + num(1, 901)))))
    answers(link, pid)


def malformed(cluster, kind):
    """What is no protobuf ends the session; what is too long does so before its payload comes."""
    peer, pid = node(cluster, kind)
    bad = {
        "a byte": wire.frame(b"\xff"),
        "a truncated message": wire.frame(b"\x12\x05\x0a"),
        "the wrong wire type": wire.frame(num(2, 5)),
        "field number 0": wire.frame(b"\x00\x01"),
        "a varint of 11 bytes": wire.frame(b"\x0a" + b"\xff" * 10 + b"\x01"),
        "a variant that is not UTF-8": wire.frame(blob(2, blob(1, num(1, pid) + blob(3, b"\xff")))),
        "a group that is not UTF-8": wire.frame(blob(3, blob(5, blob(1, b"\xc0\x80")))),
        "one more than the limit": struct.pack(">Q", wire.FRAME_MAX + 1),
        "a length of 2^63": struct.pack(">Q", 1 << 63),
        "a length of 2^64 - 1": b"\xff" * 8,
    }
    for what, data in bad.items():
        link = dial(peer)
        link.send(data)
        try:
            link.expect_closed(5)
        except TimeoutError:
            raise Failure(f"{what} did not end the session") from None
        peer.wait(ev="disconnected")
        if data not in (bad["a variant that is not UTF-8"], bad["a group that is not UTF-8"]):
            equal(f"said to {what} before the handshake", refused(peer, data), [])
            # The first byte of a TLS record or of a frame, or else a C node lets nobody in to be reported.
            if kind != "c" or data[0] == 0:
                peer.wait(ev="disconnected")
    answers(dial(peer), pid)


def largest_frame(cluster, kind):
    """Exactly 16 MiB is taken."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    head = len(wire.cast(pid, "Bytes", wire.block(bytes(wire.FRAME_MAX - 100)))) - (wire.FRAME_MAX - 100)
    size = wire.FRAME_MAX + 8 - head
    frame = wire.cast(pid, "Bytes", wire.block(bytes(size)))
    equal("length", len(frame) - 8, wire.FRAME_MAX)
    link.send(frame)
    check("received", peer.wait(ev="cast", variant="Bytes")["args"][0].startswith(f"@{size}:"))
    answers(link, pid)


# ---- control messages --------------------------------------------------------------------------------------------

def pings(cluster, kind):
    """Pongs repeat the timestamp exactly, or its absence; a ping comes again although none was answered."""
    peer, _ = node(cluster, kind)
    link = dial(peer)
    began = time.monotonic()
    for stamp in (b"", blob(1, b""), blob(1, num(1, 1) + num(2, 500000000)), blob(1, num(1, -5) + num(2, -7)),
                  blob(1, num(1, 1 << 62))):
        link.send(message("ping", stamp))
        equal("pong", {k: v for k, v in link.expect("pong").items()}, fields(stamp))
    for _ in range(2 if kind != "rust15" else 1):
        body = link.until("ping", 7)
        stamp = fields(first(body, 1, b""))
        check(f"timestamp {stamp}", abs(first(stamp, 1) + first(stamp, 2) / 1e9 - (time.monotonic() - began)) < 2
              or kind == "c")
    link.alive()


def wrong_pongs(cluster, kind):
    """A pong without a ping, without a timestamp, from the future or out of range is ignored."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    for stamp in (b"", blob(1, num(1, 1 << 40)), blob(1, num(1, -5)), blob(1, num(2, -1)), blob(1, num(2, 1 << 31 - 1)),
                  blob(1, num(1, (1 << 63) - 1))):
        link.send(message("pong", stamp))
    answers(link, pid)


def split_spawn(cluster, kind):
    """A Spawn in several frames, with repetitions; joins of known and of unknown actors; pid 0."""
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.initiate()
    link.send(wire.spawn(wire.actor(1), wire.actor(2, "two")), wire.spawn(wire.actor(2, "two"), wire.actor(0)),
              wire.spawn(), wire.spawn(*map(wire.actor, range(3, 1000))))
    link.send(wire.pg("pg_join", "x", wire.actor(1), wire.actor(0)), wire.pg("pg_join", "x", wire.actor(2000), wire.actor(1)),
              wire.pg("pg_join", "none"), wire.pg("pg_leave", "x", wire.actor(5000)))
    link.sync()
    link.alive()
    equal("members", [m["pid"] for m in peer.do("members", "x")], [0, 1, 2000])
    equal("no group of nobody", peer.do("members", "none"), [])
    # Traffic reaches each of them, pid 0 and the implicitly spawned one included.
    for target in (0, 1, 2000):
        peer.do("cast", f"x#{target}", "U8", 9)
        body = link.until("cast")
        equal("cast", (first(body, 1), string(body, 3), first(body, 2)), (target, "U8", wire.block(b"\x09")))
    link.send(wire.terminate(1, 1, 77777), wire.pg("pg_leave", "x", wire.actor(1)))
    link.alive()
    equal("members", [m["pid"] for m in peer.do("members", "x")], [0, 2000])
    link.send(wire.pg("pg_leave", "x", wire.actor(0), wire.actor(2000)))
    link.alive()
    equal("members", peer.do("members", "x"), [])
    answers(link, pid)


def leave_does_not_spawn(cluster, kind):
    """Terminate first and then PgLeave, as ractor does it when an actor dies; a leave makes no actor."""
    peer, _ = node(cluster, kind)
    link = dial(peer)
    link.send(wire.pg("pg_join", "x", wire.actor(5)))
    peer.wait(ev="join", group="x")
    link.send(wire.terminate(5), wire.pg("pg_leave", "x", wire.actor(5)), wire.terminate(5))
    peer.wait(ev="leave", group="x")
    link.alive()
    equal("members", peer.do("members", "x"), [])
    link.send(wire.pg("pg_join", "x", wire.actor(5)))
    peer.wait(ev="join", group="x")
    peer.do("cast", "x", "Tick")
    equal("the new one is reached", first(link.until("cast"), 1), 5)


def traffic_before_ready(cluster, kind):
    """Ready gates nothing but the event of that name."""
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.initiate()
    link.until("ready")
    answers(link, pid)
    check("ready without our Ready", not peer.seen(ev="ready"))
    link.send(wire.pg("pg_join", "x", wire.actor(1)))
    peer.wait(ev="join", group="x")
    link.send(message("ready"))
    peer.wait(ev="ready")
    link.send(message("ready"))
    answers(link, pid)


def enumeration(cluster, kind):
    """Any node tells whom it knows, without the one who asks; an isolated one does not dial who it is told of."""
    peer, pid = node(cluster, kind)
    one = dial(peer, name="one@127.0.0.1", connection="127.0.0.1:1001")
    two = dial(peer, name="two@127.0.0.1", connection="127.0.0.1:1002")
    peer.wait(ev="ready", peer="two@127.0.0.1")

    def ask(link, who, connection):
        link.send(message("enumerate", wire.name_body(who, connection)))
        sessions = map(fields, link.until("node_sessions").get(1, []))
        return sorted((string(s, 1), string(s, 3), first(s, 4)) for s in sessions)

    first_, second = ("one@127.0.0.1", "127.0.0.1:1001", 0), ("two@127.0.0.1", "127.0.0.1:1002", 0)
    equal("to one", ask(one, *first_[:2]), [second])
    equal("to two", ask(two, *second[:2]), [first_])
    # ractor goes by what the question says of the asker, Hardtack by the session that it came on.
    equal("to a stranger", ask(two, "x@y", "x:1"), [first_, second] if kind != "c" else [first_])
    if kind != "c":
        equal("the same address is left out", ask(two, "x@y", "127.0.0.1:1001"), [second])
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "127.0.0.1:%d" % server.getsockname()[1]
        one.send(message("node_sessions", blob(1, wire.name_body("three@127.0.0.1", address))))
        answers(one, pid)
        server.setblocking(False)
        try:
            server.accept()
            raise Failure("an isolated node dialled")
        except BlockingIOError:
            pass


def transitive_asks(cluster, kind):
    """A transitive node asks first of all, and dials whom it is told of, but not itself nor whom it knows."""
    peer, _ = node(cluster, kind, mode="transitive")
    link = Link.dial(peer.port)
    link.initiate()
    asked = link.expect("enumerate")
    equal("who asks", (string(asked, 1), string(asked, 3), first(asked, 4)), (peer.name, peer.address, 0))
    link.send(message("ready"))
    link.until("ready")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as known:
        address, other = ("127.0.0.1:%d" % s.getsockname()[1] for s in (server, known))
        link.send(message("node_sessions", b"".join(blob(1, wire.name_body(who, where)) for who, where in (
            (peer.name, other), ("me@127.0.0.1", peer.address), (link.name, other), ("new@127.0.0.1", address)))))
        server.settimeout(10)
        new = Link(server.accept()[0], name="new@127.0.0.1", connection=address)
        new.accept()
        new.until("ready")
        known.setblocking(False)
        try:
            known.accept()
            raise Failure("it dialled a node that it knows, or itself")
        except BlockingIOError:
            pass


# ---- actor messages ----------------------------------------------------------------------------------------------

def bad_messages(cluster, kind):
    """Messages that do not fit are dropped in silence: the session and the actor live on."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    u8 = wire.block(b"\x07")
    link.send(
        wire.cast(pid + 1000, "U8", u8), wire.call(pid + 1000, "EchoU8", 1, u8, 1000),
        wire.cast(pid, "Nope", u8), wire.call(pid, "Nope", 2, u8, 1000),
        wire.cast(pid, "EchoU8", u8), wire.call(pid, "U8", 3, u8, 1000),
        wire.cast(pid, "Tick", b"x"), wire.cast(pid, "U8", u8 + b"x"), wire.cast(pid, "U8", u8[:-1]),
        wire.cast(pid, "U8", u8[:7]), wire.cast(pid, "U8", b"\xff" * 9), wire.cast(pid, "U8"),
        wire.cast(pid, "U32", wire.block(b"123")), wire.cast(pid, "Str", wire.block(b"\xff")),
        wire.cast(pid, "Char", wire.block(b"\x00\x00\xd8\x00")), wire.cast(pid, "Bool", wire.block(b"")),
        wire.cast(pid, "Operands", wire.block(b"\x05\x09")), wire.cast(pid, "u8", u8), wire.cast(pid, "", u8))
    answers(link, pid)
    check("one was delivered", not peer.seen(ev="cast"))
    check("the actor is where it was", [m["pid"] for m in peer.do("members", "g")] == [pid])


def lenient_values(cluster, kind):
    """Values that are longer than their type, odd booleans, tails of vectors, fields of messages from the future."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    minus_zero = blob(1, b"")[:0] + varint(1 << 3 | 1) + struct.pack("<d", -0.0)
    for variant, value, shown in (
            ("U8", b"\x07\x08", "7"), ("U32", b"\0\0\0\x05tail", "5"), ("Bool", b"\x02", "false"), ("Bool", b"\x01\x00", "true"),
            ("Unit", b"whatever", "-"), ("VecU16", b"\0\x01\0\x02\0", "1,2"), ("VecBool", b"\x01\x02\x00", "true,false,false"),
            ("VecChar", b"\0\0\0\x41\0", "41"),
            ("Operands", b"\x00", "0000000000000000:0000000000000000"),
            ("Operands", varint(len(minus_zero)) + minus_zero, "8000000000000000:0000000000000000"),
            ("Operands", varint(2) + b"\x18\x05" + b"ignored", "0000000000000000:0000000000000000")):
        link.send(wire.cast(pid, variant, wire.block(value)))
        equal(f"{variant} {value.hex()}", peer.wait(5, ev="cast", variant=variant)["args"], [shown])


def call_times(cluster, kind):
    """No timeout, a timeout of 0, one that runs out at the callee; tags come back as they were."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    biggest = (1 << 64) - 1
    link.send(wire.call(pid, "EchoU8", biggest, wire.block(b"\x01")))
    equal("tag", first(link.until("reply"), 2), biggest)
    link.send(wire.call(pid, "EchoU8", 0, wire.block(b"\x01"), 5000))
    equal("tag 0", first(link.until("reply"), 2), 0)
    late = wire.block(struct.pack(">Q", 150))
    link.send(wire.call(pid, "Late", 5, late, 20), wire.call(pid, "Late", 6, late, 5000))
    equal("only the patient call is answered", first(link.until("reply"), 2), 6)
    link.send(wire.call(pid, "EchoU8", 7, wire.block(b"\x01"), 0), wire.call(pid, "Late", 8, late, 5000))
    check("the call without time", first(link.until("reply"), 2) in (7, 8))
    link.send(wire.call(pid, "Ping", 9))
    body = link.until("reply")
    if first(body, 2) == 8:
        body = link.until("reply")
    equal("() is empty", (first(body, 2), first(body, 3, b"")), (9, b""))


def stray_replies(cluster, kind):
    """Replies to nobody, with an unknown tag, twice, after the time is up."""
    peer, pid = node(cluster, kind)
    link = dial(peer)
    link.send(wire.pg("pg_join", "x", wire.actor(5)))
    peer.wait(ev="join", group="x")
    link.send(wire.reply(999, 1, b"\x01"), wire.reply(5, 1, b"\x01"), wire.reply(5, 0, b""))
    link.alive()
    command = peer.begin("call", "x", "EchoU8", 5000, 7)
    body = link.until("call")
    equal("call", (first(body, 1), string(body, 5), first(body, 2), 3 in body), (5, "EchoU8", wire.block(b"\x07"), True))
    check(f"timeout {first(body, 4, None)}", 0 < first(body, 4) <= 5000)
    tag = first(body, 3)
    link.send(wire.reply(6, tag, b"\x01"), wire.reply(5, tag + 1, b"\x02"), wire.reply(5, tag, b"\x09"),
              wire.reply(5, tag, b"\x03"))
    equal("answer", peer.finish(command), "9")
    command = peer.begin("call", "x", "EchoU8", 100, 7)
    body = link.until("call")
    check("too late", peer.error(command) in ("timeout", "no reply"))
    link.send(wire.reply(5, first(body, 3), b"\x04"))
    command = peer.begin("call", "x", "EchoU8", "-", 7)
    body = link.until("call")
    check("a call without a timeout says none", 4 not in body or kind == "c")
    link.send(wire.reply(5, first(body, 3), b"\x05"))
    equal("answer", peer.finish(command), "5")
    command = peer.begin("call", "x", "EchoU32", 2000, 7)
    link.send(wire.reply(5, first(link.until("call"), 3), b"\xff"))
    error = peer.error(command)
    check(f"a reply that is too short: {error}", error in ("no reply", "bad reply"))
    answers(link, pid)


def terminate_fails_calls(cluster, kind):
    """The peer's Terminate ends the calls to that actor at once; so does the end of the session."""
    peer, _ = node(cluster, kind)
    link = dial(peer)
    link.send(wire.pg("pg_join", "x", wire.actor(5), wire.actor(6)))
    peer.wait(ev="join", group="x")
    five = peer.begin("call", "x#5", "EchoU8", 60000, 7)
    link.until("call")
    six = peer.begin("call", "x#6", "EchoU8", 60000, 7)
    link.until("call")
    link.send(wire.terminate(5))
    check("the call to 5", peer.error(five, 5) in ("no reply", "no such actor"))
    link.close()
    check("the call to 6", peer.error(six, 5) in ("no reply", "node down"))
    peer.wait(ev="disconnected")
    equal("members", peer.do("members", "x"), [])


def newer_connection(cluster, kind):
    """A second connection of the same name: the one of the smaller id lives, the other is refused or ended."""
    peer, pid = node(cluster, kind)

    def dial_as(connection_id, expect):
        link = Link.dial(peer.port)
        equal("status", link.initiate(connection_id), expect)
        link.sync()
        return link

    old = dial_as(100, wire.STATUS_OK)
    new = dial_as(50, wire.STATUS_OK_SIMULTANEOUS)
    old.expect_closed()
    poll("one session", lambda: list(peer.sessions()) == ["raw@127.0.0.1"])
    late = Link.dial(peer.port)
    late.send(name(70))
    check("the greater id is refused", late.expect_closed() in ([], ["status"]))
    answers(new, pid)


def impostor(cluster, kind):
    """Somebody with our peer's name but without the cookie does not displace it."""
    peer, pid = node(cluster, kind)
    link = Link.dial(peer.port)
    link.initiate(100)
    link.sync()
    false = Link.dial(peer.port, cookie="wrong")
    try:
        false.initiate(1)
        raise Failure("the impostor was let in")
    except Closed:
        pass
    answers(link, pid)


BOTH = [accepts, initiates, initiates_statuses, wrong_digest, out_of_order, before_authentication, own_address,
        in_pieces, empty_frames, unknown_fields, fields_in_any_order, largest_frame, pings, split_spawn,
        leave_does_not_spawn, traffic_before_ready, enumeration, transitive_asks, lenient_values, call_times,
        stray_replies, terminate_fails_calls]
# 0.15 skips what it cannot decode, has no limit, dies of a bad pong, kills the actor that gets a bad message, and knows
# no connection ids.
STRICT = [malformed, wrong_pongs, bad_messages, newer_connection, impostor]


def for_kind(kind):
    return BOTH if kind == "rust15" else BOTH + STRICT
