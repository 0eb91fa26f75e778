# SPDX-License-Identifier: Apache-2.0
"""A store on real nodes, cables that can be pulled, clients that write down
what they did, and the judges of that."""
import os
import shutil
import socket
import subprocess
import threading

import kv_check
from harness import LIMIT_S, Failed, Skipped, until

HERE = os.path.dirname(os.path.abspath(__file__))
FAST = ["--heartbeat", "200ms", "--silence", "1s", "--redial-max", "200ms"]


class Cable:
    """A TCP proxy that, while it is cut, holds what it is sent."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.target = None
        self.open = threading.Event()
        self.open.set()
        self.ending = False
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=(near,),
                             daemon=True).start()

    def connect(self, near):
        try:
            self.open.wait()
            far = socket.create_connection(self.target, 5)
        except OSError:
            near.close()
            return
        self.sockets += [near, far]
        for a, b in ((near, far), (far, near)):
            threading.Thread(target=self.pump, args=(a, b),
                             daemon=True).start()

    def pump(self, a, b):
        try:
            while True:
                data = a.recv(65536)
                self.open.wait()
                if not data or self.ending:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self, cut):
        if cut:
            self.open.clear()
        else:
            self.open.set()

    def close(self):
        self.ending = True
        self.open.set()
        for s in [self.listener] + self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


class Proxies:
    """Every pair of nodes has a cable; the later one dials through it."""

    def __init__(self, scene):
        self.cables = {}
        scene.cleanups.append(self.close)

    def prepare(self, index):
        return []

    def host(self, index):
        return "127.0.0.1"

    def dial(self, index, others):
        args = []
        for other, node in others.items():
            cable = self.cables.setdefault(frozenset((index, other)), Cable())
            if index > other:
                cable.target = ("127.0.0.1", node.port)
                args += ["--connect", cable.address]
        return args

    def started(self, index, node):
        """The earlier of two is dialled, wherever it listens this time."""
        for pair, cable in self.cables.items():
            if min(pair) == index:
                cable.target = ("127.0.0.1", node.port)

    def cut(self, a, b, cut):
        self.cables[frozenset((a, b))].cut(cut)

    def close(self):
        for cable in self.cables.values():
            cable.close()


class Namespaces:
    """A network namespace a node, on one bridge.  A cable is cut by a wrong
    hardware address: what is sent is lost without a word, each way by itself.
    """
    count = 0

    def __init__(self, scene):
        if not shutil.which("ip"):
            raise Skipped("there is no `ip` (iproute2) here")
        Namespaces.count += 1
        self.name = "hk%d%c" % (os.getpid() % 100000,
                                ord("a") + Namespaces.count)
        self.net = "10.213.%d." % (100 + Namespaces.count)
        self.scene = scene
        self.indexes = []
        self.ip("link", "add", self.name, "type", "bridge")
        scene.cleanups.append(
            lambda: self.ip("link", "del", self.name, check=False))
        self.ip("addr", "add", self.net + "254/24", "dev", self.name)
        self.ip("link", "set", self.name, "up")

    @staticmethod
    def ip(*args, check=True):
        p = subprocess.run(["ip", *args], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
        if check and p.returncode != 0:
            raise Skipped("no network namespaces here: ip %s: %s"
                          % (" ".join(args), p.stdout.decode().strip()))

    def space(self, index):
        return "%sn%d" % (self.name, index)

    @staticmethod
    def mac(index):
        return "02:00:00:00:01:%02x" % index

    def prepare(self, index):
        """The command before a node's; its namespace is made the first time."""
        space = self.space(index)
        if index not in self.indexes:
            self.indexes.append(index)
            self.scene.cleanups.append(
                lambda: self.ip("link", "del", space, check=False))
            self.scene.cleanups.append(
                lambda: self.ip("netns", "del", space, check=False))
            self.ip("netns", "add", space)
            self.ip("link", "add", space, "type", "veth", "peer", "name",
                    "inside", "address", self.mac(index), "netns", space)
            self.ip("link", "set", space, "master", self.name, "up")
            self.ip("-n", space, "addr", "add", self.host(index) + "/24",
                    "dev", "inside")
            self.ip("-n", space, "link", "set", "lo", "up")
            self.ip("-n", space, "link", "set", "inside", "up")
        return ["ip", "netns", "exec", space]

    def host(self, index):
        return "%s%d" % (self.net, index)

    def dial(self, index, others):
        args = []
        for other, node in others.items():
            if other < index:
                args += ["--connect", "%s:%d" % (self.host(other), node.port)]
        return args

    def started(self, index, node):
        pass

    def cut_one_way(self, a, b, cut):
        self.ip("-n", self.space(a), "neigh", "replace", self.host(b),
                "lladdr", "02:00:00:00:02:ff" if cut else self.mac(b), "dev",
                "inside", "nud", "permanent")

    def cut(self, a, b, cut):
        self.cut_one_way(a, b, cut)
        self.cut_one_way(b, a, cut)


