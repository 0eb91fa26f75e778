# SPDX-License-Identifier: Apache-2.0
"""Scenarios between two or more real nodes.  Each gets a Cluster to start its peers with, and their kinds."""

import pathlib
import re
import socket
import subprocess
import threading
import time

from harness import ROOT, Certificates, Failure, example, poll

GREATEST = {
    "U8": "255", "U16": "65535", "U32": "4294967295", "U64": "18446744073709551615",
    "U128": "340282366920938463463374607431768211455",
    "I8": "127", "I16": "32767", "I32": "2147483647", "I64": "9223372036854775807",
    "I128": "170141183460469231731687303715884105727",
}
LEAST = {
    "I8": "-128", "I16": "-32768", "I32": "-2147483648", "I64": "-9223372036854775808",
    "I128": "-170141183460469231731687303715884105728",
}
INTEGERS = {t: [v, "0", "1", LEAST.get(t, "2")] for t, v in GREATEST.items()}

# Every argument type, and values at its edges; floats by their bits: -0.0, the least subnormal, infinity, a NaN.
VALUES = {
    **INTEGERS,
    **{f"Vec{t}": [",".join(v), "-", v[0]] for t, v in INTEGERS.items() if t != "U8"},
    "F32": ["3fc00000", "80000000", "00000001", "7f800000", "7fc00001"],
    "F64": ["bfb999999999999a", "8000000000000000", "0000000000000001", "fff0000000000000", "7ff8000000000001"],
    "VecF32": ["3fc00000,80000000", "-"],
    "VecF64": ["bfb999999999999a,7ff8000000000001", "-"],
    "Bool": ["true", "false"],
    "VecBool": ["true,false,true", "-"],
    "Char": ["0", "41", "e9", "d7ff", "e000", "10ffff"],
    "VecChar": ["68,e9,1f980", "-"],
    "Unit": ["-"],
    "Str": ["-", "68656c6c6f", "6bc3a9", "00", "f09fa680"],
    "Bytes": ["-", "00", "00ff80", "@64", "@65", "@70000"],
    "Operands": ["0000000000000000:0000000000000000", "3ff0000000000000:4000000000000000",
                 "7ff0000000000000:bff0000000000000"],
    "Expression": ["-", "3130202b2035"],
    "CalcResult": ["0000000000000000", "402e000000000000"],
}

HASHED = {"@65": "@65:", "@70000": "@70000:"}


def shows(value):
    """The test for a reported value: the value itself, or its length where only a hash is shown."""
    if value == "@64":
        return "".join(f"{i % 251:02x}" for i in range(64))
    return HASHED.get(value, value)


def matches(value, shown):
    return shown == shows(value) or (value in HASHED and shown.startswith(shows(value)))


def check(what, condition):
    if not condition:
        raise Failure(what)


def equal(what, got, want):
    if got != want:
        raise Failure(f"{what}: got {got}, want {want}")


def link(a, b, wait=True):
    """a dials b; both are ready."""
    a.dial(b)
    if wait:
        a.wait(ev="ready", peer=b.name)
        b.wait(ev="ready", peer=a.name)


def pair(cluster, ka, kb, *options, **more):
    """Two nodes with a probe each, linked."""
    a = cluster.start(ka, "a", *options, **more)
    b = cluster.start(kb, "b", *options, **more)
    a.do("spawn", "probe", "pa", "ga")
    b.do("spawn", "probe", "pb", "gb")
    link(a, b)
    return a, b


def both_ways(a, b):
    """(caller, callee, callee's group)."""
    return (a, b, "gb"), (b, a, "ga")


def answered(caller, group):
    return caller.wait(id=caller.begin("call", group, "EchoU8", 1000, 7))["ok"]


def joined(peer, group, pid=None, **more):
    """Wait until peer sees a remote member in the group."""
    return peer.wait(ev="join", group=group, **more,
                     members=lambda m: any(x["remote"] and pid in (None, x["pid"]) for x in m))


def left(peer, group):
    return peer.wait(ev="leave", group=group, members=lambda m: any(x["remote"] for x in m))


def remote_pids(peer, group, *scope):
    return sorted(m["pid"] for m in peer.do("members", group, *scope) if m["remote"])


# ---- sessions ----------------------------------------------------------------------------------------------------

