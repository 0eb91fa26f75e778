# SPDX-License-Identifier: Apache-2.0
"""The chat on real nodes: users on several of them, logins, nodes that die."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "system"),
                os.path.join(HERE, "..", "gateway")]
from client import Closed, WebSocket, call, wait  # noqa: E402
from harness import Failed, LIMIT_S, contains, equal, until  # noqa: E402

CONFIG = """[security]
cookie_file = %(cookie)s
[limits]
redial_max = 1s
[gateway]
port = any
token_key_file = %(key)s
public = send chat-login
pages = %(pages)s
origins = *
[plugin chat]
path = %(plugin)s
args = %(args)s
[allow players]
claim = *
targets = send chat, send chat-user-*
"""


class Chat:
    """Nodes of a chat, in a scene."""

    def __init__(self, scene, names="abc", args="linger=600000"):
        self.scene = scene
        self.key = scene.path("token.key")
        scene.run("token", "key", "-o", self.key)
        folder = os.path.join(scene.build, "examples", "chat")
        self.program = os.path.join(folder, "chat-login")
        self.config = scene.write("chat.conf", CONFIG % {
            "cookie": scene.make_cookie(), "key": self.key, "args": args,
            "plugin": os.path.join(folder, "chat_plugin.so"),
            "pages": os.path.join(HERE, "..", "..", "examples", "chat",
                                  "page")})
        self.nodes = {}
        for name in names:
            self.start(name)
        until("the worlds agree", self.agree)

    def start(self, name):
        peers = []
        for other in self.nodes.values():
            peers += ["--connect", other.address()]
        node = self.scene.node(name, *peers, config=self.config)
        node.sees(*self.nodes.values())
        self.nodes[name] = node
        node.run("call", "chat-world", "Gateway", json.dumps(
            {"gateway": "localhost:%d" % node.gateway}))
        return node

    def agree(self):
        for node in self.nodes.values():
            out = node.run("call", "chat-world", "Where", "{}").out
            if len(json.loads(out)["gateways"]) != len(self.nodes):
                return False
        return True

    def kill(self, name):
        self.nodes.pop(name).kill()

    def token(self, user, *claims):
        args = []
        for claim in claims:
            args += ["--claim", claim]
        return self.scene.run("token", "issue", "--key", self.key, "--user",
                              user, *args).out.strip()

    def user(self, name, at="a", **more):
        return User(self, name, at, **more)


class User:
    """A client that is attached as a user, and keeps what it hears."""

    def __init__(self, chat, name, at, last="", last_private="", claims=(),
                 protocol="hardtack.json.v1"):
        self.name, self.chat = name, chat
        self.messages, self.missed_ids = [], []
        self.gap, self.ended, self.kicked, self.closed = False, None, None, None
        self.last, self.last_private = last, last_private
        self.count = 0
        self.replies = {}
        self.asked = 0
        self.ws = WebSocket(chat.nodes[at].gateway, protocol=protocol)
        self.ws.send(type="login", token=chat.token(name, *claims))
        self.attached = self.ask("chat", "Attach", last=last,
                                 last_private=last_private)
        self.actor = self.attached["actor"]
        self.hear_until("what was missed", lambda: self.done)

    done = False

    def hear(self, limit=LIMIT_S):
        m = self.ws.get(limit)
        kind = m["type"]
        if kind in ("reply", "error") and "msg_id" in m:
            self.replies[m["msg_id"]] = m
            return
        if kind != "message":
            raise Failed("%s heard %r" % (self.name, m))
        method, p = m["method"], m["payload"]
        if method == "Message":
            self.take(p)
            if p["channel"] != "private":
                self.last = p["id"]
        elif method == "Missed":
            for one in p["messages"]:
                self.take(one)
                self.missed_ids.append(one["id"])
            self.gap = self.gap or p["gap"]
            self.done = self.done or p["done"]
            self.last = p["last"] or self.last
        elif method == "Online":
            self.count = p["count"]
        elif method == "Kicked":
            self.kicked = p["reason"]
        elif method == "Ended":
            self.ended = p["reason"]
        else:
            raise Failed("%s heard %r" % (self.name, m))

    def take(self, message):
        if message["channel"] == "private":
            self.last_private = message["id"]
        self.messages.append(message)

    def hear_until(self, what, fn):
        while not fn():
            try:
                self.hear()
            except (TimeoutError, OSError) as e:
                raise Failed("%s: never: %s; heard %r" % (self.name, what,
                                                         self.texts())) from e
            except Closed as e:
                self.closed = e.code
                if fn():
                    return
                raise Failed("%s: closed %s before: %s"
                             % (self.name, e, what)) from e

    def raw(self, target, method, **fields):
        self.asked += 1
        key = "m%d" % self.asked
        self.ws.send(to=target, method=method, payload=fields, msg_id=key)
        self.hear_until("%s %s" % (target, method), lambda: key in self.replies)
        return self.replies.pop(key)

    def ask(self, target, method, **fields):
        def tried():
            reply = self.raw(target, method, **fields)
            if reply["type"] == "error":
                if "try again" not in reply["reason"]:
                    raise Failed("%s: %s %s: %r" % (self.name, target, method,
                                                    reply))
                return None
            return reply
        return until("%s %s" % (target, method), tried)["payload"]

    def say(self, text, channel="normal", key=""):
        return self.ask(self.actor, "Say", channel=channel, text=text,
                        key=key)["id"]

    def tell(self, to, text, key=""):
        return self.ask(self.actor, "Tell", to=to, text=text, key=key)["id"]

    def refused(self, method, **fields):
        reply = self.raw(self.actor, method, **fields)
        equal(reply["type"], "error", "answer")
        return reply["code"], reply["reason"]

    def texts(self, channel=None):
        return [m["text"] for m in self.messages
                if channel in (None, m["channel"])]

    def ids(self):
        return {m["text"]: m["id"] for m in self.messages}

    def hears(self, *texts, channel=None):
        """Those and no others, in that order."""
        self.hear_until("%r" % (texts,),
                        lambda: len(self.texts(channel)) >= len(texts))
        equal(self.texts(channel), list(texts), self.name + " heard")

    def silent(self):
        """What was on its way has come: an answer came behind it."""
        self.ask(self.actor, "Online")

    def back(self, at):
        self.ws.drop()
        return User(self.chat, self.name, at, self.last, self.last_private)


# ---- talking


def talk(scene):
    chat = Chat(scene)
    alice, bob = chat.user("alice", "a"), chat.user("bob", "b")
    carol = chat.user("carol", "c")
    equal(alice.attached["created"], True)
    first = alice.say("hello")
    bob.hears("hello")
    second = bob.say("hi")
    third = carol.say("to everybody", "world")
    for who in (alice, bob, carol):
        who.hears("hello", "hi", "to everybody")
        equal(who.ids(), {"hello": first, "hi": second,
                          "to everybody": third}, who.name)
    equal([m["channel"] for m in bob.messages], ["normal", "normal", "world"])
    equal(bob.messages[0]["from"], "alice")
    crowd = bob.ask(bob.actor, "Online")
    equal(crowd["count"], 3)
    equal({p["user"]: p["node"] for p in crowd["people"]},
          {"alice": chat.nodes["a"].full, "bob": chat.nodes["b"].full,
           "carol": chat.nodes["c"].full})
    bob.hear_until("how many there are", lambda: bob.count == 3)


def guilds(scene):
    chat = Chat(scene, "ab")
    alice = chat.user("alice", "a", claims=["guild=red"])
    bob = chat.user("bob", "b")
    equal(alice.attached["guild"], "red")
    equal(bob.refused("Say", channel="guild", text="x")[0], "HT_EFAILED")
    alice.say("only red", "guild")
    bob.silent()
    equal(bob.texts(), [])
    # Who joins gets what was said there lately.
    equal(bob.ask(bob.actor, "JoinGuild", guild="red")["guild"], "red")
    bob.hears("only red")
    bob.say("me too", "guild")
    alice.hears("only red", "me too")
    bob.ask(bob.actor, "JoinGuild", guild="")
    alice.say("again", "guild")
    alice.hears("only red", "me too", "again")
    bob.silent()
    equal(bob.texts(), ["only red", "me too"])
    people = {p["user"]: p["guild"]
              for p in alice.ask(alice.actor, "Online")["people"]}
    equal(people, {"alice": "red", "bob": ""})


def private(scene):
    chat = Chat(scene, "ab")
    alice, bob = chat.user("alice", "a"), chat.user("bob", "b")
    carol = chat.user("carol", "b")
    alice.tell("bob", "psst")
    bob.hears("psst")
    equal(bob.messages[0]["from"], "alice")
    equal(bob.messages[0]["channel"], "private")
    bob.tell("alice", "yes?")
    alice.hears("psst", "yes?")
    code, reason = alice.refused("Tell", to="nobody", text="x")
    equal((code, reason), ("HT_EFAILED", "nobody of that name is here"))
    equal(alice.refused("Tell", to="alice", text="x")[0], "HT_EARGS")
    # The same again is the same.
    one = alice.tell("bob", "once", key="k1")
    equal(alice.tell("bob", "once", key="k1"), one)
    bob.hears("psst", "yes?", "once")
    # Bob is away, and comes back for what he missed.
    bob.ws.drop()
    until("bob is away", lambda: {p["user"]: p["away"] for p in alice.ask(
        alice.actor, "Online")["people"]}.get("bob"))
    alice.tell("bob", "later")
    bob = bob.back("a")
    equal(bob.texts(), ["later"])
    carol.silent()
    equal(carol.texts(), [])


# ---- logins


def second_login(scene):
    chat = Chat(scene)
    alice, bob = chat.user("alice", "a"), chat.user("bob", "b")
    alice.say("one")
    bob.tell("alice", "secret")
    alice.hears("one", "secret")
    # On the same node, then on another: the same actor, which knows the
    # private messages.
    for where in ("a", "b", "c"):
        other = chat.user("alice", where)
        equal(other.attached["created"], False, where)
        equal(other.attached["node"], chat.nodes["a"].full)
        equal(sorted(other.texts()), ["one", "secret"])
        alice.hear_until("the kick", lambda: alice.kicked is not None)
        alice.kicked = None
        try:
            while True:
                alice.hear()
        except Closed as e:
            equal(e.code, 1000)
        alice = other
    equal(bob.ask(bob.actor, "Online")["count"], 2)
    alice.say("still here")
    bob.hears("one", "secret", "still here")


def passwords(scene):
    chat = Chat(scene, "ab")
    users = scene.path("users")
    subprocess.run([chat.program, "--users", users, "--add", "alice",
                    "--claims", "guild=red"], input=b"correct horse\n",
                   check=True)
    login = subprocess.Popen(
        [chat.program, "--users", users, "--key", chat.key, "--cookie",
         scene.cookie, "--sign-up", "--connect", chat.nodes["a"].address(),
         "--connect", chat.nodes["b"].address()],
        stdout=subprocess.PIPE)
    scene.cleanups.append(lambda: (login.kill(), login.wait(),
                                   login.stdout.close()))
    equal(login.stdout.readline(), b"chat-login: ready\n")
    port = chat.nodes["b"].gateway

    def ask(user, password):
        """Each of the gateway's loops finds out for itself."""
        answers = []

        def found():
            answers.append(call(port, "chat-login/Login",
                                {"user": user, "password": password}))
            return answers[-1][0] != 404

        wait("chat-login is found", found)
        return answers[-1]

    status, _, body = ask("alice", "wrong horse")
    equal((status, body["error"]["code"]), (403, "HT_EDENIED"))
    token = ask("alice", "correct horse")[2]["token"]
    ws = WebSocket(port)
    ws.send(type="login", token=token)
    ws.send(to="chat", method="Attach", payload={})
    reply = ws.get()
    while reply["type"] == "message":
        reply = ws.get()
    equal(reply["payload"]["guild"], "red")
    # A new name is an account from then on.
    equal(ask("carol", "a new password")[0], 200)
    equal(ask("carol", "another password")[0], 403)
    equal(ask("c a", "a new password")[0], 400)
    equal(ask("carol", "short")[0], 400)
    with open(users, encoding="utf-8") as f:
        contains(f.read(), "carol\t\t$argon2id$")
    # Guessing is slowed down.
    statuses = [ask("alice", "guess number %d" % i)[0] for i in range(6)]
    equal(statuses[-1], 503)


