# SPDX-License-Identifier: Apache-2.0
"""Processes under test: start them on port 0, command them, wait for what they report, end them."""

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TIMEOUT = 15


class Failure(Exception):
    pass


def binaries():
    """Where each kind of peer is found; the environment may say otherwise."""
    target = pathlib.Path(os.environ.get("INTEROP_TARGET", ROOT / "build" / "interop-target"))
    return {
        "rust16": pathlib.Path(os.environ.get("PEER_RUST16", target / "release" / "peer16")),
        "rust15": pathlib.Path(os.environ.get("PEER_RUST15", target / "release" / "peer15")),
        "c": pathlib.Path(os.environ.get("PEER_C", ROOT / "build" / "debug" / "tests" / "interop" / "cpeer")),
    }


def example():
    """The programs of examples/rust-peer: the Rust one, the C one, `hardtack`, and its plugin."""
    build, target = binaries()["c"].resolve().parents[2], binaries()["rust16"].resolve().parent
    return (target / "rust-peer", build / "examples" / "rust-peer" / "call_rust", build / "bin" / "hardtack",
            build / "examples" / "calculator" / "calculator_plugin.so")


class Peer:
    """A peer process.  Its reports are kept until a wait takes them."""

    def __init__(self, kind, name, *options, cookie="cookie", mode="isolated", port=0):
        self.kind, self.short = kind, name
        self.name = f"{name}@127.0.0.1"
        self.reports, self.ended, self.killed, self.ids = [], False, False, 0
        self.changed = threading.Condition()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(binaries()[kind]), "--name", name, "--hostname", "127.0.0.1", "--listen", "127.0.0.1",
             "--port", str(port), "--cookie", cookie, "--mode", mode, *map(str, options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.port = self.wait(ev="listening")["port"]
        except Failure:
            self.kill()
            raise
        self.address = f"127.0.0.1:{self.port}"

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was ended in the middle of a report
            report = json.loads(line)
            with self.changed:
                self.reports.append(report)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def take(self, **want):
        """Take the oldest report that has all these fields, if there is one.  A function tests a field."""
        for i, report in enumerate(self.reports):
            if all(v(report.get(k)) if callable(v) else report.get(k) == v for k, v in want.items()):
                return self.reports.pop(i)
        return None

    def wait(self, timeout=TIMEOUT, **want):
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                report = self.take(**want)
                if report is not None:
                    return report
                if self.ended:
                    raise Failure(f"{self.short} ended while {want} was awaited{self.stderr()}")
                if not self.changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise Failure(f"{self.short} did not report {want}; it has {self.reports[-6:]}")

    def stderr(self):
        self.log.seek(0)
        return "\n" + self.log.read().decode(errors="replace")[-2000:]

    def seen(self, **want):
        """Whether such a report has come, without waiting."""
        with self.changed:
            return self.take(**want) is not None

    def begin(self, *words):
        """Give a command; finish() takes its result."""
        self.ids += 1
        try:
            self.process.stdin.write(f"{self.ids} {' '.join(map(str, words))}\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failure(f"{self.short} is gone: {error}{self.stderr()}") from error
        return str(self.ids)

    def finish(self, command, timeout=TIMEOUT):
        result = self.wait(timeout, id=command)
        if not result["ok"]:
            raise Failure(f"{self.short}: {result['error']}")
        return result["value"]

    def error(self, command, timeout=TIMEOUT):
        """The error of a command that must fail."""
        result = self.wait(timeout, id=command)
        if result["ok"]:
            raise Failure(f"{self.short}: expected an error, got {result['value']}")
        return result["error"]

    def do(self, *words):
        return self.finish(self.begin(*words))

    def dial(self, peer):
        return self.do("dial", peer.address)

    def sessions(self):
        """{peer: accepted} of the authenticated sessions."""
        return {s["peer"]: s["accepted"] for s in self.do("sessions")}

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def end(self):
        """End by closing standard input; a peer that does not is killed.  None, or what was wrong with its end."""
        if self.process.poll() is not None:
            return None if self.killed else self.ending()
        try:
            self.process.stdin.close()
            self.process.wait(10)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
            return f"{self.short} did not end{self.stderr()}"
        return self.ending()

    def ending(self):
        """A sanitizer or a leak in a C peer shows in its status."""
        status = self.process.returncode
        return f"{self.short} ended with status {status}{self.stderr()}" if status and self.kind == "c" else None


def poll(what, condition, timeout=TIMEOUT):
    """For states that nobody reports: ask until it holds."""
    deadline = time.monotonic() + timeout
    while True:
        if condition():
            return
        if time.monotonic() > deadline:
            raise Failure(f"still not so: {what}")
        time.sleep(0.02)


class Certificates:
    """A CA, and a certificate of it for each name asked for."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-subj", "/CN=interop CA", "-keyout", self.folder / "ca.key", "-out", self.ca)

    def of(self, kind, short, **more):
        """The options of a peer with the certificate that its kind needs: Hardtack's nodes are named, ractor's hosts."""
        return self.options(f"{short}.example", f"{short}@127.0.0.1" if kind == "c" else "127.0.0.1", **more)

    def options(self, *names, mutual=False):
        """The options of a peer whose certificate has these names: of hosts, addresses, and Hardtack nodes."""
        base = self.folder / names[0].replace("@", "-")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", f"/CN={names[0]}", "-keyout", f"{base}.key", "-out", f"{base}.csr")
        extensions = base.with_suffix(".ext")
        extensions.write_text("basicConstraints=CA:FALSE\nsubjectAltName=" + ",".join(
            f"URI:hardtack:{n}" if "@" in n else f"IP:{n}" if n[0].isdigit() else f"DNS:{n}" for n in names))
        self._openssl("x509", "-req", "-in", f"{base}.csr", "-CA", self.ca, "-CAkey", self.folder / "ca.key",
                      "-CAcreateserial", "-days", "1", "-extfile", extensions, "-out", f"{base}.pem")
        return ["--tls-cert", f"{base}.pem", "--tls-key", f"{base}.key", "--tls-ca", self.ca,
                *(["--tls-mutual"] if mutual else [])]

    @staticmethod
    def _openssl(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)