def handshake(cluster, ka, kb):
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    link(a, b)
    equal("a's sessions", a.sessions(), {b.name: False})
    equal("b's sessions", b.sessions(), {a.name: True})


def handshake_cookies(cluster, ka, kb):
    """Cookies of any length and of other letters than ASCII."""
    for i, cookie in enumerate(("ké", "x" * 300)):
        a, b = cluster.start(ka, f"a{i}", cookie=cookie), cluster.start(kb, f"b{i}", cookie=cookie)
        link(a, b)


def wrong_cookie(cluster, ka, kb):
    a, b = cluster.start(ka, "a", cookie="one"), cluster.start(kb, "b", cookie="another")
    a.begin("dial", b.address)
    a.wait(ev="disconnected")
    b.wait(ev="disconnected")
    equal("a's sessions", a.sessions(), {})
    equal("b's sessions", b.sessions(), {})
    check("somebody was let in", not a.seen(ev="authenticated") and not b.seen(ev="authenticated"))
    c = cluster.start(ka, "c", cookie="another")
    link(c, b)


def simultaneous(cluster, ka, kb):
    """Both dial at once; one session is left, the one that the greater name opened."""
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    a.do("spawn", "probe", "pa", "ga")
    b.do("spawn", "probe", "pb", "gb")
    dials = [(a, a.begin("dial", b.address)), (b, b.begin("dial", a.address))]
    if "rust15" in (ka, kb):
        return simultaneous_legacy(a, b)
    for peer, command in dials:
        peer.wait(id=command)
    by_b, by_a = ({b.name: True}, {a.name: False}), ({b.name: False}, {a.name: True})
    # A C node that is connected by then does not dial; one that has begun to goes on, and b's displaces a's.
    wanted = (by_b, by_a) if kb == "c" else (by_b,)
    poll("one session, opened by b", lambda: (a.sessions(), b.sessions()) in wanted)
    poll("both see each other", lambda: remote_pids(a, "gb") and remote_pids(b, "ga"))
    for caller, _, group in both_ways(a, b):
        poll("a call", lambda: answered(caller, group))
    poll("one session is left", lambda: (a.sessions(), b.sessions()) in wanted)


def simultaneous_legacy(a, b):
    """Before 0.16 both sessions may survive, or both die: then the next dial must work."""
    def usable():
        if remote_pids(a, "gb") and remote_pids(b, "ga"):
            return all(answered(caller, group) for caller, _, group in both_ways(a, b))
        if not a.sessions() and not b.sessions():
            a.begin("dial", b.address)
            time.sleep(0.3)
        return False
    poll("a usable session", usable)


def duplicate_dials(cluster, ka, kb):
    """The same direction four times over leaves one session, unless both are of 0.15, which may keep several."""
    if ka == kb == "rust15":
        return
    a, b = pair(cluster, ka, kb)
    for _ in range(3):
        a.wait(id=a.begin("dial", b.address))
    for _ in range(3 if ka != "c" else 0):  # Hardtack knows that it is connected
        a.wait(ev="disconnected")
    poll("one session", lambda: len(a.do("sessions")) == 1 and len(b.do("sessions")) == 1)
    poll("a member", lambda: len(remote_pids(a, "gb")) == 1 and len(remote_pids(b, "ga")) == 1)
    for caller, _, group in both_ways(a, b):
        equal("call", caller.do("call", group, "EchoU8", 5000, 7), "7")


def self_dial(cluster, kind):
    a = cluster.start(kind, "a")
    a.begin("dial", a.address)
    if kind == "c":
        a.wait(ev="disconnected")
    else:
        a.wait(ev="disconnected")
        a.wait(ev="disconnected")
    poll("no session", lambda: a.sessions() == {})


def peer_killed(cluster, ka, kb):
    """A node dies: its members leave, the calls in flight fail at once, and its next life is reached again."""
    a, b = pair(cluster, ka, kb)
    pending = a.begin("call", "gb", "Never", 60000)
    b.wait(ev="call", variant="Never")
    b.kill()
    error = a.error(pending, 5)
    check(f"the call failed with {error}", error in ("no reply", "node down"))
    left(a, "gb")
    a.wait(ev="disconnected", peer=b.name)
    equal("members", remote_pids(a, "gb"), [])
    b2 = cluster.start(kb, "b", port=b.port)
    b2.do("spawn", "probe", "pb", "gb")
    link(a, b2)
    equal("call", a.do("call", "gb", "EchoU8", 5000, 7), "7")


