# SPDX-License-Identifier: Apache-2.0
"""The store on real nodes, with faults, under load; the table is at the end.

Every history is judged by Porcupine (where go is) and by revisions.
"""
import json
import os
import random
import signal
import subprocess
import time

from harness import Failed, Skipped, contains, equal, until
from kv_harness import Load, Namespaces, Store


# ---- what the program does -------------------------------------------------

def commands(scene):
    store = Store(scene)
    one, two = store.nodes[1], store.nodes[2]
    contains(one.run("kv", "put", "motd", "Ahoy").out, "revision")
    equal(two.run("kv", "get", "motd").out, "Ahoy\n")
    equal(two.run("kv", "get", "motd", "--raw").out, "Ahoy")
    contains(two.run("kv", "get", "nothing", code=1).err,
             'there is no key "nothing"')
    got = two.run("kv", "get", "motd", "--json").json()
    equal((got["found"], got["kv"]["text"]), (True, "Ahoy"))
    contains(one.run("kv", "cas", "motd", "x", "--expect", "y", code=1).err,
             "holds Ahoy")
    one.run("kv", "cas", "motd", "Aye", "--expect", "Ahoy")
    one.run("kv", "cas", "new", "1", "--absent")
    contains(one.run("kv", "cas", "new", "1", "--absent", code=1).err,
             "not as expected")
    equal(two.run("kv", "put", "motd", "Avast", "--previous").out, "Aye\n")
    listed = two.run("kv", "ls").out
    contains(listed, "KEY")
    contains(listed, "Avast")
    equal(two.run("kv", "ls", "--keys").out, "motd\nnew\n")
    equal(two.run("kv", "ls", "m", "--keys", "--stale").out, "motd\n")
    equal(two.run("kv", "put", "big", "-", stdin=b"x" * 5000).code, 0)
    equal(len(one.run("kv", "get", "big", "--raw").out), 5000)
    contains(one.run("kv", "put", "big", "-", stdin=b"x" * (1 << 21),
                     code=1).err, "too_big")
    done = one.run("kv", "txn", stdin=b"if motd = Avast\nput a 1\nput b 2\n"
                   b"get motd\n")
    contains(done.out, "done, revision")
    contains(done.out, "get motd: Avast")
    failed = one.run("kv", "txn", stdin=b"if motd = no\nput a 2\nelse\nget a\n",
                     code=1)
    contains(failed.out, "get a: 1")
    contains(one.run("kv", "txn", stdin=b"hop\n", code=2).err, "line 1")
    contains(one.run("kv", "del", "--prefix", "b").out, "2 deleted")
    contains(one.run("kv", "del", "b").out, "0 deleted")
    contains(one.run("kv", "get", "x", "--store", "other", code=1).err,
             'no store "other"')
    status = one.run("kv", "status")
    contains(status.out, "leader")
    contains(one.run("raft", "status").out, "n3@test")
    equal(len(one.run("raft", "status", "--json").json()["members"]), 3)


def watch(scene):
    store = Store(scene)
    one, two = store.nodes[1], store.nodes[2]
    first = one.run("kv", "put", "w/1", "a", "--json").json()["revision"]
    one.run("kv", "put", "other", "a")
    one.run("kv", "put", "w/2", "b")
    one.run("kv", "del", "w/1")
    seen = two.run("kv", "watch", "--prefix", "w/", "--from", first,
                   "--limit", 3).out.splitlines()
    equal([s.split(" ", 1)[1] for s in seen],
          ["put w/1 = a", "put w/2 = b", "del w/1"])
    process = subprocess.Popen(
        [scene.program, "kv", "watch", "--node", "unix:" + two.socket,
         "--prefix", "t/", "--from", str(first), "--limit", "2", "--json"],
        stdout=subprocess.PIPE, env=scene.env)
    one.run("kv", "put", "t/1", "x", "--ttl", "1s")
    out, _ = process.communicate(timeout=30)
    equal([json.loads(line)["kind"] for line in out.splitlines()],
          ["PUT", "EXPIRED"])
    lease = one.run("kv", "lease", "grant", "60s", "--json").json()["lease"]
    one.run("kv", "put", "leased", "x", "--lease", lease)
    contains(two.run("kv", "lease", "info", lease).out, "leased")
    two.run("kv", "lease", "keep", lease)
    one.run("kv", "lease", "revoke", lease)
    one.run("kv", "get", "leased", code=1)


