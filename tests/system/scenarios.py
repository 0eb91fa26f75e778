# SPDX-License-Identifier: Apache-2.0
"""The scenarios; the table is at the end."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

from harness import Failed, Skipped, contains, equal, until

COMMANDS = ["start", "demo", "cookie", "cert", "ping", "status", "nodes",
            "groups", "actors", "connect", "disconnect", "call", "cast",
            "kv", "raft"]


def calculator(scene, name, *args, **kwargs):
    return scene.node(name, "--load", scene.plugin("calculator"), *args,
                      **kwargs)


def pair(scene, *args):
    a = calculator(scene, "a", *args)
    b = calculator(scene, "b", "--connect", a.address(), *args)
    a.sees(b)
    b.sees(a)
    return a, b


def call_works(caller, callee):
    """The session between two nodes carries a call, now."""
    equal(caller.run("call", "calculator@" + callee.full, "Add",
                     '{"a": 1, "b": 2}').json()["value"], 3.0,
          "%s calls %s" % (caller.name, callee.name))


# ---- a node's life ---------------------------------------------------------

def start_and_stop(scene):
    port_file = scene.path("port")
    a = calculator(scene, "a", "--port-file", port_file)
    with open(port_file, encoding="utf-8") as f:
        equal(int(f.read()), a.port, "port file")
    a.logged("event=HT-NODE-READY name=a@test port=%d" % a.port)
    status = a.run("status", "--json").json()
    equal(status["name"], "a@test")
    equal(status["port"], a.port)
    a.stop()
    a.logged("event=HT-NODE-STOPPED")
    equal(os.path.exists(port_file), False, "port file left behind")
    equal(os.path.exists(a.socket), False, "socket left behind")


def json_logs(scene):
    import json
    a = calculator(scene, "a", "--log-format", "json")
    a.stop()
    events = [json.loads(line) for line in a.log().splitlines()]
    ready = [e for e in events if e["event"] == "HT-NODE-READY"]
    equal(len(ready), 1)
    equal(ready[0]["name"], "a@test")
    equal(int(ready[0]["port"]), a.port)


def sigterm_drains(scene):
    a = scene.node("a", "--load", scene.plugin("slow") + ":700")
    call = subprocess.Popen(
        [scene.program, "call", "--node", "unix:" + a.socket, "slow", "Slow",
         "--text", "x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=scene.env)
    until("the call is being handled",
          lambda: any(r["name"] == "slow" and r["handled"] > 0
                      for r in a.run("actors", "--json").json()))
    a.stop()
    out, err = call.communicate(timeout=20)
    equal((call.returncode, out.decode()), (0, "done\n"), err.decode())
    a.logged("event=HT-NODE-DRAINED err=HT_OK")


def second_signal_ends_at_once(scene):
    a = scene.node("a", "--load", scene.plugin("slow") + ":60000")
    call = subprocess.Popen(
        [scene.program, "call", "--node", "unix:" + a.socket, "slow", "Slow",
         "--text", "x", "-t", "30s"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=scene.env)
    until("the call is being handled",
          lambda: any(r["name"] == "slow" and r["handled"] > 0
                      for r in a.run("actors", "--json").json()))
    began = time.monotonic()
    a.signal(signal.SIGTERM)
    a.logged("event=HT-NODE-STOPPING")
    a.signal(signal.SIGTERM)
    equal(a.wait(), 1, "exit status")
    if time.monotonic() - began > 10:
        raise Failed("it waited for the drain")
    a.logged("event=HT-NODE-ABORTED")
    call.communicate(timeout=20)
    equal(call.returncode, 1, "the call's exit status")


# ---- SIGHUP ----------------------------------------------------------------

def cookies_are_rotated(scene):
    """Add, reorder, remove: no link is lost, and the old one is out."""
    old, new = scene.path("old"), scene.path("new")
    scene.run("cookie", "-o", old)
    scene.run("cookie", "-o", new)
    old_text, new_text = open(old).read(), open(new).read()
    files = {n: scene.write(n + ".cookie", old_text) for n in "ab"}
    a = calculator(scene, "a", "--cookie-file", files["a"])
    b = calculator(scene, "b", "--cookie-file", files["b"],
                   "--connect", a.address())
    a.sees(b)
    incarnation = a.peers()["b@test"]["incarnation"]

    def rewrite(text):
        for node in (a, b):
            before = node.log().count("HT-NODE-RELOADED")
            scene.write(node.name + ".cookie", text)
            node.signal(signal.SIGHUP)
            until("reloaded", lambda n=node, c=before:
                  n.log().count("HT-NODE-RELOADED") > c)

    def ping(cookie, code):
        return scene.run("ping", "--node", a.address(), "--cookie-file",
                         cookie, code=code)

    ping(new, 1)
    rewrite(old_text + new_text)
    ping(new, 0)
    ping(old, 0)
    rewrite(new_text + old_text)
    rewrite(new_text)
    ping(new, 0)
    contains(ping(old, 1).err, "cannot connect to")
    equal(a.peers()["b@test"]["incarnation"], incarnation, "the same link")
    b.stop()
    b.start("--cookie-file", files["b"], "--connect", a.address())
    a.sees(b)


def config_is_reloaded(scene):
    scene.make_cookie()
    text = ("[node]\nport = any\n[security]\ncookie_file = %s\n"
            "[log]\nlevel = %s\n%s")
    config = scene.write("a.conf", text % (scene.cookie, "info", ""))
    a = scene.node("a", config=config, port=None)
    b = calculator(scene, "b")
    peer = "[peer b]\naddress = %s\n" % b.address()

    scene.write("a.conf", text % (scene.cookie, "info", peer))
    a.signal(signal.SIGHUP)
    a.sees(b)
    a.logged("event=HT-NODE-RELOAD-PEER added=\"%s\"" % b.address())

    scene.write("a.conf", text % (scene.cookie, "info", peer) +
                "[limits]\nheartbeat = 3s\n")
    a.signal(signal.SIGHUP)
    a.logged("event=HT-NODE-RELOAD-RESTART section=limits setting=heartbeat")

    scene.write("a.conf", text % (scene.cookie, "info", peer) + "[what]\n")
    a.signal(signal.SIGHUP)
    a.logged("event=HT-NODE-RELOAD-FAILED")
    contains(a.log(), "unknown section [what]")
    a.sees(b)

    scene.write("a.conf", text % (scene.cookie, "info", ""))
    a.signal(signal.SIGHUP)
    a.sees()
    a.logged("event=HT-NODE-RELOAD-PEER removed=")

    scene.write("a.conf", text % (scene.cookie, "error", ""))
    reloads = a.log().count("HT-NODE-RELOAD-RESTART")
    a.signal(signal.SIGHUP)
    # The line that says so is below the new level: wait for what it changes.
    until("quiet", lambda: "HT-NODE-UP" not in quiet_ping(scene, a))
    if reloads != a.log().count("HT-NODE-RELOAD-RESTART"):
        raise Failed("the log level needs no restart")


def quiet_ping(scene, node):
    """What one more client adds to the log."""
    before = len(node.log())
    node.run("ping")
    return node.log()[before:]


# ---- failures --------------------------------------------------------------

def killed_and_restarted(scene):
    a, b = pair(scene)
    calls = until("groups", lambda: a.members() == ["a@test", "b@test"])
    equal(calls, True)
    before = b.peers()["a@test"]["incarnation"]
    a.kill()
    until("b noticed", lambda: b.peers() == {})
    equal(b.members(), ["b@test"])
    contains(b.run("call", "calculator@a@test", "Add", "--text", "x",
                   code=1).err, "node is not connected")
    a.start("--load", scene.plugin("calculator"), port=a.port)
    b.sees(a)
    until("groups", lambda: b.members() == ["a@test", "b@test"])
    if b.peers()["a@test"]["incarnation"] <= before:
        raise Failed("the incarnation did not grow")


def stopped_peer_is_dead(scene):
    """SIGSTOP keeps the connection open; only silence tells."""
    times = ["--heartbeat", "200ms", "--silence", "1s"]
    a, b = pair(scene, *times)
    c = calculator(scene, "c", *times, "--connect", a.address())
    a.sees(b, c)
    b.signal(signal.SIGSTOP)
    call_works(a, c)
    began = time.monotonic()
    until("a gives b up", lambda: set(a.peers()) == {"c@test"}, 10)
    if time.monotonic() - began > 5:
        raise Failed("it took %.1f s" % (time.monotonic() - began))
    a.logged("event=HT-NODE-DOWN name=\"b@test\"")
    equal(a.members(), ["a@test", "c@test"])
    call_works(c, a)
    b.signal(signal.SIGCONT)
    a.sees(b, c)
    until("groups", lambda: a.members() == ["a@test", "b@test", "c@test"])


def standstill_is_no_silence(scene):
    """Who was stopped itself does not take its peers for dead: what they said
    meanwhile is still to be read."""
    a = calculator(scene, "a", "--silence", "60s", "--heartbeat", "200ms")
    b = calculator(scene, "b", "--silence", "1s", "--heartbeat", "200ms",
                   "--connect", a.address())
    b.sees(a)
    b.signal(signal.SIGSTOP)
    began = time.monotonic()
    until("b's silence and half of it again are over",
          lambda: time.monotonic() - began > 2)
    b.signal(signal.SIGCONT)
    call_works(b, a)
    call_works(a, b)
    # Once more of its silence_ms, in which it may find out.
    began = time.monotonic()
    until("it has judged", lambda: time.monotonic() - began > 1.5)
    call_works(b, a)
    if "name=\"a@test\"" in "".join(
            line for line in b.log().splitlines() if "HT-NODE-DOWN" in line):
        raise Failed("b took a for dead:\n" + b.log())


def garbage_hurts_nobody_else(scene):
    a, b = pair(scene)
    held = []
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 8,
                 b"\xff" * 4096, b"\x16\x03\x01\x02\x00\x01" + b"\x00" * 100,
                 b"\x00\x00\x00\x00\x00\x00\x00\x05\x0a"):
        s = socket.create_connection(("127.0.0.1", a.port), 5)
        s.sendall(data)
        held.append(s)
    for i in range(40):
        held.append(socket.create_connection(("127.0.0.1", a.port), 5))
        if i % 10 == 0:
            equal(b.run("call", "calculator@a@test", "Add",
                        '{"a": 1, "b": 2}').json()["value"], 3.0)
    a.sees(b)
    for s in held:
        s.close()


def thousand_strangers(scene):
    """Connections that never authenticate, on every kind of silence."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    scene.cleanups.append(lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (soft, hard)))
    a, b = pair(scene)
    incarnation = a.peers()["b@test"]["incarnation"]
    began = a.peers()["b@test"]["since_ms"]
    words = (b"", b"\x00", b"\x16", b"\x16\x03\x01\x02\x00\x01",
             b"\x00\x00\x00\x00\x00\x00\x01\x00half")
    held = []
    for i in range(1000):
        s = socket.create_connection(("127.0.0.1", a.port), 5)
        scene.cleanups.append(s.close)
        s.sendall(words[i % len(words)])
        held.append(s)
        if i % 100 == 99:
            call_works(b, a)
            call_works(a, b)
    a.logged("err=HT_EBUSY text=\"too many wait to authenticate\"")
    c = calculator(scene, "c", "--connect", a.address())
    until("c is in", lambda: "a@test" in c.peers())
    call_works(c, a)

    def open_ones():
        count = 0
        for s in held:
            s.setblocking(False)
            try:
                while s.recv(4096):
                    pass
            except BlockingIOError:
                count += 1
            except OSError:
                pass
        return count

    until("at most 8 of one address wait", lambda: open_ones() <= 8)
    equal(a.peers()["b@test"]["incarnation"], incarnation, "the same life")
    if a.peers()["b@test"]["since_ms"] < began:
        raise Failed("the link between a and b was lost meanwhile")