def peer_quits(cluster, ka, kb):
    a, b = pair(cluster, ka, kb)
    b.end()
    left(a, "gb")
    a.wait(ev="disconnected", peer=b.name)


# ---- groups ------------------------------------------------------------------------------------------------------

def groups_before(cluster, ka, kb):
    """What was there before the link: several actors and groups, unnamed actors, a scope, other alphabets."""
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    for peer in (a, b):
        n = peer.short
        one = peer.do("spawn", "probe", f"one{n}", f"g{n}", f"h{n}")
        two = peer.do("spawn", "probe", "-", f"g{n}")
        peer.do("spawn", "text", f"three{n}")
        peer.do("join", f"three{n}", f"ü{n}", "zoné")
        peer.pids = sorted([one, two]), one
    link(a, b)
    for me, other in ((a, b), (b, a)):
        n = other.short
        equal("group g", remote_pids(me, f"g{n}"), other.pids[0])
        equal("group h", remote_pids(me, f"h{n}"), [other.pids[1]])
        equal("scoped", len(remote_pids(me, f"ü{n}", "zoné")), 1)
        equal("not in the default scope", remote_pids(me, f"ü{n}"), [])
        check("listed", ["zoné", f"ü{n}"] in me.do("groups"))


def groups_after(cluster, ka, kb):
    """What changes while they are linked: spawn, join, leave, stop, kill."""
    a, b = pair(cluster, ka, kb)
    for me, other, _ in both_ways(a, b):
        pid = other.do("spawn", "probe", f"late-{other.short}", "late")
        joined(me, "late", pid)
        other.do("join", f"late-{other.short}", "second", "zone")
        joined(me, "second", pid, scope="zone")
        equal("in the scope", remote_pids(me, "second", "zone"), [pid])
        other.do("leave", f"late-{other.short}", "late")
        left(me, "late")
        equal("gone", remote_pids(me, "late"), [])
        equal("still in the scope", remote_pids(me, "second", "zone"), [pid])
        other.do("join", f"late-{other.short}", "late")
        joined(me, "late", pid)
        equal("call", me.do("call", f"late#{pid}", "EchoU8", 5000, 9), "9")
        other.do("stop", f"late-{other.short}")
        left(me, "late")
        left(me, "second")
        equal("gone", remote_pids(me, "second", "zone"), [])
        pid = other.do("spawn", "probe", f"late-{other.short}", "late")
        joined(me, "late", pid)
        other.do("kill", f"late-{other.short}")
        left(me, "late")


def same_name(cluster, ka, kb):
    """The same registered name on both nodes is no conflict."""
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    a.do("spawn", "probe", "twin", "ga")
    b.do("spawn", "probe", "twin", "gb")
    link(a, b)
    for caller, _, group in both_ways(a, b):
        equal("call", caller.do("call", group, "EchoU8", 5000, 7), "7")


# ---- messages ----------------------------------------------------------------------------------------------------

def casts(cluster, ka, kb):
    """Every argument type, both ways, received in the order sent."""
    a, b = pair(cluster, ka, kb)
    for me, other, group in both_ways(a, b):
        sent = [(t, v) for t, values in VALUES.items() for v in values]
        for variant, value in sent:
            me.do("cast", group, variant, value)
        for variant, value in sent:
            got = other.wait(ev="cast")
            check(f"sent {variant} {value}, got {got['variant']} {got['args']}",
                  got["variant"] == variant and matches(value, got["args"][0]))


def casts_special(cluster, ka, kb):
    """No argument, two arguments, named fields."""
    a, b = pair(cluster, ka, kb)
    for me, other, group in both_ways(a, b):
        me.do("cast", group, "Tick")
        other.wait(ev="cast", variant="Tick", args=[])
        me.do("cast", group, "Pair", "68c3a9", "42")
        other.wait(ev="cast", variant="Pair", args=["68c3a9", "42"])
        me.do("cast", group, "Named", "7", "-")
        other.wait(ev="cast", variant="Named", args=["7", "-"])


