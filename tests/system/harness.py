# SPDX-License-Identifier: Apache-2.0
"""Real hardtack processes for tests: started, looked into, ended.

Nothing here sleeps to synchronise: a node says that it is ready through
--ready-fd, and everything else is looked at again and again until it is so or
a limit has passed.
"""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

LIMIT_S = 20


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def until(what, fn, limit=LIMIT_S):
    """Return fn()'s first true value."""
    end = time.monotonic() + limit
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("not within %g s: %s" % (limit, what))
        time.sleep(0.02)


def equal(got, want, what=""):
    if got != want:
        raise Failed("%s: got %r, expected %r" % (what or "value", got, want))


def contains(text, part):
    if part not in text:
        raise Failed("expected %r in:\n%s" % (part, text))


def no_sanitizer_spoke(logs):
    """For builds under sanitizers: a node that is killed at the end of its
    scenario has no exit status to tell by."""
    for word in ("Sanitizer:", "runtime error:", "Assertion"):
        if word in logs:
            raise Failed("%r in a node's log" % word)


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def json(self):
        return json.loads(self.out)


class Scene:
    """A private directory, the nodes started in it, and the program."""

    def __init__(self, build):
        self.cleanups = []
        self.build = os.path.abspath(build)
        self.program = os.path.join(self.build, "bin", "hardtack")
        self.dir = tempfile.mkdtemp(prefix="hts-", dir="/tmp")
        self.nodes = []
        self.cookie = self.path("cookie")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("HARDTACK", "XDG_"))}
        self.env["HOME"] = self.dir
        self.env["XDG_RUNTIME_DIR"] = self.dir

    def path(self, name):
        return os.path.join(self.dir, name)

    def plugin(self, name):
        folder = "examples/calculator" if name == "calculator" \
            else "tests/system"
        return os.path.join(self.build, folder, name + "_plugin.so")

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def run(self, *args, code=0, limit=60, stdin=None, env=None):
        """Run the program; code None: any."""
        p = subprocess.run([self.program, *map(str, args)], input=stdin,
                           stdin=None if stdin is not None
                           else subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=limit, cwd=self.dir,
                           env={**self.env, **(env or {})})
        result = Result(p.returncode, p.stdout.decode("utf-8", "replace"),
                        p.stderr.decode("utf-8", "replace"))
        if code is not None and result.code != code:
            raise Failed("hardtack %s: status %d, expected %d\n%s%s"
                         % (" ".join(map(str, args)), result.code, code,
                            result.out, result.err))
        return result

    def make_cookie(self):
        if not os.path.exists(self.cookie):
            self.run("cookie", "-o", self.cookie)
        return self.cookie

    def node(self, name, *args, prefix=(), **kwargs):
        node = Node(self, name)
        node.prefix = list(prefix)
        self.nodes.append(node)
        node.start(*args, **kwargs)
        return node

    def close(self):
        for node in self.nodes:
            node.end()
        for cleanup in self.cleanups:
            cleanup()
        shutil.rmtree(self.dir, ignore_errors=True)

    def logs(self):
        return "".join("---- log of %s\n%s" % (n.name, n.log())
                       for n in self.nodes)


class Node:
    def __init__(self, scene, name):
        self.scene, self.name = scene, name
        self.full = name + "@test"
        self.process = None
        self.port = 0
        self.gateway = 0
        self.socket = scene.path(name + ".sock")
        self.log_path = scene.path(name + ".log")
        self.prefix = []  # before the command: `ip netns exec NAME`

    def command(self, *args, port="any", config=None):
        command = self.prefix + [
            self.scene.program, "start", "--name", self.name,
            "--hostname", "test", "--socket", self.socket]
        command += ["--config", config] if config else ["--no-config"]
        if port is not None:
            command += ["--port", str(port)]
        if "--cookie-file" not in args and config is None:
            command += ["--cookie-file", self.scene.make_cookie()]
        return command + [str(a) for a in args]

    def start(self, *args, **kwargs):
        read, write = os.pipe()
        command = self.command(*args, "--ready-fd", write, **kwargs)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[write], cwd=self.scene.dir, env=self.scene.env)
        os.close(write)
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([read], [], [], LIMIT_S)[0]:
                break
            piece = os.read(read, 512)
            if not piece:
                break
            line += piece
        os.close(read)
        match = re.match(rb"ready name=(\S+) port=(\d+)(?: gateway=(\d+))?\n",
                         line)
        if not match:
            raise Failed("%s did not become ready\n%s"
                         % (self.name, self.log()))
        self.full = match.group(1).decode()
        self.port = int(match.group(2))
        self.gateway = int(match.group(3) or 0)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8",
                      errors="replace") as log:
                return log.read()
        except OSError:
            return ""

    def address(self):
        return "127.0.0.1:%d" % self.port

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=LIMIT_S):
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failed("%s did not end\n%s" % (self.name, self.log()))

    def stop(self):
        self.signal(signal.SIGTERM)
        equal(self.wait(), 0, self.name + "'s exit status")

    def kill(self):
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()

    def run(self, command, *args, **kwargs):
        """A command of the program against this node, over its socket."""
        head = [command]
        if command in ("kv", "raft"):  # whose commands are two words
            head, args = [command, args[0]], args[1:]
        return self.scene.run(*head, "--node", "unix:" + self.socket, *args,
                              **kwargs)

    def peers(self):
        """name -> row of the connected nodes, clients left out."""
        rows = self.run("nodes", "--json").json()
        return {r["name"]: r for r in rows
                if r["state"] == "ready" and not r["hidden"]}

    def sees(self, *others):
        wanted = {o.full for o in others}
        until("%s sees %s" % (self.name, sorted(wanted)),
              lambda: wanted == set(self.peers()))

    def members(self, group="calculators"):
        rows = self.run("groups", group, "--json").json()
        return sorted(m[1:].split(".")[0] for r in rows for m in r["members"])

    def logged(self, part, limit=LIMIT_S):
        until("%r in the log of %s" % (part, self.name),
              lambda: part in self.log(), limit)