# ---- processes that die or stand still -------------------------------------

def killed(scene):
    store = Store(scene)
    load = Load(store)
    for pick in (store.leader, store.follower, store.leader):
        victim = pick()
        store.kill(victim)
        store.write(next(iter(store.running())))
        store.start(victim)
        store.write(victim)
        load.more()
    load.stop()
    store.same_everywhere()


def all_killed(scene):
    """A power cut: everything that was acknowledged is on the disks."""
    store = Store(scene)
    load = Load(store)
    for _ in range(2):
        store.write(1)
        for index in store.nodes:
            store.nodes[index].signal(signal.SIGKILL)
        for index in store.nodes:
            store.nodes[index].wait()
        for index in store.nodes:
            store.start(index)
        store.write(2)
        load.more()
    load.stop()
    store.same_everywhere()


def stopped(scene):
    """A process that stands still is not told that it was deposed."""
    store = Store(scene)
    load = Load(store)
    for pick in (store.leader, store.follower, store.leader):
        victim = pick()
        store.nodes[victim].signal(signal.SIGSTOP)
        others = [i for i in store.nodes if i != victim]
        until("a leader among the others",
              lambda: any(s and s["role"] == "leader"
                          for s in map(store.status, others)))
        store.write(others[0])
        store.nodes[victim].signal(signal.SIGCONT)
        store.write(victim)
        load.more()
    load.stop()
    store.same_everywhere()


# ---- partitions ------------------------------------------------------------

def partitions(store):
    store.write(1)
    load = Load(store)
    for _ in range(2):
        alone = store.leader()
        store.isolate(alone, True)
        new = store.leader(but=(alone,))
        store.write(new)
        contains(store.nodes[alone].run("kv", "get", "probe", "-t", "1s",
                                        code=1).err, "kv get")
        store.nodes[alone].run("kv", "get", "probe", "--stale")
        store.isolate(alone, False)
        store.write(alone)
        load.more()
    follower = store.follower()
    store.isolate(follower, True)
    store.write(store.leader())
    store.isolate(follower, False)
    store.write(follower)
    load.stop()
    store.same_everywhere()


def partition_by_proxy(scene):
    partitions(Store(scene))


def partition_by_namespace(scene):
    partitions(Store(scene, network=Namespaces(scene)))


def one_way_cut(scene):
    """The leader is heard and hears nothing, then the other way round."""
    store = Store(scene, network=Namespaces(scene))
    load = Load(store)
    for heard in (True, False):
        leader = store.leader()
        others = [i for i in store.nodes if i != leader]
        for other in others:
            pair = (other, leader) if heard else (leader, other)
            store.network.cut_one_way(*pair, True)
        until("the others write",
              lambda: store.nodes[others[0]].run(
                  "kv", "put", "probe", "x", "-t", "2s", code=None).code == 0)
        for other in others:
            pair = (other, leader) if heard else (leader, other)
            store.network.cut_one_way(*pair, False)
        store.write(leader)
        load.more()
    load.stop()
    store.same_everywhere()


# ---- disks -----------------------------------------------------------------

def small_disk(scene, name, size):
    path = scene.path(name)
    os.mkdir(path)
    p = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size,
                        "tmpfs", path], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, check=False)
    if p.returncode != 0:
        raise Skipped("no file system can be mounted here: %s"
                      % p.stdout.decode().strip())
    scene.cleanups.append(lambda: subprocess.run(["umount", "-l", path],
                                                 check=False))
    return path


def fill_up(path):
    """Take the room that is left; returns how to give it back."""
    filler = os.path.join(path, "filler")
    with open(filler, "wb", buffering=0) as out:
        for size in (1 << 20, 4096, 1):
            try:
                while out.write(b"x" * size) == size:
                    pass
            except OSError:
                pass
    return lambda: os.unlink(filler)