def peer_that_stops_reading(scene):
    """Its senders are refused once what waits for it is at the limit; nobody
    else notices, and it loses nothing that was accepted."""
    big = ["--silence", "60s"]
    a = calculator(scene, "a", *big)
    b = scene.node("b", "--load", scene.plugin("slow") + ":1", *big,
                   "--connect", a.address())
    c = calculator(scene, "c", *big, "--connect", a.address())
    a.sees(b, c)
    b.signal(signal.SIGSTOP)
    payload = b"x" * 900000
    accepted = 0
    for _ in range(60):
        result = a.run("cast", "slow@b@test", "Note", "--raw", "-",
                       stdin=payload, code=None)
        if result.code != 0:
            break
        accepted += 1
    contains(result.err, "queue is full")
    call_works(a, c)
    call_works(c, a)
    row = {r["name"]: r for r in a.run("nodes", "--json").json()}["b@test"]
    if row["outbox_refused"] == 0 or row["outbox_bytes"] == 0:
        raise Failed("the counters do not tell: %r" % row)
    b.signal(signal.SIGCONT)
    until("what waited is sent", lambda: [
        r["outbox_bytes"] for r in a.run("nodes", "--json").json()
        if r["name"] == "b@test"] == [0])
    equal(a.run("call", "slow@b@test", "Echo", "--raw", "05").out, "05\n")