def casts_text(cluster, ka, kb):
    """An actor whose message type is a bare String."""
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    a.do("spawn", "text", "ta", "ga")
    b.do("spawn", "text", "tb", "gb")
    link(a, b)
    for me, other, group in both_ways(a, b):
        for value in ("-", "6869", "f09fa680"):
            me.do("cast-text", group, value)
            other.wait(ev="cast", variant="", args=[value])


def calls(cluster, ka, kb):
    """Every argument type as argument and as reply, both ways."""
    a, b = pair(cluster, ka, kb)
    for me, other, group in both_ways(a, b):
        for variant, values in VALUES.items():
            for value in values:
                answer = me.do("call", group, f"Echo{variant}", 5000, value)
                check(f"Echo{variant} {value} answered {answer}", matches(value, answer))
                got = other.wait(ev="call")
                check(f"called Echo{variant} {value}, got {got}",
                      got["variant"] == f"Echo{variant}" and matches(value, got["args"][0]))


def calls_special(cluster, ka, kb):
    """No argument, three arguments, the reply port first among named fields."""
    a, b = pair(cluster, ka, kb)
    for me, other, group in both_ways(a, b):
        equal("Ping", me.do("call", group, "Ping", 5000), "-")
        equal("Join", me.do("call", group, "Join", 5000, "255", "-9", "6869"), b"255 -9 hi".hex())
        other.wait(ev="call", variant="Join", args=["255", "-9", "6869"])
        equal("PortFirst", me.do("call", group, "PortFirst", 5000, "40", "6869"), "42")
        equal("without a timeout", me.do("call", group, "EchoU8", "-", "5"), "5")


def calculator(cluster, ka, kb):
    a, b = cluster.start(ka, "a"), cluster.start(kb, "b")
    a.do("spawn", "calc", "ca", "ga")
    b.do("spawn", "calc", "cb", "gb")
    link(a, b)
    for me, other, group in both_ways(a, b):
        for operation, want in (("Add", "12"), ("Sub", "8"), ("Mul", "20"), ("Div", "5")):
            equal(operation, me.do("call", group, operation, 5000, 10, 2), want)
        equal("Eval", me.do("call", group, "Eval", 5000, "10", "+", "5"), "15")
        equal("Add zeros", me.do("call", group, "Add", 5000, 0, 0), "0")
        # Neither can be answered; ractor has no other word for that than silence.
        words = ("failed",) if ka == kb == "c" else ("timeout", "no reply")
        for bad in (("Div", 200, 1, 0), ("Eval", 200, "ten", "+", "5")):
            error = me.error(me.begin("call", group, *bad))
            check(f"{bad[0]} ended with {error}", error in words)
        equal("it lives on", me.do("call", group, "Add", 5000, 1, 1), "2")


def timeouts(cluster, ka, kb):
    """ractor's generated code drops the caller's port when the time is up, so a Rust caller may see either word; a
    Hardtack callee says that it has given up, and either's clock may be first."""
    words = {"c": ("timeout", "expired") if ka == kb else ("timeout",)}
    a, b = pair(cluster, ka, kb)
    for me, _, group in both_ways(a, b):
        for variant, timeout, *args in (("Never", 200), ("Drop", 200), ("Late", 100, 400)):
            started = time.monotonic()
            error = me.error(me.begin("call", group, variant, timeout, *args))
            check(f"{variant} ended with {error}", error in words.get(me.kind, ("timeout", "no reply")))
            check(f"{variant} ended early", time.monotonic() - started >= 0.9 * timeout / 1000)
        equal("Late", me.do("call", group, "Late", 5000, 100), "100")
        slow, fast = me.begin("call", group, "Late", 5000, 600), me.begin("call", group, "Late", 5000, 1)
        equal("the fast one", me.finish(fast), "1")
        equal("the slow one", me.finish(slow), "600")
        equal("it lives on", me.do("call", group, "EchoU8", 5000, 7), "7")