def disk_full(scene):
    """Writes stop with a clear error, reads go on, and nothing is lost."""
    disks = {i: small_disk(scene, "disk%d" % i, 96 << 20) for i in (1, 2, 3)}
    store = Store(scene, directories={i: os.path.join(d, "store")
                                      for i, d in disks.items()})
    load = Load(store)
    store.write(1)
    load.more()
    free = [fill_up(d) for d in disks.values()]

    def refused():
        got = store.nodes[1].run("kv", "put", "filler", "-", "-t", "2s",
                                 stdin=b"x" * 500000, code=None)
        return got.code != 0 and "disk_full" in got.err
    until("a write is refused", refused)
    store.nodes[2].run("kv", "get", "probe")
    equal(store.status(store.leader())["disk_full"], True, "disk_full")
    for give_back in free:
        give_back()
    until("writes go on", lambda: store.nodes[1].run(
        "kv", "put", "probe", "y", "-t", "2s", code=None).code == 0)
    load.stop()
    for node in store.nodes.values():
        equal(node.process.poll(), None, node.name + " runs")
    store.same_everywhere()


def follower_disk_full(scene):
    """One full disk of three is a minority: nothing stops."""
    disk = small_disk(scene, "disk", 96 << 20)
    store = Store(scene, directories={3: os.path.join(disk, "store")})
    if store.leader() == 3:
        store.nodes[1].run("raft", "transfer", "n1@test")
    load = Load(store)
    free = fill_up(disk)
    for n in range(30):
        store.nodes[1].run("kv", "put", "filler%d" % n, "-", "-t", "15s",
                           stdin=b"x" * 500000)
    free()
    load.stop()
    store.same_everywhere()


# ---- membership ------------------------------------------------------------

def membership(scene):
    """All of it under load: add, transfer, remove, replace a dead one."""
    store = Store(scene)
    load = Load(store)
    for index in (4, 5):
        store.start(index)
        store.add(index)
    equal(len(store.status(1)["members"]), 5)
    for index in (2, 3, 1):
        store.nodes[1].run("raft", "transfer", store.nodes[index].full)
        until("n%d leads" % index, lambda index=index: (
            store.status(index) or {}).get("role") == "leader")
    removed = store.leader()
    via = next(i for i in store.nodes if i != removed)
    store.nodes[via].run("raft", "remove", store.nodes[removed].full)
    store.write(via)
    dead = next(i for i in store.nodes if i not in (removed, store.leader(
        but=(removed,))))
    store.kill(dead)
    via = store.leader(but=(removed,))
    store.nodes[via].run("raft", "remove", store.nodes[dead].full)
    store.start(6)
    store.add(6, via=via)
    names = {m["name"] for m in store.status(via)["members"]}
    equal(names, {store.nodes[i].full for i in store.nodes
                  if i not in (removed, dead)}, "the members")
    contains(store.nodes[via].run("raft", "remove", "nobody@test",
                                  code=1).err, "no member is there")
    contains(store.nodes[via].run("raft", "add", store.nodes[via].full,
                                  code=1).err, "it is a member already")
    load.stop()
    # The removed one runs on, and disturbs nobody.
    term = store.status(via)["term"]
    time.sleep(3)
    equal(store.status(via)["term"], term, "the term")


# ---- everything ------------------------------------------------------------

def chaos(scene):
    """Five members, small snapshots, and one fault after the other: chosen at
    random, from a seed that is printed when it fails."""
    seed = int(os.environ.get("HT_SEED") or random.randrange(1 << 30))
    choose = random.Random(seed)
    store = Store(scene, size=5,
                  settings="snapshot_entries = 300\ntrailing_entries = 50\n")
    load = Load(store)

    def kill(index):
        store.kill(index)
        yield
        store.start(index)

    def stop(index):
        store.nodes[index].signal(signal.SIGSTOP)
        yield
        store.nodes[index].signal(signal.SIGCONT)

    def isolate(index):
        store.isolate(index, True)
        yield
        store.isolate(index, False)

    def cut_one_cable(index):
        other = choose.choice([i for i in store.nodes if i != index])
        touched.add(other)  # whoever does not reach the leader cannot ask it
        store.network.cut(index, other, True)
        yield
        store.network.cut(index, other, False)

    def snapshot(index):
        store.nodes[index].run("raft", "snapshot", code=None)
        yield

    faults = (kill, stop, isolate, cut_one_cable, snapshot)
    touched = set()
    try:
        for _ in range(8):
            hit = choose.sample(sorted(store.nodes), 2)
            if choose.random() < 0.5:
                hit[0] = store.leader()
            hit = sorted(set(hit))
            touched.clear()
            touched.update(hit)
            running = [choose.choice(faults)(index) for index in hit]
            for fault in running:
                next(fault)
            store.write(next(i for i in store.nodes if i not in touched))
            for fault in running:
                next(fault, None)
            store.write(choose.choice(sorted(store.nodes)))
            load.more()
        load.stop()
        store.same_everywhere()
        if not any(store.status(i)["snapshot_index"] for i in store.nodes):
            raise Failed("no snapshot was taken")
    except Failed as e:
        raise Failed("HT_SEED=%d: %s" % (seed, e))