# ---- commands --------------------------------------------------------------

def every_command(scene):
    a, b = pair(scene)
    socket_args = ["--node", "unix:" + a.socket]
    tcp_args = ["--node", a.address(), "--cookie-file", scene.cookie]
    for where in (socket_args, tcp_args):
        contains(scene.run("ping", *where).out, "a@test answers after")
        equal(len(scene.run("ping", "-c", 3, "--json", *where)
                  .json()["ms"]), 3)
        contains(scene.run("status", *where).out, "node         a@test")
        contains(scene.run("nodes", *where).out, "b@test")
        contains(scene.run("groups", *where).out, "calculators")
        contains(scene.run("actors", *where).out, "calculator")
        contains(scene.run("call", "calculator", "Add", '{"a": 1, "b": 2}',
                           *where).out, '"value": 3.0')
        scene.run("cast", "memory", "Store", '{"value": 7}', *where)
        until("stored", lambda w=where: scene.run(
            "call", "memory", "Recall", *w).out == '{\n  "value": 7.0\n}\n')
        scene.run("cast", "memory", "Store", '{"value": 0}', *where)
        scene.run("disconnect", "b@test", *where)
        contains(scene.run("connect", b.address(), "--name", "b@test",
                           *where).out, "a@test is connected to")
    equal(set(a.peers()), {"b@test"}, "what the commands left behind")
    equal([r["name"] for r in a.run("nodes", "--json").json()
           if not r["hidden"]], ["b@test"], "peers known")


