# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of nodes and gateways."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios

from client import WebSocket, call, request
from clients import pair
from harness import Failed, Skipped, contains, equal, until

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def scrape(node):
    status, fields, body = request(node.gateway, "GET", "/metrics")
    equal(status, 200)
    contains(fields["content-type"], "version=0.0.4")
    return body.decode()


def families(text):
    """name -> type; every sample is of a family that was announced, and comes
    once."""
    types, seen, helped = {}, set(), set()
    for line in text.splitlines():
        word = line.split(" ")
        if line.startswith("# HELP "):
            equal(len(word) > 3, True, line)
            helped.add(word[2])
        elif line.startswith("# TYPE "):
            equal(word[2] in helped and word[2] not in types, True, line)
            types[word[2]] = word[3]
        else:
            match = re.match(r'([a-z0-9_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})?'
                             r' (-?[0-9.]+)$', line)
            equal(bool(match), True, line)
            equal(list(types)[-1], match.group(1), "not under its family")
            key = match.group(1) + (match.group(2) or "")
            equal(key in seen, False, key + " comes twice")
            seen.add(key)
    return types


def value(text, name):
    for line in text.splitlines():
        if line.startswith(name + " "):
            return float(line.split(" ")[1])
    raise Failed("no %s in\n%s" % (name, text))


def with_store(scene):
    """A node that is a store's only member, and leads."""
    config = scene.write("s.conf", """
[security]
cookie_file = %s
[kv]
directory = %s
bootstrap = yes
[gateway]
dashboard = local
""" % (scene.make_cookie(), scene.path("kv")))
    s = scene.node("s", "--gateway-port", "any", config=config)
    s.run("kv", "put", "motd", "Ahoy")
    # What a member says of itself is some moments old.
    until("it tells", lambda: value(scrape(s), "hardtack_store_is_leader") == 1
          and value(scrape(s), "hardtack_store_writes_total") == 1)
    return s


def store(scene):
    s = with_store(scene)
    text = scrape(s)
    for name, want in (("is_leader", 1), ("has_leader", 1), ("keys", 1),
                       ("writes_total", 1), ("disk_full", 0)):
        equal(value(text, "hardtack_store_" + name), want, name)
    equal(value(text, "hardtack_store_fsyncs_total") > 0, True)
    until("it is not behind itself", lambda: value(
        scrape(s), 'hardtack_store_member_lag_entries{member="s@test"}') == 0)
    until("the store in the picture", lambda: [
        (r["node"], r["role"], r["leader"], r["keys"]) for r in call(
            s.gateway, "hardtack.dashboard/View", {})[2]["stores"]]
        == [("s@test", "leader", "s@test", "1")])
    contains(s.run("top", "--once", "--interval", "200ms").out,
             "s@test    leader  s@test")


def same_numbers(_scene):
    """StoreAnswer is a part of the store's StatusReply: name, number, type."""
    def fields(path, message):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            body = re.search(r"^message %s \{(.*?)^\}" % message, file.read(),
                             re.S | re.M).group(1)
        return set(re.findall(r"^  ((?:repeated )?\w+) (\w+) = (\d+);", body,
                              re.M))

    for ours, theirs in (("StoreAnswer", "StatusReply"),
                         ("MemberAnswer", "MemberStatus")):
        mine = {(t.replace("MemberAnswer", "MemberStatus"), n, i)
                for t, n, i in fields("proto/dashboard.proto", ours)}
        equal(len(mine) > 3, True)
        equal(mine - fields("include/hardtack/kv.proto", theirs), set())


def metrics(scene):
    a, b = pair(scene)
    ws = WebSocket(b.gateway)
    ws.ask(to="calculator", payload="1 + 1")
    text = scrape(b)
    types = families(text)
    for name, kind in types.items():
        equal(name.endswith("_total"), kind == "counter", name)
    equal(value(text, 'hardtack_peer_up{peer="a@test"}'), 1.0)
    equal(value(text, "hardtack_gateway_websockets"), 1.0)
    equal(value(text, "hardtack_gateway_calls_total"), 1.0)
    equal(value(text, "process_resident_memory_bytes") > 1e6, True)
    equal(value(text, "hardtack_messages_handled_total") > 0, True)
    contains(text, 'hardtack_peer_info{peer="a@test",encryption="cookie",'
             'auth="hardtack"} 1')
    # A peer that is gone is still dialled, and so down.
    a.kill()
    until("b sees that a is gone",
          lambda: value(scrape(b), 'hardtack_peer_up{peer="a@test"}') == 0)
    families(scrape(b))
    ws.close()