def far_behind(scene):
    """Whoever missed more than the log holds gets a snapshot, under load."""
    store = Store(scene, settings="snapshot_entries = 200\n"
                  "trailing_entries = 10\n")
    load = Load(store)
    late = store.follower()
    store.kill(late)
    leader = store.leader()
    fill_some(store, 3000, via=leader)
    until("the log before it is dropped", lambda: store.status(leader)[
        "snapshot_index"] > 500)
    store.start(late)
    until("it has a snapshot", lambda: (store.status(late) or {
        "snapshot_index": 0})["snapshot_index"] > 0)
    store.start(4)
    store.add(4, via=leader)
    load.stop()
    store.same_everywhere()


# ---- directories -----------------------------------------------------------

def fill_some(store, count=200, via=1):
    for start in range(0, count, 100):
        lines = ["put fill/%05d %s" % (n, "x" * 100)
                 for n in range(start, start + 100)]
        store.nodes[via].run("kv", "txn", stdin="\n".join(lines).encode())


def damaged(scene):
    """A torn tail is repaired; damage in the middle is told, with its place."""
    store = Store(scene)
    fill_some(store)
    victim = store.follower()
    directory = store.directory(victim)
    store.nodes[victim].stop()
    contains(scene.run("raft", "verify", directory).out, "whole")
    logs = sorted((os.path.join(directory, f) for f in os.listdir(directory)
                   if os.path.getsize(os.path.join(directory, f)) > 1 << 16),
                  key=os.path.getmtime)
    if not logs:
        raise Failed("no log in %s: %s" % (directory, os.listdir(directory)))
    with open(logs[-1], "r+b") as log:
        data = log.read()
        at = data.index(b"fill/00050")
        log.seek(at)
        log.write(b"F")
    told = scene.run("kv", "verify", directory, code=1).err
    contains(told, os.path.basename(logs[-1]))
    refused = subprocess.run(
        store.nodes[victim].command(*store.arguments(victim)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30,
        cwd=scene.dir, env=scene.env, check=False)
    equal(refused.returncode, 1, "a start on a damaged log")
    contains(refused.stdout.decode(), os.path.basename(logs[-1]))


def backup(scene):
    store = Store(scene)
    fill_some(store)
    store.nodes[1].run("raft", "snapshot")
    copy, directory = scene.path("copy"), scene.path("restored")
    scene.run("raft", "backup", store.directory(1), copy)
    contains(scene.run("raft", "backup", store.directory(1), copy,
                       code=1).err, "copy")
    scene.run("raft", "restore", copy, directory, "alone@test")
    alone = scene.node("alone", "--kv-directory", directory)
    until("it leads", lambda: alone.run("kv", "status", "--json",
                                        code=None).code == 0)
    equal(len(alone.run("kv", "ls", "fill/", "--keys", "-t",
                        "10s").out.splitlines()), 200)
    scene.write("notone", "not a backup")
    contains(scene.run("raft", "restore", scene.path("notone"),
                       scene.path("r2"), "alone@test", code=1).err, "notone")


TABLE = [(f.__name__, f) for f in (
    commands, watch, killed, all_killed, stopped, partition_by_proxy,
    partition_by_namespace, one_way_cut, disk_full, follower_disk_full,
    membership, chaos, far_behind, damaged, backup)]
