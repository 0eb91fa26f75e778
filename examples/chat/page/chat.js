// SPDX-License-Identifier: Apache-2.0
// A connection to the chat that outlives its WebSockets and the nodes that they lead to.
//
//   const chat = new Chat({ places: ["host:port"], token, user });
//   chat.on("message", (m, old) => ...)   somebody spoke; old: before we came
//   chat.on("state", (state, words) => ...)   "connecting", "online", "waiting", "out"
//   chat.on("attached"), ("missed", { gap }), ("count", n), ("said", key), ("failed", key, reason)
//   chat.say("normal", "hello"), chat.tell("bob", "psst")
//
// What holds: a message is given once, whatever happens to connections and nodes; what is said is sent until there is
// an answer, and is said once, by its key.

const PROTOCOL = "hardtack.json.v1";
const COUNTED = new Set(["reply", "ok", "error", "message", "members"]);
const SEEN_MAX = 5000;
const QUIET_MS = 25000; // without a sound the connection is asked, then given up

export class Chat {
  constructor({ places, token, user }) {
    Object.assign(this, { places, token, user, place: places[0], last: "", lastPrivate: "", guild: "" });
    this.handlers = {};
    this.seen = new Set(); // author and key of what was given
    this.outbox = new Map(); // key -> what is being said
    this.calls = new Map(); // msg_id -> { resolve, reject }
    this.number = 0;
    this.tries = 0;
    this.session = null; // of the gateway: { resume, place, received }
    this.stamp = Math.random().toString(36).slice(2, 10);
  }

  on(event, fn) { this.handlers[event] = fn; return this; }
  emit(event, ...args) { this.handlers[event]?.(...args); }

  state(name, words = "") { this.now = name; this.emit("state", name, words); }

  // ---- the socket

