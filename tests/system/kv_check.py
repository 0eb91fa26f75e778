#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judge a history by the revisions in it, in one pass over what was answered.

usage: kv_check.py HISTORY

Porcupine searches for any order that explains a history.  The store claims one:
every write has a revision, and every read says which write it saw.  Here that
claim is taken at its word:

* no two writes have one revision, and no write has two (done twice);
* a write that was answered before another was asked for has the lower one;
* a read sees a write that was asked for, with its revision, and none that was
  refused; nothing older than what was answered, or read, before it was asked;
* a read that finds nothing comes after no write, or can come after a deletion;
* a compare-and-swap that was done follows a write of what it expected.

Exit status: 0 it holds, 1 it does not, 2 there is no such history.  The last
line counts: acknowledged, lost.
"""
import json
import sys

NEVER = float("inf")
WRITES = ("put", "delete", "cas", "txn")


class Write:
    """One write of one key."""

    def __init__(self, op, key):
        self.op, self.key = op, key
        self.value = None if op["op"] == "delete" else op["value"]
        self.call = op["call"]
        self.acked = op["outcome"] == "ok"
        self.end = op["return"] if self.acked else NEVER
        self.revision = op.get("revision", 0) if self.acked else 0


class Check:
    def __init__(self, ops):
        self.wrong = []
        self.lost = 0
        self.ops = ops
        self.writes = {}    # key -> writes that may have been done
        self.by_value = {}  # (key, value) -> the write
        self.refused = set()
        for op in ops:
            self.enter(op)

    def fail(self, text, *ops):
        self.wrong.append(text + "".join("\n    %s" % json.dumps(o)
                                         for o in ops))

    def enter(self, op):
        if op["op"] not in WRITES:
            return
        keys = op["keys"] if op["op"] == "txn" else [op["key"]]
        for key in keys:
            if op["outcome"] == "failed":
                self.refused.add((key, op.get("value")))
                continue
            if op["outcome"] == "ok" and op["op"] in ("cas", "delete") \
                    and not op["done"]:
                continue
            write = Write(op, key)
            if write.acked and write.revision == 0:
                self.fail("an acknowledged write without a revision", op)
            self.writes.setdefault(key, []).append(write)
            if write.value is not None:
                self.by_value[(key, write.value)] = write

    def reads(self):
        return [op for op in self.ops
                if op["op"] == "get" and op["outcome"] == "ok"]

    def match_reads(self):
        """Which write each read saw; a write of unknown fate that was seen has
        a revision from then on."""
        for op in self.reads():
            if not op["found"]:
                continue
            key = (op["key"], op["got"])
            write = self.by_value.get(key)
            if write is None:
                self.fail("a read of what was refused" if key in self.refused
                          else "a read of what nobody wrote", op)
                continue
            if write.call > op["return"]:
                self.fail("a read of what was not yet written", write.op, op)
            if write.revision == 0:
                write.revision = op["revision"]
            elif write.revision != op["revision"]:
                self.fail("a write with two revisions, %d and %d"
                          % (write.revision, op["revision"]), write.op, op)
            if not write.acked:
                write.end = min(write.end, op["return"])

    def check_order(self):
        """By revision and by the clock."""
        owner, latest = {}, None
        known = [w for ws in self.writes.values() for w in ws if w.revision]
        for write in sorted(known, key=lambda w: w.revision):
            other = owner.setdefault(write.revision, write)
            if other.op is not write.op:
                self.fail("two writes of revision %d" % write.revision,
                          other.op, write.op)
            if latest is not None and write.end < latest.call:
                self.fail("revisions against the clock", latest.op, write.op)
            if latest is None or write.call > latest.call:
                latest = write

    def check_key(self, key, reads):
        """No read goes back behind what had been answered before it."""
        known = [w for w in self.writes.get(key, []) if w.revision]
        deletes = [w for w in self.writes.get(key, []) if w.value is None]
        events = [(w.end, w.revision, w) for w in known if w.acked]
        events += [(op["return"], op["revision"], None)
                   for op in reads if op["found"]]
        events.sort(key=lambda e: (e[0], e[1]))
        floor, at = (0, None), 0
        for op in sorted(reads, key=lambda o: o["call"]):
            while at < len(events) and events[at][0] < op["call"]:
                if events[at][1] >= floor[0]:
                    floor = (events[at][1], events[at][2])
                at += 1
            if op["found"]:
                good = op["revision"] >= floor[0]
            else:
                good = floor[0] == 0 or any(
                    d.call < op["return"] and
                    (d.revision == 0 or d.revision >= floor[0])
                    for d in deletes)
            if not good:
                self.lost += 1
                self.fail("a read behind revision %d" % floor[0], op)

    def check_swaps(self, key):
        writes = self.writes.get(key, [])
        loose = any(w.revision == 0 for w in writes)
        known = sorted((w for w in writes if w.revision),
                       key=lambda w: w.revision)
        for before, write in zip([None] + known, known):
            if write.op["op"] != "cas" or loose:
                continue
            value = before.value if before is not None else None
            if value != write.op.get("expect"):
                self.fail("a compare-and-swap of %r that expected %r"
                          % (value, write.op.get("expect")), write.op)

    def run(self):
        self.match_reads()
        self.check_order()
        reads = {}
        for op in self.reads():
            reads.setdefault(op["key"], []).append(op)
        for key in set(self.writes) | set(reads):
            self.check_key(key, reads.get(key, []))
            self.check_swaps(key)
        return self.wrong


def read_history(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def check(path):
    """(what is wrong, counts)"""
    ops = read_history(path)
    if not ops:
        raise ValueError("there is no operation in it")
    judge = Check(ops)
    wrong = judge.run()
    acked = sum(op["op"] in WRITES and op["outcome"] == "ok" for op in ops)
    unknown = sum(op["outcome"] == "unknown" for op in ops)
    return wrong, {"operations": len(ops), "acknowledged": acked,
                   "unknown": unknown, "lost": judge.lost}


def main():
    if len(sys.argv) != 2:
        sys.stderr.write("usage: kv_check.py HISTORY\n")
        return 2
    try:
        wrong, counts = check(sys.argv[1])
    except (OSError, ValueError, KeyError) as e:
        sys.stderr.write("kv_check.py: %s: %r\n" % (sys.argv[1], e))
        return 2
    for text in wrong[:10]:
        print(text)
    print(" ".join("%s=%d" % kv for kv in counts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