def calls_and_casts(scene):
    a, b = pair(scene)
    c = scene.node("c", "--load", scene.plugin("slow") + ":1",
                   "--connect", a.address())
    a.sees(b, c)
    until("groups", lambda: a.members() == ["a@test", "b@test"])

    def call(*args, **kwargs):
        return a.run("call", *args, **kwargs)

    def value(*args):
        return call(*args).json()["value"]

    equal(value("calculator", "Eval", '{"text": "10 + 5"}'), 15.0)
    equal(value("calculator@b@test", "Eval", '{"text": "2 * (3 - -4) / 7"}'),
          2.0)
    refs = {call("group:calculators", "Mul", '{"a": 6, "b": 7}',
                 "--json").json()["ref"] for _ in range(4)}
    equal({r[1:].split(".")[0] for r in refs}, {"a@test", "b@test"})
    for ref in refs:
        equal(value(ref, "Sub", '{"a": 6, "b": 7}'), -1.0)
    for text, want in (("1 / 0", "division by zero"),
                       ("10 % 5", "unknown operator '%'"),
                       ("10 +", "ends where a number is expected"),
                       ("(1", "a parenthesis is not closed"),
                       ("x", "expected a number, not 'x'")):
        contains(call("calculator@b@test", "Eval",
                      '{"text": "%s"}' % text, code=1).err,
                 "handler failed: ")
        contains(call("calculator", "Eval", '{"text": "%s"}' % text,
                      "--json", code=1).json()["reason"], want)
    equal(call("slow@c@test", "Slow", "--text", "x").out, "done\n")
    equal(call("slow@c@test", "Echo", "--raw", "00 01 ff").out, "0001ff\n")
    equal(a.run("call", "slow@c@test", "Echo", "--raw", "-",
                stdin=b"\x05").out, "05\n")
    # An argument block that comes back is no text: its length has zero bytes.
    echoed = call("slow@c@test", "Echo", "--text", "h\u00e9", "--json").json()
    equal(echoed["reply"], "\0" * 7 + "\3h\u00e9")
    for args, want in (
            (["nobody", "Add"], 'no actor is named "nobody" on a@test'),
            (["nobody@b@test", "Add"], 'no actor is named "nobody" on b@test'),
            (["group:none", "Add"], 'group "none" has no member'),
            (["calculator@z@test", "Add"], "node is not connected"),
            (["calculator", "Nope"], "calc.Calculator has Add, Sub, Mul"),
            (["calculator", "Add", '{"c": 1}'], 'has no field "c"'),
            (["calculator", "Add", '{"a": "x"}'], "a: expected a number"),
            (["memory", "Store"], "is a cast: nothing comes back"),
            (["slow@c@test", "Slow"], "is no typed service"),
            (["<a@test.1.1>", "Add", "--text", "x"], "no actor can be")):
        contains(call(*args, code=1).err, want)
    contains(a.run("cast", "calculator", "Add", code=1).err,
             "is a call: it answers")
    for args in (["calculator", "Add", "{"], ["calculator"],
                 ["calculator", "Add", "{}", "--text", "x"],
                 ["calculator", "Add", "--raw", "0"], ["group:", "Add"]):
        call(*args, code=2)


def call_times_out(scene):
    a = scene.node("a", "--load", scene.plugin("slow") + ":60000")
    began = time.monotonic()
    contains(a.run("call", "slow", "Slow", "--text", "x", "-t", "300ms",
                   code=1).err, "timed out")
    if time.monotonic() - began > 5:
        raise Failed("it took too long")
    a.run("ping")


def help_and_usage(scene):
    contains(scene.run("--help").out, "hardtack COMMAND --help")
    contains(scene.run("--version").out, "hardtack ")
    scene.run(code=2)
    contains(scene.run("nonsense", code=2).err,
             'there is no command "nonsense"')
    for command in COMMANDS:
        contains(scene.run(command, "--help").out, "hardtack " + command)
        scene.run(command, "--nonsense", code=2)
    for args in (["call"], ["connect"], ["disconnect"], ["cert"],
                 ["cert", "node", "d"], ["cert", "node", "d", "noat"],
                 ["cookie", "check"], ["ping", "-c", "0"],
                 ["status", "-t", "never"], ["status", "--encryption", "x"]):
        scene.run(*args, code=2)


def no_node_there(scene):
    contains(scene.run("status", code=1).err, "is a node running")
    contains(scene.run("status", "--node", "127.0.0.1:1", code=1).err,
             "give --cookie-file FILE")
    scene.make_cookie()
    contains(scene.run("status", "--node", "127.0.0.1:1", "--cookie-file",
                       scene.cookie, code=1).err,
             "cannot connect to 127.0.0.1:1")


