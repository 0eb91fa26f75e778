#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the interoperability scenarios.  README.md in this folder says what they are and how to add one.

usage: run.py [--build DIR] [--kinds KIND,...] [--pairs KIND-KIND,...] [--list] [NAME ...]

Scenarios whose title contains one of the NAMEs are run; all without.  The kinds are c, rust16 and rust15; those whose
program has been built are used, and what is missing counts as skipped.  With c among them the pairs are those that have
a c; otherwise all of Rust and Rust.  DIR is where the C peer was built, build/debug without.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback

import conformance
import scenarios
from harness import Failure, Peer, binaries, example


class Cluster:
    """The processes of one scenario."""

    def __init__(self, folder):
        self.folder, self.peers = folder, []

    def start(self, kind, name, *options, **more):
        self.peers.append(Peer(kind, name, *options, **more))
        return self.peers[-1]

    def end(self):
        """End all; None, or what was wrong with the first end that was not as it should be."""
        for peer in self.peers:
            peer.process.stdin.close() if peer.process.poll() is None and not peer.process.stdin.closed else None
        return next(filter(None, [peer.end() for peer in self.peers]), None)


def default_pairs(kinds):
    rust = [k for k in kinds if k != "c"]
    if "c" in kinds:
        return [pair for r in rust for pair in (("c", r), (r, "c"))] + [("c", "c")]
    return [(x, y) for x in rust for y in rust]


def table(kinds, pairs):
    """(title, function, arguments) of every scenario."""
    rows = [(f"{s.__name__} {x}-{y}", s, (x, y)) for x, y in pairs for s in scenarios.PAIRS]
    rows += [(f"{s.__name__} {k}", s, (k,)) for k in kinds for s in scenarios.SINGLES]
    rows += [(f"{s.__name__} {k}", s, (k,)) for k in kinds for s in conformance.for_kind(k)]
    if "c" in kinds and all(path.exists() for path in example()):
        rows += [(s.__name__, s, ("c",)) for s in scenarios.EXAMPLES]
    return rows


def run(title, scenario, kinds):
    """None, or why it failed."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        cluster = Cluster(folder)
        try:
            scenario(cluster, *kinds)
            why = None
        except (Failure, AssertionError, conformance.Closed, TimeoutError) as error:
            frame = traceback.extract_tb(error.__traceback__)
            where = [f for f in frame if f.filename.endswith(("scenarios.py", "conformance.py"))]
            why = f"{error} (line {where[-1].lineno})" if where else str(error)
        finally:
            ending = cluster.end()
        why = why or ending
    print(f"ok {title}" if why is None else f"not ok {title}: {why}", flush=True)
    if time.monotonic() - started > 10:
        print(f"# {title} took {time.monotonic() - started:.0f} s", flush=True)
    return why


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build")
    parser.add_argument("--kinds")
    parser.add_argument("--pairs")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()

    if args.build:
        os.environ["PEER_C"] = os.path.join(args.build, "tests", "interop", "cpeer")
    built = [kind for kind, path in binaries().items() if path.exists()]
    kinds = args.kinds.split(",") if args.kinds else built
    missing = [kind for kind in kinds if kind not in built]
    if missing:
        sys.exit(f"run.py: not built: {', '.join(missing)} (looked in {[str(binaries()[k]) for k in missing]})")
    pairs = [tuple(p.split("-")) for p in args.pairs.split(",")] if args.pairs else default_pairs(kinds)

    rows = [row for row in table(kinds, pairs) if not args.names or any(name in row[0] for name in args.names)]
    if args.list:
        print("\n".join(title for title, _, _ in rows))
        return
    failed = sum(run(*row) is not None for row in rows)
    skipped = [] if args.kinds else [kind for kind in binaries() if kind not in built]
    for kind in skipped:
        print(f"interop: skipped with {kind}, {binaries()[kind]} is not built")
    print(f"{len(rows) - failed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