class Store:
    """Nodes 1, 2, ... with a member each."""

    def __init__(self, scene, size=3, network=None, directories=None,
                 settings=""):
        """settings: more lines of [kv]."""
        self.scene = scene
        self.config = scene.write("store.conf", (
            "[node]\nname = overridden\n[security]\ncookie_file = %s\n"
            "[kv]\n%s" % (scene.make_cookie(), settings)))
        self.network = network or Proxies(scene)
        self.nodes = {}
        self.ports = {}
        self.directories = directories or {}
        for index in range(1, size + 1):
            self.start(index)
        self.leader()
        for index in range(2, size + 1):
            self.add(index)

    def directory(self, index):
        return self.directories.get(index, self.scene.path("store%d" % index))

    def arguments(self, index):
        args = ["--kv-directory", self.directory(index), *FAST]
        if index == 1:
            args.append("--kv-bootstrap")
        return args + self.network.dial(
            index, {i: n for i, n in self.nodes.items() if i != index})

    def start(self, index):
        """Also again, on the port that it had: the others dial it there."""
        prefix = self.network.prepare(index)
        args = self.arguments(index)
        if index in self.nodes:
            self.nodes[index].start(*args, port=self.ports[index],
                                    config=self.config)
        else:
            self.nodes[index] = self.scene.node("n%d" % index, *args,
                                                prefix=prefix,
                                                config=self.config)
            self.ports[index] = self.nodes[index].port
        self.network.started(index, self.nodes[index])

    def replace(self, index):
        """A new node in the place of none, with an empty directory."""
        self.start(index)
        self.add(index)

    def add(self, index, via=1):
        self.nodes[via].run("raft", "add", self.nodes[index].full, limit=90)

    def running(self):
        return {i: n for i, n in self.nodes.items()
                if n.process.poll() is None}

    def status(self, index):
        result = self.nodes[index].run("kv", "status", "--json", "-t", "1s",
                                       code=None)
        return result.json() if result.code == 0 else None

    def leader(self, but=()):
        """The index of the node that leads in the highest term."""
        def look():
            rows = [(s["term"], i) for i in self.running() if i not in but
                    for s in [self.status(i)] if s and s["role"] == "leader"]
            return max(rows)[1] if rows else None
        return until("a leader", look)

    def follower(self):
        leader = self.leader()
        return next(i for i in self.running() if i != leader)

    def write(self, via):
        """Waits until the store takes writes again."""
        self.nodes[via].run("kv", "put", "probe", "x", "-t", "15s")

    def isolate(self, index, cut):
        for other in self.nodes:
            if other != index:
                self.network.cut(index, other, cut)

    def kill(self, index):
        self.nodes[index].kill()

    def same_everywhere(self):
        """All have applied the same, and hold the same."""
        def look():
            rows = [self.status(i) for i in self.running()]
            return all(rows) and len({(s["applied_index"], s["revision"],
                                       s["keys"], s["bytes"])
                                      for s in rows}) == 1
        until("the same state on every node", look)
        lists = {i: n.run("kv", "ls", "--stale", "--json").json()
                 for i, n in self.running().items()}
        first = next(iter(lists.values()))
        for index, rows in lists.items():
            if [r["revision"] for r in rows] != [r["revision"] for r in first]:
                raise Failed("n%d holds something else" % index)


class Load:
    """Clients at work; stop() ends them and has their history judged."""
    count = 0

    def __init__(self, store, *args, pause=1000, clients=6):
        Load.count += 1
        scene = store.scene
        self.scene = scene
        self.history = scene.path("history%d.jsonl" % Load.count)
        members = ["%s=%s:%d" % (n.full, store.network.host(i), n.port)
                   for i, n in store.nodes.items()]
        self.process = subprocess.Popen(
            [os.path.join(scene.build, "tests/system/peer_kv"),
             "--cookie-file", scene.cookie, "--history", self.history,
             "--seed", str(Load.count), "--pause", str(pause),
             "--clients", str(clients), *args, *members],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=scene.env)
        scene.cleanups.append(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def more(self, operations=200):
        """Wait until so many more, about, are done: no fault follows the one
        before before the clients have worked."""
        def size():
            return os.path.exists(self.history) \
                and os.path.getsize(self.history)
        before = size()
        until("the clients work", lambda: size() > before + operations * 130)

    def stop(self):
        """The counts of peer_kv, after both judges agreed."""
        try:
            out, err = self.process.communicate(b"", timeout=60)
        except subprocess.TimeoutExpired:
            raise Failed("the clients do not end")
        if self.process.returncode != 0:
            raise Failed("the clients: %s" % err.decode("utf-8", "replace"))
        self.judge_revisions()
        self.judge_porcupine()
        counts = dict(f.split("=") for f in out.decode().split())
        return {k: int(v) for k, v in counts.items()}

    def judge_revisions(self):
        wrong, counts = kv_check.check(self.history)
        if wrong or counts["lost"]:
            raise Failed("the history, by revisions: %s\n%s"
                         % (counts, "\n".join(wrong[:5])))
        if counts["acknowledged"] == 0:
            raise Failed("no write was acknowledged")

    def judge_porcupine(self):
        built = subprocess.run(
            [os.path.join(HERE, "porcupine/build"),
             os.path.join(self.scene.build, "tests/system")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if built.returncode == 77:
            print("     " + built.stderr.decode().strip().split("\n")[0])
            return
        if built.returncode != 0:
            raise Failed("Porcupine is not built: " + built.stderr.decode())
        judged = subprocess.run(
            [built.stdout.decode().strip(), "-timeout", "60s", self.history],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if judged.returncode != 0:
            kept = "/tmp/hardtack-history-%d.jsonl" % os.getpid()
            shutil.copy(self.history, kept)
            raise Failed("Porcupine: %s (kept: %s)"
                         % (judged.stdout.decode().strip(), kept))