def environment(scene):
    a = calculator(scene, "a")
    env = {"HARDTACK_NODE": a.address(), "HARDTACK_COOKIE_FILE": scene.cookie}
    contains(scene.run("status", env=env).out, "a@test")
    contains(scene.run("status",
                       env={"HARDTACK_NODE": "unix:" + a.socket}).out,
             "a@test")
    # From where one stands.
    near = "unix:" + os.path.relpath(a.socket, scene.dir)
    contains(scene.run("status", "--node", near).out, "a@test")
    contains(scene.run("status", "--node", "nowhere", "--cookie-file",
                       scene.cookie, code=1).err, "an address is HOST:PORT")
    b = scene.node("b", "--socket", "b.socket")
    contains(scene.run("status", "--node",
                       "unix:" + scene.path("b.socket")).out, "b@test")


# ---- configuration ---------------------------------------------------------

def refused(scene, *args, want):
    """`start` ends with status 1 and says what is wrong."""
    result = scene.run("start", *args, code=1)
    contains(result.err, want)


def unreadable_configuration(scene):
    """Root reads everything, so then it is another user who may not."""
    conf = scene.write("x.conf", "[node]\n", 0o600 if os.getuid() == 0 else 0)
    user = 65534 if os.getuid() == 0 else None
    program = scene.program
    if user is not None:
        program = os.path.join(scene.dir, "hardtack")
        shutil.copy(scene.program, program)
        os.chmod(scene.dir, 0o711)
    p = subprocess.run([program, "start", "-c", conf], user=user,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env=scene.env, timeout=20, check=False)
    equal(p.returncode, 1)
    contains(p.stdout.decode(), "x.conf: Permission denied")


def bad_configurations(scene):
    scene.make_cookie()
    base = ["--no-config", "--name", "a", "--socket", "none"]
    good = base + ["--cookie-file", scene.cookie]
    conf = scene.write("x.conf", "[node]\nname = a\nprot = 1\n")
    refused(scene, "-c", conf,
            want='x.conf:3: unknown setting "prot" in [node]')
    conf = scene.write("x.conf", "[node]\nname = a\nport = 99999\n")
    refused(scene, "-c", conf, want='x.conf:3: port = "99999": expected')
    refused(scene, "-c", scene.path("none.conf"),
            want="none.conf: No such file or directory")
    unreadable_configuration(scene)
    refused(scene, "-c", scene.dir, want="Is a directory")
    refused(scene, "--no-config", want="the node has no name")
    refused(scene, *good, "--name", "a@b", want="the node does not start: ")
    refused(scene, *good, "--port", "0", want="expected a port")
    refused(scene, *good, "--heartbeat", "1", want="expected a time")
    refused(scene, *good, "--encryption", "tls", "--port", "any",
            want="the node does not start: ")
    refused(scene, *base, "--port", "any", want="cookie")


def bad_cookies(scene):
    base = ["--no-config", "--name", "a", "--socket", "none", "--port", "any",
            "--cookie-file"]
    cookie = scene.make_cookie()
    contains(scene.run("cookie", "-o", cookie, code=1).err,
             "exists and is not overwritten")
    equal(os.stat(cookie).st_mode & 0o777, 0o600, "its permissions")
    equal(bool(re.fullmatch(r"[0-9a-f]{64}\n", scene.run("cookie").out)),
          True, "256 bits as hexadecimal")
    contains(scene.run("cookie", "check", cookie).out, "good")
    weak = scene.write("weak", "secret\n")
    for path, want in ((weak, "weak"), (scene.path("none"), "none")):
        contains(scene.run("cookie", "check", path, code=1).err, want)
        refused(scene, *base, path, want=want)
    start = "hardtack: the node does not start: "
    refused(scene, *base, weak, want=start + weak + ": cookie 1 is weak: about")
    refused(scene, *base, scene.path("none"), want=start + scene.path("none") +
            ": No such file or directory\n")
    for mode in (0o640, 0o604, 0o620):
        shared = scene.write("shared", open(cookie).read(), mode)
        refused(scene, *base, shared, want=start + shared + " can be read or "
                "written by others (mode %04o); chmod 600\n" % mode)
    empty = scene.write("empty", "\n")
    refused(scene, *base, empty, want=start + empty + " holds no cookie\n")
    refused(scene, *base, scene.dir, want=start + scene.dir +
            " is not a regular file\n")
    a = scene.node("a", "--cookie-file", weak, "--weak-cookie")
    a.stop()