  connect() {
    clearTimeout(this.timer);
    this.state("connecting", this.tries ? "reconnecting" : "connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${this.place}/`, PROTOCOL);
    const mine = (fn) => (event) => { if (this.socket === socket) fn(event); };
    // A node that is gone may not even refuse.
    this.timer = setTimeout(() => { if (socket.readyState === WebSocket.CONNECTING) socket.close(); }, 4000);
    socket.onopen = mine(() => this.opened());
    socket.onmessage = mine((event) => this.receive(JSON.parse(event.data)));
    socket.onclose = mine((event) => this.closed(event));
  }

  opened() {
    const { session } = this;
    this.watch();
    if (session && session.place === this.place) {
      this.send({ type: "resume", resume: session.resume, received: session.received, token: this.token });
    } else {
      this.session = null;
      this.send({ type: "hello", token: this.token });
    }
  }

  // Half-open connections say nothing, and do not close either.
  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.send({ type: "ping" });
      this.timer = setTimeout(() => this.drop(), 5000);
    }, QUIET_MS);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.closed({ code: 1006 });
  }

  closed({ code }) {
    clearTimeout(this.timer);
    this.attachedAt = null;
    if (this.now === "out") return;
    if (code === 4001) { this.out("another tab of this browser took over"); return; }
    this.tries++;
    // The same node first: it may still hold our session.  Then the others, in turn.
    if (this.tries > 2) {
      const at = this.places.indexOf(this.place);
      this.place = this.places[(at + 1) % this.places.length];
    }
    const wait = Math.min(100 * 2 ** Math.min(this.tries, 6), 4000) * (0.5 + Math.random());
    this.state("waiting", "reconnecting");
    this.timer = setTimeout(() => this.connect(), this.tries === 1 ? 50 : wait);
  }

  out(why) {
    this.state("out", why);
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.failCalls("left");
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // ---- messages

  receive(m) {
    this.watch();
    if (COUNTED.has(m.type) && this.session && ++this.session.received % 20 === 0) {
      this.send({ type: "ack", received: this.session.received });
    }
    switch (m.type) {
      case "welcome": return this.welcome(m);
      case "reply": return this.settle(m.msg_id, (call) => call.resolve(m.payload));
      case "error": return this.settle(m.msg_id, (call) => call.reject(m));
      case "message": return this.heard(m.method, m.payload);
      case "drain": setTimeout(() => this.move(), Math.random() * m.after_ms / 2); return undefined;
      case "notice":
        if (m.code === "HT_EAUTH" || m.code === "HT_EEXPIRED") this.out("log in again: " + m.reason);
        return undefined;
      default: return undefined;
    }
  }

  // This node is going.
  move() {
    const at = this.places.indexOf(this.place);
    this.place = this.places[(at + 1) % this.places.length];
    this.session = null;
    this.drop();
  }

  welcome(m) {
    this.session = { resume: m.resume, place: this.place, received: m.resumed ? this.session?.received ?? 0 : 0 };
    if (m.resumed && this.actor) {
      this.tries = 0;
      this.state("online", this.place);
      this.sendOutbox();
      return;
    }
    this.failCalls("lost");
    this.attach();
  }

  settle(id, fn) {
    const call = this.calls.get(id);
    if (call) { this.calls.delete(id); fn(call); }
  }

  failCalls(why) {
    const calls = [...this.calls.values()];
    this.calls.clear();
    for (const call of calls) call.reject({ code: "LOST", reason: why });
  }

  call(to, method, payload = {}) {
    const msg_id = `${this.stamp}-${++this.number}`;
    return new Promise((resolve, reject) => {
      this.calls.set(msg_id, { resolve, reject });
      this.send({ to, method, payload, msg_id });
    });
  }

  async attach() {
    const { socket } = this;
    try {
      const a = await this.call("chat", "Attach", { last: this.last, last_private: this.lastPrivate });
      if (this.socket !== socket) return;
      Object.assign(this, { actor: a.actor, user: a.user, guild: a.guild, node: a.node });
      const others = a.places.gateways.filter((p) => p !== this.place);
      this.places = [this.place, ...others, ...this.places.filter((p) => p !== this.place && !others.includes(p))].slice(0, 64);
      this.tries = 0;
      this.state("online", this.place);
      this.emit("attached", a);
      this.sendOutbox();
    } catch (e) {
      if (this.socket !== socket || e.code === "LOST") return;
      if (e.code === "HT_EAUTH" || e.code === "HT_EDENIED") this.out(e.reason);
      else setTimeout(() => { if (this.socket === socket) this.attach(); }, 300 + 300 * Math.random());
    }
  }

  heard(method, p) {
    if (method === "Message") {
      if (p.channel !== "private") this.last = p.id;
      this.give(p, false);
    } else if (method === "Missed") {
      for (const m of p.messages) this.give(m, true);
      if (p.last) this.last = p.last;
      this.emit("missed", p);
    } else if (method === "Online") {
      this.emit("count", p.count);
    } else if (method === "Kicked") {
      this.out(p.reason);
    } else if (method === "Ended") {
      this.attach();
    }
  }

  // Once, even if it comes again under another id.
  give(m, old) {
    const name = m.from + "\n" + m.key;
    if (m.channel === "private") this.lastPrivate = m.id;
    if (m.from === this.user) this.outbox.delete(m.key);
    if (this.seen.has(name)) return;
    this.seen.add(name);
    if (this.seen.size > SEEN_MAX) this.seen.delete(this.seen.values().next().value);
    this.emit("message", m, old);
  }

  // ---- saying

  say(channel, text) { return this.put({ method: "Say", payload: { channel, text } }); }
  tell(to, text) { return this.put({ method: "Tell", payload: { to, text } }); }

  // Returns its key, by which "message", "failed" and again() know it.
  put(what) {
    const key = `${this.stamp}-${++this.number}`;
    what.payload.key = key;
    this.outbox.set(key, what);
    this.sendOne(key, what);
    return key;
  }

  again(key) {
    const what = this.outbox.get(key);
    if (!what) return;
    what.failed = false;
    this.sendOne(key, what);
  }

  // After a Kicked.
  comeBack() {
    this.tries = 0;
    this.session = null;
    this.connect();
  }

  async sendOne(key, what) {
    if (!this.actor || this.now !== "online") return; // when it is
    try {
      await this.call(this.actor, what.method, what.payload);
      this.outbox.delete(key);
      this.emit("said", key);
    } catch (e) {
      if (e.code === "LOST" || !this.outbox.has(key)) return; // again when we are back
      if (e.code === "HT_ENOPROC") { this.attach(); return; } // our user went with its node
      what.failed = true;
      this.emit("failed", key, e.reason);
    }
  }

  sendOutbox() {
    for (const [key, what] of this.outbox) if (!what.failed) this.sendOne(key, what);
  }
}

// A token for a name and a password, from the program chat-login by way of any gateway.
export async function login(user, password) {
  for (let tries = 0; ; tries++) {
    const answer = await fetch("/call/chat-login/Login", { method: "POST", body: JSON.stringify({ user, password }) });
    const body = await answer.json();
    if (answer.ok) return body.token;
    // A gateway remembers for a second that it did not find the program.
    if (answer.status !== 404 || tries > 4) throw new Error(answer.status === 404 ? "nobody takes logins just now" : body.error.reason);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