def strangers(scene):
    chat = Chat(scene, "ab")
    alice, bob = chat.user("alice", "a"), chat.user("bob", "b")
    ws = WebSocket(chat.nodes["a"].gateway)
    equal(ws.ask(to="chat", method="Attach", payload={})["code"], "HT_EAUTH")
    ws.send(type="login", token=chat.token("mallory"))
    # Another's user, what only worlds may do, and the world itself.
    for to, method, payload, code in (
            (bob.actor, "Say", {"channel": "normal", "text": "x"},
             "HT_EDENIED"),
            (bob.actor, "Receive", {"from": "alice", "text": "x"},
             "HT_EDENIED"),
            (bob.actor, "Enter", {"user": "bob"}, "HT_EDENIED"),
            ("chat-world", "Kick", {"user": "bob"}, "HT_EDENIED")):
        equal(ws.ask(to=to, method=method, payload=payload)["code"], code,
              method)
    ws.send(type="cast", to=bob.actor, method="Leave", payload={})
    ws.send(type="cast", to=bob.actor, method="Hear", payload={})
    bob.silent()
    equal(bob.kicked, None)
    ws = WebSocket(chat.nodes["a"].gateway)
    ws.send(type="login", token=chat.token("not a name"))
    equal(ws.ask(to="chat", method="Attach", payload={})["code"],
          "HT_EDENIED")
    equal(alice.refused("Say", channel="normal", text="")[0], "HT_EARGS")
    equal(alice.refused("Say", channel="normal", text="x" * 501)[0],
          "HT_EARGS")
    equal(alice.refused("Say", channel="moon", text="x")[0], "HT_EARGS")
    equal(alice.refused("Say", channel="normal", text="a\x1b[2Jb")[0],
          "HT_EARGS")