def wrong_cookie(scene):
    a, b = pair(scene)
    other = scene.path("other")
    scene.run("cookie", "-o", other)
    contains(scene.run("status", "--node", a.address(), "--cookie-file",
                       other, code=1).err, "cookie")
    a.logged("event=HT-CONN-REFUSED peer=127.0.0.1:")
    contains(a.log(), "text=\"peer has a cookie that we do not know\"")
    c = scene.node("c", "--cookie-file", other)
    contains(c.run("connect", a.address(), "-t", "10s", code=1).err,
             "cannot connect to")
    c.logged("event=HT-NODE-UNREACHABLE address=\"%s\"" % a.address())
    contains(c.log(), "text=\"peer does not know our cookie\"")
    call_works(a, b)
    call_works(b, a)
    a.sees(b)
    equal(c.peers(), {})


def bad_plugins(scene):
    base = ["--no-config", "--name", "a", "--socket", "none",
            "--cookie-file", scene.make_cookie(), "--load"]
    garbage = scene.write("garbage.so", "this is no shared object")
    refused(scene, *base, scene.path("none.so"),
            want="cannot load the plugin " + scene.path("none.so"))
    refused(scene, *base, garbage, want="cannot load the plugin")
    refused(scene, *base, scene.plugin("empty"), want="is no Hardtack plugin")
    refused(scene, *base, scene.plugin("abi"),
            want="was built for plugin interface 99")
    refused(scene, *base, scene.plugin("fail"),
            want="did not start: peer does not support this")


def places_in_use(scene):
    a = calculator(scene, "a")
    base = ["--no-config", "--name", "b", "--cookie-file", scene.cookie]
    refused(scene, *base, "--socket", "none", "--port", a.port,
            want=str(a.port))
    refused(scene, *base, "--socket", a.socket, want=a.socket)
    a.run("ping")


def stale_socket(scene):
    """A node that was killed leaves its socket; the next one takes it."""
    a = calculator(scene, "a")
    a.kill()
    equal(os.path.exists(a.socket), True)
    a.start("--load", scene.plugin("calculator"))
    a.run("ping")


def same_name_and_itself(scene):
    a = calculator(scene, "a")
    b = calculator(scene, "b")
    honest = calculator(scene, "h", "--connect", b.address())
    b.sees(honest)
    contains(a.run("connect", a.address(), code=1).err,
             "that is this node itself")
    contains(a.run("connect", b.address(), "--name", "z@test", code=1).err,
             "cannot connect to")
    a.logged("event=HT-NODE-REFUSED address=\"%s\"" % b.address())
    call_works(honest, b)
    a.run("connect", b.address(), "--name", "b@test")
    a.run("connect", b.address(), "--name", "b@test")
    a.sees(b)
    # One with our own name may not even say so.
    namesake = scene.node("n", "--name", "a")
    contains(namesake.run("connect", a.address(), "--once", code=1).err,
             "cannot connect to")
    a.logged("has our own name")
    namesake.stop()
    call_works(b, a)
    # A name belongs to its last life: the one before is turned away.
    before = b.peers()["a@test"]["incarnation"]
    c = scene.node("c", "--name", "a")
    c.run("connect", b.address())
    if b.peers()["a@test"]["incarnation"] <= before:
        raise Failed("the older life kept the name")
    until("the older life is out", lambda: a.peers() == {})
    c.sees(b)
    call_works(honest, b)


# ---- certificates ----------------------------------------------------------

def tls_args(scene, directory, name):
    base = os.path.join(directory, name)
    return ["--tls-cert", base + ".pem", "--tls-key", base + ".key",
            "--tls-ca", os.path.join(directory, "ca.pem")]


def certificates(scene):
    d = scene.path("tls")
    contains(scene.run("cert", "node", d, "a@test", code=1).err, "cert ca")
    scene.run("cert", "ca", d)
    contains(scene.run("cert", "ca", d, code=1).err, "not overwritten")
    for name in ("a@test", "b@test"):
        scene.run("cert", "node", d, name, "--san", "127.0.0.1")
    equal(os.stat(os.path.join(d, "a@test.key")).st_mode & 0o777, 0o600)
    if shutil.which("openssl"):
        for purpose in ("sslserver", "sslclient"):
            p = subprocess.run(["openssl", "verify", "-purpose", purpose,
                                "-CAfile", d + "/ca.pem", d + "/a@test.pem"],
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, check=False)
            equal(p.returncode, 0, p.stdout.decode())
    tls = ["--encryption", "tls"]
    a = calculator(scene, "a", *tls, *tls_args(scene, d, "a@test"))
    b = calculator(scene, "b", *tls, *tls_args(scene, d, "b@test"),
                   "--connect", a.address())
    a.sees(b)
    equal(a.peers()["b@test"]["encryption"], "tls")
    equal(b.run("call", "calculator@a@test", "Add",
                '{"a": 1, "b": 2}').json()["value"], 3.0)