def actor_death(cluster, ka, kb):
    """An actor fails in a call: the caller hears at once, the node lives on."""
    a, b = pair(cluster, ka, kb)
    for me, other, group in both_ways(a, b):
        other.do("spawn", "probe", f"mortal-{other.short}", "mortals")
        joined(me, "mortals")
        waiting = me.begin("call", "mortals", "Never", 60000)
        other.wait(ev="call", variant="Never")
        error = me.error(me.begin("call", "mortals", "Panic", 60000), 5)
        check(f"the call ended with {error}", error in ("no reply", "no such actor", "failed"))
        error = me.error(waiting, 5)
        check(f"the waiting call ended with {error}", error in ("no reply", "no such actor", "failed"))
        left(me, "mortals")
        other.do("spawn", "probe", f"mortal-{other.short}", "mortals")
        joined(me, "mortals")
        me.do("cast", "mortals", "Die")
        left(me, "mortals")
        equal("the others live on", me.do("call", group, "EchoU8", 5000, 7), "7")


def large(cluster, ka, kb):
    """1 MiB there and back, as bytes and as text, eight at once; then 8 MiB."""
    a, b = pair(cluster, ka, kb)
    for me, _, group in both_ways(a, b):
        for variant in ("EchoBytes", "EchoStr"):
            running = [me.begin("call", group, variant, 20000, "@1048576") for _ in range(8)]
            answers = {me.finish(command, 20) for command in running}
            check(f"answers {answers}", len(answers) == 1 and answers.pop().startswith("@1048576:"))
        check("8 MiB", me.do("call", group, "EchoBytes", 20000, "@8388608").startswith("@8388608:"))


def flood(cluster, ka, kb):
    """Both sides cast as fast as they can; everything arrives, in order."""
    a, b = pair(cluster, ka, kb)
    count = 20000
    commands = [(me, me.begin("flood", group, count)) for me, _, group in both_ways(a, b)]
    for me, command in commands:
        me.finish(command, 30)
    for me, _, group in both_ways(a, b):
        equal("received", me.do("call", group, "SeqCheck", 30000), str(count))


def crossing_calls(cluster, ka, kb):
    """Hundreds of calls in flight both ways at once; each gets its own answer."""
    a, b = pair(cluster, ka, kb)
    running = [(me, i, me.begin("call", group, "EchoU32", 20000, i))
               for i in range(300) for me, _, group in both_ways(a, b)]
    for me, i, command in running:
        equal("answer", me.finish(command, 20), str(i))


# ---- TLS ---------------------------------------------------------------------------------------------------------

def tls(cluster, ka, kb):
    """Certificates: the listener's is checked; then a name that it does not have, and a dialler without TLS."""
    certificates = Certificates(cluster.folder)
    a = cluster.start(ka, "a", *certificates.of(ka, "a"))
    b = cluster.start(kb, "b", *certificates.of(kb, "b"))
    a.do("spawn", "probe", "pa", "ga")
    b.do("spawn", "probe", "pb", "gb")
    a.do("dial-tls", b.address, "b.example")
    a.wait(ev="ready", peer=b.name)
    b.wait(ev="ready", peer=a.name)
    for caller, _, group in both_ways(a, b):
        equal("call", caller.do("call", group, "EchoU8", 5000, 7), "7")
        check("1 MiB", caller.do("call", group, "EchoBytes", 20000, "@1048576").startswith("@1048576:"))
    c = cluster.start(ka, "c", *certificates.of(ka, "c"))
    if ka == kb == "c":
        d = cluster.start(kb, "d", *certificates.options("d.example", "e@127.0.0.1"))
        c.error(c.begin("dial-tls", d.address, "d.example"))
    else:
        c.error(c.begin("dial-tls", b.address, "other.example"))
    if ka == "c":
        c.wait(ev="disconnected")
    c.begin("dial", b.address)
    c.wait(ev="disconnected")
    equal("c's sessions", c.sessions(), {})
    equal("b's sessions", list(b.sessions()), [a.name])
    c.do("dial-tls", b.address, "b.example")
    c.wait(ev="ready", peer=b.name)


def tls_mutual(cluster, ka, kb):
    certificates = Certificates(cluster.folder)
    a = cluster.start(ka, "a", *certificates.of(ka, "a", mutual=True))
    b = cluster.start(kb, "b", *certificates.of(kb, "b", mutual=True))
    b.do("spawn", "probe", "pb", "gb")
    a.do("dial-tls", b.address, "b.example")
    a.wait(ev="ready", peer=b.name)
    equal("call", a.do("call", "gb", "EchoU8", 5000, 7), "7")