def rates(scene):
    chat = Chat(scene, "a")
    alice = chat.user("alice", "a")
    alice.say("1", "world")
    alice.say("2", "world")
    code, reason = alice.refused("Say", channel="world", text="3")
    equal(code, "HT_EOVERLOAD")
    contains(reason, "too fast: again in")
    # Another channel has its own.
    for i in range(10):
        alice.say("n%d" % i)
    code = "HT_OK"
    for i in range(30):
        reply = alice.raw(alice.actor, "Say", channel="normal", text="x")
        if reply["type"] == "error":
            code = reply["code"]
            break
    equal(code, "HT_EOVERLOAD")


def operator(scene):
    chat = Chat(scene, "ab")
    bob = chat.user("bob", "b")
    a = chat.nodes["a"]
    a.run("call", "chat-world", "Broadcast", json.dumps({"text": "closing"}))
    bob.hears("closing")
    equal((bob.messages[0]["from"], bob.messages[0]["channel"]),
          ("", "world"))
    a.run("call", "chat-world", "Kick",
          json.dumps({"user": "bob", "reason": "spam"}))
    bob.hear_until("the kick", lambda: bob.kicked == "spam")
    code = a.run("call", "chat-world", "Kick", '{"user": "eve"}',
                 code=None).code
    if code == 0:
        raise Failed("nobody was kicked")