def bad_certificates(scene):
    d, other = scene.path("tls"), scene.path("other")
    scene.run("cert", "ca", d)
    scene.run("cert", "ca", other)
    for name in ("a@test", "b@test"):
        scene.run("cert", "node", d, name)
    scene.run("cert", "node", d, "c@test", "--days", "-1")
    scene.run("cert", "node", other, "d@test")
    tls = ["--encryption", "tls", "--redial-max", "200ms"]
    a = calculator(scene, "a", *tls, *tls_args(scene, d, "a@test"))
    b = calculator(scene, "b", *tls, *tls_args(scene, d, "b@test"),
                   "--connect", a.address())
    a.sees(b)
    for name, args, want in (
            ("c", tls_args(scene, d, "c@test"), "certificate has expired"),
            ("d", tls_args(scene, other, "d@test"), "peer's certificate: "),
            ("e", tls_args(scene, d, "b@test"), "event=HT-CERT-NAME")):
        node = scene.node(name, *tls, *args)
        contains(node.run("connect", a.address(), "--once", code=1).err,
                 "cannot connect to")
        equal(node.peers(), {})
        a.logged(want)
        call_works(a, b)
    contains(a.log(), "name=\"e@test\"")
    # Another's name, asked for by the right SNI: that proves nothing.
    contains(node.run("connect", a.address(), "--once", "--server-name",
                      "a@test", code=1).err, "cannot connect to")
    plain = scene.node("f", "--encryption", "none")
    plain.run("connect", a.address(), "--once", code=1)
    a.logged("text=\"plaintext on a port that takes only TLS\"")
    cookie = scene.node("g")
    cookie.run("connect", a.address(), "--once", code=1)
    a.sees(b)
    call_works(b, a)


def administration_by_certificate(scene):
    """A node that takes nothing but certificates is reached with one."""
    d, other = scene.path("tls"), scene.path("other")
    scene.run("cert", "ca", d)
    scene.run("cert", "ca", other)
    scene.run("cert", "node", d, "a@test")
    scene.run("cert", "node", d, "ops@desk")
    scene.run("cert", "node", other, "ops@desk")
    a = calculator(scene, "a", "--encryption", "tls",
                   "--load", scene.plugin("slow") + ":700",
                   *tls_args(scene, d, "a@test"))
    where = ["--node", a.address(), "--cookie-file", scene.cookie]
    ops = where + tls_args(scene, d, "ops@desk")
    contains(scene.run("status", *ops).out, "a@test")
    equal(scene.run("call", "calculator", "Add", '{"a": 1, "b": 2}',
                    *ops).json()["value"], 3.0)
    # Two at a time: neither displaces the other.
    slow = subprocess.Popen([scene.program, "call", "slow", "Slow", "--text",
                             "x", *ops], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=scene.env)
    until("the call is being handled",
          lambda: any(r["name"] == "slow" and r["handled"] > 0
                      for r in scene.run("actors", "--json", *ops).json()))
    out, err = slow.communicate(timeout=20)
    equal((slow.returncode, out.decode()), (0, "done\n"), err.decode())
    contains(scene.run("status", *where, code=1).err, "cannot connect to")
    contains(scene.run("status", *where, *tls_args(scene, other, "ops@desk"),
                       code=1).err, "cannot connect to")
    contains(scene.run("status", *where, "--tls-cert", scene.cookie,
                       code=1).err, "holds no certificate in PEM")
    equal(a.peers(), {})


def tls_to_a_plaintext_port(scene):
    plain = ["--encryption", "none"]
    a, b = pair(scene, *plain)
    c = scene.node("c")
    contains(c.run("connect", a.address(), "--once", code=1).err,
             "peer's port takes no TLS 1.3")
    a.logged("text=\"TLS on a port that takes only plaintext\"")
    call_works(a, b)
    call_works(b, a)


def certificates_are_renewed(scene):
    """New files and SIGHUP: the link stays, the next one uses them."""
    d, e = scene.path("tls"), scene.path("new")
    tls = ["--encryption", "tls"]
    scene.run("cert", "ca", d)
    scene.run("cert", "ca", e)
    for name in ("a@test", "b@test"):
        scene.run("cert", "node", d, name)
        scene.run("cert", "node", e, name)
    a = calculator(scene, "a", *tls, *tls_args(scene, d, "a@test"))
    b = calculator(scene, "b", *tls, *tls_args(scene, d, "b@test"),
                   "--connect", a.address())
    a.sees(b)
    before = a.peers()["b@test"]["incarnation"]
    for name in os.listdir(e):
        shutil.copy(os.path.join(e, name), os.path.join(d, name))
    for node in (a, b):
        node.signal(signal.SIGHUP)
        node.logged("event=HT-NODE-RELOADED")
    call_works(a, b)
    equal(a.peers()["b@test"]["incarnation"], before, "the same life")
    a.run("disconnect", "b@test")
    b.run("disconnect", "a@test", code=None)
    b.run("connect", a.address())
    call_works(b, a)


# ---- examples --------------------------------------------------------------

