# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of nodes and gateways."""
import json
import os
import re
import shutil
import subprocess

from client import WebSocket, request
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
            match = re.match(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})?'
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
    _, b = pair(scene)
    types = families(scrape(b))
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
    equal(sorted(set(types) - asked - {"hardtack_peer_info",
                                       "hardtack_node_start_time_seconds",
                                       "hardtack_gateway_subscribes_total",
                                       "hardtack_gateway_messages_repeated_total",
                                       }),
          [], "exported, and in no panel")
    equal(len({p["id"] for p in board["panels"]}), len(board["panels"]))
    for p in panels:
        for t in p["targets"]:
            counters = re.findall(r"(\w+_total)\{", t["expr"])
            equal(len(re.findall(r"rate\(\w+_total\{", t["expr"])),
                  len(counters), "a counter without rate: " + t["expr"])


def promtool(scene):
    if not shutil.which("promtool"):
        raise Skipped("no promtool (Debian: prometheus)")
    _, b = pair(scene)
    p = subprocess.run(["promtool", "check", "metrics"],
                       input=scrape(b).encode(), timeout=60,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    equal((p.returncode, p.stdout.decode()), (0, ""))


def health(scene):
    _, b = pair(scene)
    equal(request(b.gateway, "GET", "/healthz")[::2], (200, b"ok\n"))
    equal(request(b.gateway, "GET", "/readyz")[::2], (200, b"ok\n"))


TABLE = [
    ("metrics", metrics),
    ("grafana", grafana),
    ("promtool", promtool),
    ("health", health),
]