# ---- nodes that come and go


def node_dies(scene):
    chat = Chat(scene)
    users = {n: chat.user(n, at) for n, at in
             (("alice", "a"), ("bob", "b"), ("carol", "c"))}
    said = []

    def say(who, text):
        users[who].say(text, key=text.replace(" ", "-"))
        said.append(text)

    for i in range(5):
        for who in users:
            say(who, "%s-%d" % (who, i))
    users["alice"].hears(*said)
    # The oldest world orders; it dies.  Alice comes back at another.
    chat.kill("a")
    say("bob", "alice is away")
    say("carol", "still")
    users["alice"] = users["alice"].back("b")
    equal(users["alice"].gap, False)
    equal([t for t in users["alice"].texts()], ["alice is away", "still"])
    say("alice", "i am back")
    # What she does not know whether it was said she says again.
    again = users["alice"].say("i am back", key="i-am-back")
    equal(again, users["alice"].ids()["i am back"])
    for who in ("bob", "carol"):
        users[who].hears(*said)
    # A new node knows what was said.
    chat.start("d")
    until("the worlds agree", chat.agree)
    dave = chat.user("dave", "d")
    equal(dave.texts(), said)
    equal(dave.ids()["still"], users["bob"].ids()["still"])
    chat.kill("b")
    users["bob"] = users["bob"].back("d")
    users["alice"] = users["alice"].back("c")
    say("alice", "goodbye")
    dave.hears(*said)
    users["bob"].hears("goodbye")