def calculator_example(scene):
    """The server and client that the README shows."""
    folder = os.path.join(scene.build, "examples", "calculator")
    cookie = scene.make_cookie()
    any_port = "-1"  # HT_PORT_ANY
    server = subprocess.Popen([os.path.join(folder, "server"), any_port,
                               cookie], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=scene.env)
    try:
        line = server.stdout.readline().decode()
        contains(line, "serves on port ")
        port = int(line.split()[-1])

        def client(cookie_file, text):
            p = subprocess.run([os.path.join(folder, "client"),
                                "127.0.0.1:%d" % port, cookie_file, text],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               timeout=30, env=scene.env, check=False)
            return p.returncode, p.stdout.decode(), p.stderr.decode()

        equal(client(cookie, "10 + 5")[:2], (0, "15\n"))
        code, _, err = client(cookie, "10 / 0")
        equal(code, 1)
        contains(err, "division by zero")
        other = scene.path("other")
        scene.run("cookie", "-o", other)
        equal(client(other, "1")[0], 1)
        contains(scene.run("call", "--node", "127.0.0.1:%d" % port,
                           "--cookie-file", cookie, "calculator", "Sub",
                           '{"a": 3, "b": 1}').out, "2.0")
    finally:
        server.kill()
        server.communicate()


# ---- partitions ------------------------------------------------------------

def partition(scene):
    """A cable that is pulled: nobody says goodbye, and both sides notice."""
    name = "hts%d" % os.getpid()

    def ip(*args, check=True):
        p = subprocess.run(["ip", *args], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
        if check and p.returncode != 0:
            raise Skipped("no network namespaces here: ip %s: %s"
                          % (" ".join(args), p.stdout.decode().strip()))

    if not shutil.which("ip"):
        raise Skipped("there is no `ip` (iproute2) here")
    scene.cleanups.append(lambda: ip("netns", "del", name, check=False))
    scene.cleanups.append(lambda: ip("link", "del", name, check=False))
    ip("netns", "add", name)
    ip("link", "add", name, "type", "veth", "peer", "name", "inside",
       "netns", name)
    ip("addr", "add", "10.213.77.1/30", "dev", name)
    ip("link", "set", name, "up")
    ip("-n", name, "addr", "add", "10.213.77.2/30", "dev", "inside")
    ip("-n", name, "link", "set", "lo", "up")
    ip("-n", name, "link", "set", "inside", "up")
    times = ["--heartbeat", "200ms", "--silence", "1s", "--redial-max",
             "500ms"]
    a = calculator(scene, "a", *times)
    b = calculator(scene, "b", *times, "--connect",
                   "10.213.77.1:%d" % a.port,
                   prefix=["ip", "netns", "exec", name])
    a.sees(b)
    until("groups", lambda: a.members() == ["a@test", "b@test"])
    incarnation = a.peers()["b@test"]["incarnation"]
    for _ in range(2):
        ip("-n", name, "link", "set", "inside", "down")
        began = time.monotonic()
        until("a noticed", lambda: a.peers() == {}, 10)
        until("b noticed", lambda: b.peers() == {}, 10)
        if time.monotonic() - began > 6:
            raise Failed("it took %.1f s" % (time.monotonic() - began))
        equal(a.members(), ["a@test"])
        equal(b.members(), ["b@test"])
        contains(a.run("call", "calculator@b@test", "Add", "--text", "x",
                       code=1).err, "node is not connected")
        ip("-n", name, "link", "set", "inside", "up")
        a.sees(b)
        b.sees(a)
        until("groups", lambda: a.members() == ["a@test", "b@test"])
    equal(a.peers()["b@test"]["incarnation"], incarnation, "the same life")
    equal(a.run("call", "calculator@b@test", "Add",
                '{"a": 1, "b": 2}').json()["value"], 3.0)


# ---- the demo --------------------------------------------------------------

def demo(scene):
    result = scene.run("demo", limit=60)
    contains(result.out, " 0 failed")
    if re.search("FAILED", result.out):
        raise Failed(result.out)


def demo_without_its_plugin(scene):
    contains(scene.run("demo", "--plugin", "/nonexistent.so", code=1).err,
             "cannot read the plugin")


TABLE = [(fn.__name__, fn) for fn in (
    start_and_stop, json_logs, sigterm_drains, second_signal_ends_at_once,
    cookies_are_rotated, config_is_reloaded, killed_and_restarted,
    stopped_peer_is_dead, standstill_is_no_silence, garbage_hurts_nobody_else,
    thousand_strangers, peer_that_stops_reading, every_command,
    calls_and_casts, call_times_out, help_and_usage, no_node_there,
    environment, bad_configurations, bad_cookies, wrong_cookie, bad_plugins,
    places_in_use, stale_socket, same_name_and_itself, certificates,
    bad_certificates, certificates_are_renewed,
    administration_by_certificate, tls_to_a_plaintext_port,
    calculator_example, partition, demo, demo_without_its_plugin)]