# ---- four nodes --------------------------------------------------------------------------------------------------

def transitive(cluster, ka, kb):
    """Four transitive nodes of mixed kinds; three of them dial the first, and all come to know each other."""
    names = ["n0", "n1", "n2", "n3"]
    peers = [cluster.start(kind, name, mode="transitive") for name, kind in zip(names, (ka, kb, ka, kb))]
    for peer in peers:
        peer.do("spawn", "probe", f"p{peer.short}", "all", f"g-{peer.short}")
    for i, peer in enumerate(peers[1:], 1):
        peer.do("dial", peers[0].address)
        for other in peers[:i]:
            peer.wait(ev="ready", peer=other.name)
            other.wait(ev="ready", peer=peer.name)
    for peer in peers:
        others = {p.name for p in peers if p is not peer}
        poll(f"{peer.short} has three sessions", lambda: set(peer.sessions()) == others)
        poll(f"{peer.short} sees three members", lambda: len(remote_pids(peer, "all")) == 3)
        for other in peers:
            if other is not peer:
                equal("call", peer.do("call", f"g-{other.short}", "EchoU8", 5000, 7), "7")


def isolated(cluster, ka, kb):
    """Isolated nodes do not look for the peers of their peers."""
    hub, left_, right = cluster.start(ka, "hub"), cluster.start(kb, "left"), cluster.start(kb, "right")
    link(left_, hub)
    link(right, hub)
    hub.do("spawn", "probe", "p", "g")
    for peer in (left_, right):
        joined(peer, "g")
        equal("calls go", peer.do("call", "g", "EchoU8", 5000, 7), "7")
        equal("sessions", list(peer.sessions()), [hub.name])


# ---- examples/rust-peer ------------------------------------------------------------------------------------------

def free_ports(count):
    """For programs that cannot be told to take any."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def rust_example(cluster, _):
    """The Rust program joins a node of `hardtack start`, calls its calculator, and has its own called by C."""
    rust, call_rust, hardtack, plugin = example()
    folder = pathlib.Path(cluster.folder)
    ractor_port, rust_port = free_ports(2)
    config = (ROOT / "examples" / "rust-peer" / "hardtack.conf").read_text()
    config = re.sub("port = 4697", "port = any", re.sub("port = 4699", f"port = {ractor_port}", config))
    (folder / "hardtack.conf").write_text(config)

    def begin(*words):
        return subprocess.Popen(list(map(str, words)), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)
    for cookie in ("cookie", "ractor-cookie"):
        subprocess.run([hardtack, "cookie", "-o", cookie], cwd=folder, check=True)
    processes = [begin(hardtack, "start", "--config", "hardtack.conf", "--socket", folder / "hardtack.sock",
                       "--load", plugin)]
    guard = threading.Timer(30, lambda: [process.kill() for process in processes])
    guard.start()
    try:
        for line in processes[0].stdout:
            if "HT-NODE-READY" in line:
                break
        processes.append(begin(rust, "ractor-cookie", rust_port, f"127.0.0.1:{ractor_port}"))
        equal("the Rust program", processes[1].stdout.readline(), f"rust-peer: listening on port {rust_port}\n")
        answer = processes[1].stdout.readline()
        check(f"C answered {answer}", answer.startswith("rust-peer: 10 + 5 is 15 "))
        answer = subprocess.run([call_rust, f"127.0.0.1:{rust_port}", "ractor-cookie", "10 + 5"], cwd=folder,
                                capture_output=True, text=True, timeout=15)
        equal("Rust answered", (answer.stdout, answer.stderr), ("15\n", ""))
    finally:
        for process in processes:
            process.terminate()
            process.communicate()
        guard.cancel()


PAIRS = [handshake, handshake_cookies, wrong_cookie, simultaneous, duplicate_dials, peer_killed, peer_quits,
         groups_before, groups_after, same_name, casts, casts_special, casts_text, calls, calls_special, calculator,
         timeouts, actor_death, large, flood, crossing_calls, tls, tls_mutual, transitive, isolated]
SINGLES = [self_dial]

# With the programs of examples/rust-peer, if they are built.
EXAMPLES = [rust_example]