def talk_while_a_node_dies(scene):
    """Everybody talks, without waiting; a node is killed; what was not
    answered is said again elsewhere.  Nothing is missing or doubled."""
    chat = Chat(scene)
    alice, bob = chat.user("alice", "a"), chat.user("bob", "b")
    carol = chat.user("carol", "c")
    keys = []

    def send(user, i):
        text = "%s-%d" % (user.name, i)
        keys.append((user.name, text))
        user.ws.send(to=user.actor, method="Say", msg_id=text, payload={
            "channel": "normal", "text": text, "key": text})

    for i in range(8):
        for user in (alice, bob, carol):
            send(user, i)
    chat.kill("a")
    everything = [text for _, text in keys]
    # Alice heard some of it, perhaps; the rest is behind her last id.
    try:
        while True:
            alice.hear(0.5)
    except (Closed, OSError):
        pass
    before = alice.texts()
    back = alice.back("b")
    heard = before + back.texts()
    equal(len(heard), len(set(heard)), "heard once")
    for i in range(8):
        back.say("alice-%d" % i, key="alice-%d" % i)
    for user in (bob, carol):
        user.hear_until("everything", lambda: len(user.texts()) >=
                        len(everything))
        equal(sorted(user.texts()), sorted(everything), user.name)
    equal(bob.texts(), carol.texts(), "the same order")
    equal(bob.ids(), carol.ids(), "the same ids")
    back.hear_until("everything", lambda: len(before + back.texts()) >=
                    len(everything))
    equal(sorted(before + back.texts()), sorted(everything), "alice")


def user_of_a_dead_node(scene):
    """The connection lives, the user's node does not."""
    chat = Chat(scene, "ab")
    alice = chat.user("alice", "a")
    alice.say("one")
    other = chat.user("alice", "b")
    equal(other.attached["node"], chat.nodes["a"].full)
    chat.kill("a")
    other.hear_until("that its user is gone", lambda: other.ended is not None)
    attached = other.ask("chat", "Attach", last=other.last)
    equal((attached["created"], attached["node"]),
          (True, chat.nodes["b"].full))
    other.say("two")
    other.hear_until("two", lambda: "two" in other.texts())
    equal(other.texts(), ["one", "two"])


def history_is_bounded(scene):
    chat = Chat(scene, "ab")
    alice = chat.user("alice", "a")
    alice.say("first")
    alice.hears("first")
    last = alice.last
    for i in range(0, 210, 10):
        speaker = chat.user("user-%d" % i, "a")
        for k in range(i, i + 10):
            speaker.say("b%d" % k)
        speaker.ws.drop()
    late = chat.user("bob", "b", last=last)
    equal(late.gap, True)
    equal(late.texts(), ["b%d" % i for i in range(10, 210)])
    fresh = chat.user("carol", "b")
    equal(fresh.gap, False)
    equal(len(fresh.texts()), 50)
    wrong = chat.user("dave", "b", last="nonsense")
    equal(len(wrong.texts()), 50)
    unknown = chat.user("eve", "b", last="1.2.3")
    equal(unknown.gap, True)
    equal(len(unknown.texts()), 200)


def as_shown(scene):
    """What `make chat` starts, and the terminal client."""
    p = subprocess.run([os.path.join(HERE, "..", "..", "examples", "chat",
                                     "run"), "--build", scene.build,
                        "--check"], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=100)
    if p.returncode != 0:
        raise Failed(p.stdout.decode())


TABLE = [
    ("talk", talk),
    ("guilds", guilds),
    ("private", private),
    ("second-login", second_login),
    ("passwords", passwords),
    ("strangers", strangers),
    ("rates", rates),
    ("operator", operator),
    ("node-dies", node_dies),
    ("talk-while-a-node-dies", talk_while_a_node_dies),
    ("user-of-a-dead-node", user_of_a_dead_node),
    ("history-is-bounded", history_is_bounded),
    ("as-shown", as_shown),
]