def grafana(scene):
    """Every metric that the dashboard file asks for is there."""
    types = families(scrape(with_store(scene)))
    with open(os.path.join(ROOT, "config", "grafana.json"),
              encoding="utf-8") as file:
        board = json.load(file)
    panels = [p for p in board["panels"] if p["type"] != "row"]
    exprs = [t["expr"] for p in panels for t in p["targets"]]
    queries = [v["query"]["query"] for v in board["templating"]["list"]
               if v["type"] == "query"]
    asked = {m for e in exprs + queries
             for m in re.findall(r"\b(?:hardtack|process)_\w+", e)}
    equal(sorted(asked - set(types)), [], "asked for, and not exported")
    equal(len({p["id"] for p in board["panels"]}), len(board["panels"]))
    for p in panels:
        for t in p["targets"]:
            counters = re.findall(r"(\w+_total)\{", t["expr"])
            equal(len(re.findall(r"rate\(\w+_total\{", t["expr"])),
                  len(counters), "a counter without rate: " + t["expr"])


def promtool(scene):
    if not shutil.which("promtool"):
        raise Skipped("no promtool (Debian: prometheus)")
    p = subprocess.run(["promtool", "check", "metrics"],
                       input=scrape(with_store(scene)).encode(), timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal((p.returncode, p.stdout.decode()), (0, ""))


def health(scene):
    _, b = pair(scene)
    equal(request(b.gateway, "GET", "/healthz")[::2], (200, b"ok\n"))
    equal(request(b.gateway, "GET", "/readyz")[::2], (200, b"ok\n"))


def dashboard(scene):
    """What the page is given, as a script gets it; each picture once."""
    a, b = pair(scene, "--dashboard", "local")
    status, _, view = call(b.gateway, "hardtack.dashboard/View", {})
    equal(status, 200)
    until("both are up", lambda: {n["name"]: n["state"] for n in call(
        b.gateway, "hardtack.dashboard/View", {})[2]["nodes"]} ==
        {"a@test": "up", "b@test": "up"})
    view = call(b.gateway, "hardtack.dashboard/View", {})[2]
    later = call(b.gateway, "hardtack.dashboard/View",
                 {"after": view["tick"]})[2]
    equal(int(later["tick"]) > int(view["tick"]), True)
    equal(all(len(s["queued"]) < 3 for s in later["series"]), True)
    nodes = {n["name"]: n for n in later["nodes"]}
    equal(nodes["b@test"]["gateway"]["port"], b.gateway)
    equal("gateway" in nodes["a@test"], False)
    equal([l["peer"] for l in nodes["a@test"]["links"]], ["b@test"])
    # Looking leaves no trace in what is looked at.
    equal([l["dropped"] for n in later["nodes"] for l in n["links"]],
          ["0", "0"])
    # Not for somebody who calls us by a name that may be anybody's.
    status, _, body = call(b.gateway, "hardtack.dashboard/View", {},
                           {"Host": "rebound.example"})
    equal((status, body["error"]["code"]), (401, "HT_EAUTH"))
    status, _, body = call(b.gateway, "hardtack.operator/May", {})
    equal((status, body["error"]["code"]), (401, "HT_EAUTH"))
    # Nor through another node, nor from it.
    status, _, body = call(b.gateway, "b@test:hardtack.dashboard/View", {})
    equal(status, 401)
    a.run("call", "hardtack.dashboard@b@test", "View", "{}", code=1)
    ws = WebSocket(b.gateway)
    got = ws.ask(to="hardtack.dashboard", method="View", payload={})
    equal(got["payload"]["node"], "b@test")
    # Who looks sees the clients, and not who they are.
    seen = ws.ask(to="hardtack.dashboard", method="Clients", payload={})
    row = [c for c in seen["payload"]["clients"] if c["name"]][0]
    equal((row["encoding"], row["user"], row["address"], row["messages_in"]),
          ("json", "", "", "2"))
    status, _, body = call(b.gateway, "hardtack.dashboard/Clients",
                           {"node": "a@test"})
    equal((status, body["error"]["reason"]), (500, "that node has no gateway"))
    status, _, body = call(b.gateway, "hardtack.dashboard/Clients",
                           {"node": "c@test"})
    equal((status, body["error"]["reason"]),
          (500, "that node is not connected to this one"))
    for path in ("hardtack.operator/Clients", "hardtack.gateway/Clients"):
        equal(call(b.gateway, path, {"persons": True})[0] // 100, 4, path)
    ws.close()


def many_clients(scene):
    """The newest are shown, the rest is counted."""
    _, b = pair(scene, "--dashboard", "local")
    open_ = [WebSocket(b.gateway) for _ in range(60)]

    def shown():
        return call(b.gateway, "hardtack.dashboard/Clients", {})[2]

    # And the request itself.
    until("all are counted", lambda: int(shown()["total"]) == 61)
    got = shown()
    equal((len(got["clients"]), got["loops_silent"]), (50, 0))
    ages = [int(c["age_ms"]) for c in got["clients"]]
    equal(ages, sorted(ages))
    for ws in open_:
        ws.close()


def operator(scene):
    """What a token may do, and what nobody may."""
    key = scene.path("key")
    scene.run("token", "key", "-o", key)

    def bearer(role):
        token = scene.run("token", "issue", "--key", key, "--user", role,
                          "--claim", "role=" + role).out.strip()
        return {"Authorization": "Bearer " + token}

    config = scene.write("b.conf", """
[security]
cookie_file = %s
[gateway]
token_key_file = %s
dashboard = token
[allow viewers]
claim = role=viewer
targets = hardtack.dashboard
[allow operators]
claim = role=operator
targets = hardtack.operator
""" % (scene.make_cookie(), key))
    a = scene.node("a", "--load", scene.plugin("calculator"))
    b = scene.node("b", "--connect", a.address(), "--gateway-port", "any",
                   config=config)
    b.sees(a)

    def ask(role, method, **fields):
        status, _, body = call(b.gateway, "hardtack.operator/" + method,
                               fields, bearer(role))
        return status, body.get("what", body.get("error", {}).get("reason"))

    equal(call(b.gateway, "hardtack.dashboard/View", {})[0], 401)
    equal(call(b.gateway, "hardtack.dashboard/View", {}, bearer("viewer"))[0],
          200)
    equal(ask("viewer", "May")[0], 403)
    equal(ask("operator", "May"), (200, ""))
    ws = WebSocket(b.gateway)
    ws.ask(type="login", msg_id="1",
           token=bearer("viewer")["Authorization"][7:])
    seen = call(b.gateway, "hardtack.operator/Clients", {"node": "b@test"},
                bearer("operator"))[2]["clients"]
    row = [c for c in seen if c["name"]][0]
    equal((row["user"], row["encoding"], row["messages_in"]),
          ("viewer", "json", "1"))
    port = str(ws.sock.getsockname()[1])
    equal(row["address"].rsplit(":", 1)[1], port)
    equal(ask("viewer", "Clients")[0], 403)
    # One that is away has no address.
    ws.ask(type="hello")
    ws.drop()

    def away():
        return [(c["user"], c["address"]) for c in call(
            b.gateway, "hardtack.operator/Clients", {},
            bearer("operator"))[2]["clients"] if c["away"]]
    until("it is away", lambda: away() == [("viewer", "")])
    equal(ask("operator", "Disconnect", node="b@test", peer="a@test"),
          (200, "b@test disconnects from a@test"))
    b.sees()
    equal(ask("operator", "Stop", node="a@test", ref="x"),
          (500, "that node is not connected to this one"))
    equal(ask("operator", "Connect", node="b@test", address=a.address())[0],
          200)
    b.sees(a)
    refs = {r["name"]: r["ref"] for r in a.run("actors", "--json").json()}
    equal(ask("operator", "Stop", node="a@test", ref=refs["hardtack.admin"]),
          (500, "it is one of Hardtack's own"))
    equal(ask("operator", "Stop", node="b@test", ref=refs["calculator"]),
          (500, "it lives elsewhere: ask its node"))
    equal(ask("operator", "Stop", node="a@test", ref="")[0], 400)
    equal(ask("operator", "Stop", node="a@test", ref="nobody"),
          (500, 'no actor can be "nobody"'))
    equal(ask("operator", "Stop", node="a@test", ref=refs["calculator"]),
          (200, "a@test stops " + refs["calculator"]))
    until("it has ended", lambda: "calculator" not in {
        r["name"] for r in a.run("actors", "--json").json()})
    b.logged('what="b@test disconnects from a@test" err=HT_OK')
    b.logged("text=\"it is one of Hardtack's own\"")


def top(scene):
    """The same for a terminal, and for scripts."""
    a, b = pair(scene)
    out = a.run("top", "--once", "--interval", "300ms").out
    for part in ("2 of 2 nodes up, 2 links", "a@test  b@test  cookie",
                 "BY MESSAGES", "hardtack.admin"):
        contains(out, part)
    equal("\033" in out, False)
    view = b.run("top", "--once", "--json", "--interval", "300ms").json()
    equal((view["tick"], view["node"]), (2, "b@test"))
    equal([n["gateway"]["port"] for n in view["nodes"] if n["gateway"]],
          [b.gateway])
    refused = a.run("top", code=1)
    contains(refused.err, "this is no terminal")
    a.run("top", "--interval", "1ms", code=2)


def top_in_a_terminal(scene):
    a, b = pair(scene)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 70, 0, 0))
    before = termios.tcgetattr(slave)
    p = subprocess.Popen([scene.program, "top", "--interval", "200ms",
                          "unix:" + a.socket], stdin=slave, stdout=slave,
                         stderr=slave, cwd=scene.dir, env=scene.env)
    screen = [""]

    def shows(*parts):
        while select.select([master], [], [], 0)[0]:
            screen[0] += os.read(master, 65536).decode("utf-8", "replace")
        frame = screen[0].split("\033[H\033[J")[-1]
        return all(part in frame for part in parts)

    try:
        until("a picture", lambda: shows("2 of 2 nodes up", "BY MESSAGES"))
        contains(screen[0], "\033[?1049h")
        lines = re.sub(r"\033\[\d*m", "", screen[0].split("\033[H\033[J")[-1])
        lines = lines.split("\r\n")
        equal(len(lines) <= 20 and max(map(len, lines)) <= 70, True, lines)
        os.write(master, b"m")
        until("the other list", lambda: shows("BY MAILBOX"))
        b.kill()
        until("that b is gone", lambda: shows("1 of 2 nodes up", "down"))
        os.write(master, b"q")
        equal(p.wait(20), 0)
        shows()
        equal(screen[0].endswith("\033[?25h\033[?1049l"), True)
        equal(termios.tcgetattr(slave), before, "the terminal's state")
        p = subprocess.Popen([scene.program, "top", "unix:" + a.socket],
                             stdin=slave, stdout=slave,
                             stderr=subprocess.PIPE, cwd=scene.dir,
                             env=scene.env)
        until("a picture", lambda: shows("1 of 1 nodes up"))
        a.kill()
        equal((p.wait(20), p.stderr.read()),
              (1, b"hardtack: the node went away\n"))
        equal(termios.tcgetattr(slave), before, "the terminal's state")
    finally:
        p.kill()
        os.close(master)
        os.close(slave)


TABLE = [
    ("top", top),
    ("top_in_a_terminal", top_in_a_terminal),
    ("operator", operator),
    ("dashboard", dashboard),
    ("many_clients", many_clients),
    ("metrics", metrics),
    ("store", store),
    ("same_numbers", same_numbers),
    ("grafana", grafana),
    ("promtool", promtool),
    ("health", health),
]
