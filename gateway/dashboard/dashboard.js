// SPDX-License-Identifier: Apache-2.0
// The dashboard: asks the actor hardtack.dashboard for the picture, and again for
// the next one, over a WebSocket of this gateway; draws it.
"use strict";

const $ = (selector) => document.querySelector(selector);
const POINTS = 300;
const COLOURS = 8;
const TOKEN = "hardtack.token";

// ---- numbers in words

const number = (value) => Number(value || 0);

function short(value) {
  const units = ["", "k", "M", "G", "T"];
  let v = number(value);
  let unit = 0;
  while (v >= 10000 && unit < units.length - 1) { v /= 1000; unit++; }
  return (unit || v % 1 ? v.toFixed(v < 10 ? 1 : 0) : String(v)) + units[unit];
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let v = number(value);
  let unit = 0;
  while (v >= 1024 && unit < units.length - 1) { v /= 1024; unit++; }
  return `${v < 10 && unit ? v.toFixed(1) : Math.round(v)} ${units[unit]}`;
}

function micros(value) {
  const v = number(value);
  if (!v) return "< 1 µs";
  if (v < 1000) return `${v} µs`;
  return v < 1e6 ? `${(v / 1000).toFixed(v < 10000 ? 2 : 1)} ms` : `${(v / 1e6).toFixed(1)} s`;
}

function lasting(ms) {
  const s = Math.floor(number(ms) / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

// ---- the document

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(
    attributes.svg ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml", name);
  for (const [key, value] of Object.entries(attributes)) if (key !== "svg") made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const svg = (name, attributes, ...children) => element(name, { svg: true, ...attributes }, ...children);

// Children of a parent by key: those that stay are kept, so that a selection or
// the focus in them stays too.
function keyed(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A cell is text, or [text, class, title], or a function that makes a button for
// an operator, once a row.
function table(id, items, keyOf, cellsOf) {
  keyed($(`#${id} tbody`), items, keyOf, () => element("tr"), (row, item) => {
    cellsOf(item).forEach((cell, i) => {
      const [text, kind, title] = Array.isArray(cell) ? cell : [cell, "", ""];
      const td = row.children[i] || row.appendChild(element("td"));
      if (typeof text === "function") {
        if (!td.childNodes.length) td.append(text());
        td.hidden = !operator;
        return;
      }
      put(td, text);
      if (td.className !== (kind || "")) td.className = kind || "";
      if ((td.title || "") !== (title || "")) td.title = title || "";
    });
  });
  const none = $(`#${id} .none`);
  if (none) {
    none.hidden = items.length > 0;
    $(`#${id} .wide`).hidden = items.length === 0;
  }
}

// ---- what is shown

let view = null;
let clients = null; // of the node that is chosen
let askingClients = false;
let operator = false;
const series = new Map(); // node -> { handled_rate: [...], ... }
const events = [];

function colourOf(name) {
  return "c" + [...series.keys()].indexOf(name) % COLOURS;
}

function remember(reply, fresh) {
  if (fresh) {
    series.clear();
    events.length = 0;
  }
  const named = new Set((reply.series || []).map((s) => s.node));
  for (const name of [...series.keys()]) if (!named.has(name)) series.delete(name);
  for (const s of reply.series || []) {
    const kept = series.get(s.node) || {};
    for (const what of ["handled_rate", "bytes_rate", "queued", "clients"]) {
      kept[what] = [...(kept[what] || []), ...(s[what] || [])].slice(-POINTS);
    }
    series.set(s.node, kept);
  }
  events.push(...(reply.events || []));
  events.splice(0, events.length - 100);
}

const linksOf = (node) => node.links || [];
const ready = (link) => link.state === "ready";
const total = (list, valueOf) => list.reduce((sum, item) => sum + valueOf(item), 0);

function showNumbers(nodes) {
  const up = nodes.filter((n) => n.state !== "down");
  const links = nodes.flatMap(linksOf);
  const items = [
    ["nodes up", up.length < nodes.length ? `${up.length} of ${nodes.length}` : up.length, up.length < nodes.length],
    ["links ready", links.filter(ready).length, false],
    ["actors", short(total(nodes, (n) => number(n.actors))), false],
    ["messages/s", short(Math.round(total(nodes, (n) => n.handled_rate || 0))), false],
    ["between nodes", bytes(total(links, (l) => l.sent_bytes_rate || 0)) + "/s", false],
    ["queued", short(total(nodes, (n) => number(n.mailbox_messages))), false],
    ["dropped", short(total(nodes, (n) => number(n.dropped))), false],
    ["clients", short(total(nodes, (n) => number(n.gateway && n.gateway.websockets))), false],
  ];
  keyed($("#numbers"), items, (i) => i[0], (i) => element("div", {}, element("b"), element("span", {}, i[0])), (div, i) => {
    put(div.firstElementChild, String(i[1]));
    div.className = i[2] ? "bad" : "";
  });
}

// A line between two nodes, from what both ends say.
function edges(nodes) {
  const found = new Map();
  for (const node of nodes) {
    for (const link of linksOf(node)) {
      const ends = [node.name, link.peer].sort();
      const edge = found.get(ends.join()) || { ends, ready: false, rtt: 0, rate: 0, plain: false };
      edge.ready = edge.ready || ready(link);
      edge.plain = edge.plain || (ready(link) && link.encryption === "none");
      edge.rtt = edge.rtt || number(link.rtt_us);
      edge.rate = Math.max(edge.rate, (link.sent_bytes_rate || 0) + (link.received_bytes_rate || 0));
      found.set(ends.join(), edge);
    }
  }
  return [...found.values()];
}

// On an ellipse, which is wide where the page is.
function places(nodes, wide) {
  const names = nodes.map((n) => n.name);
  const [rx, ry] = names.length > 1 ? (wide ? [230, 120] : [120, 110]) : [0, 0];
  return new Map(names.map((name, i) => {
    const angle = (i / names.length) * 2 * Math.PI - Math.PI / 2;
    return [name, [rx * Math.cos(angle), ry * Math.sin(angle)]];
  }));
}

// What all of it takes, with room for the names.
function frame(at, wide) {
  const xs = [...at.values()].map(([x]) => x);
  const ys = [...at.values()].map(([, y]) => y);
  const half = Math.max(wide ? 320 : 190, ...xs.map((x) => Math.abs(x) + 60));
  const top = Math.min(...ys) - 30;
  return [-half, top, 2 * half, Math.max(...ys) - top + 60];
}

function showPicture(nodes) {
  const picture = $("#picture svg");
  const wide = picture.parentElement.clientWidth > 480;
  const at = places(nodes, wide);
  const drawn = edges(nodes).filter((e) => e.ends.every((name) => at.has(name)));
  picture.setAttribute("viewBox", frame(at, wide).join(" "));
  picture.replaceChildren();
  for (const edge of drawn) {
    const [[x1, y1], [x2, y2]] = edge.ends.map((name) => at.get(name));
    const line = svg("line", { x1, y1, x2, y2, "stroke-width": 1.5 + Math.min(6, Math.log10(1 + edge.rate)),
      class: edge.ready ? (edge.plain ? "plain" : "") : "half" });
    line.append(svg("title", {}, `${edge.ends.join(" – ")}: ${edge.ready ? bytes(edge.rate) + "/s" : "not ready"}`));
    picture.append(line);
    if (edge.ready && drawn.length <= 12) {
      const level = Math.abs(y1 - y2) < 40;
      picture.append(svg("text", { x: (x1 + x2) / 2 + (level ? 0 : 30), y: (y1 + y2) / 2 - 8, class: "small badge" },
        edge.rtt ? micros(edge.rtt) : ""));
    }
  }
  const radius = nodes.length > 16 ? 10 : 18;
  for (const node of nodes) {
    const [x, y] = at.get(node.name);
    const group = svg("g", { class: `${node.state}${node.name === view.node ? " own" : ""}`, "data-node": node.name },
      svg("circle", { cx: x, cy: y, r: radius }),
      svg("text", { x, y: y + radius + 16, class: "badge" }, node.name));
    if (nodes.length <= 16) {
      const words = node.state === "up" ? `${short(Math.round(node.handled_rate || 0))} messages/s` : node.state;
      group.append(svg("text", { x, y: y + radius + 31, class: "small badge" }, words));
    }
    group.append(svg("title", {}, `${node.name}: ${node.state} ${node.reason || ""}`));
    picture.append(group);
  }
}

const KINDS = {
  up: ["up", "is up"], down: ["down", "is down"], restarted: ["odd", "was restarted"], silent: ["odd", "does not answer"],
  answers: ["up", "answers again"], link_up: ["up", "linked to"], link_down: ["down", "lost the link to"],
};

function showEvents() {
  const list = [...events].reverse();
  keyed($("#happened ol"), list, (e) => String(e.number), (e) => {
    const [kind, words] = KINDS[e.kind] || ["", e.kind];
    const time = new Date(number(e.at_ms));
    const said = element("span", {}, element("b", {}, e.node), ` ${words} `, element("b", {}, e.peer || ""));
    if (e.reason) said.append(element("span", { class: "weak" }, ` ${e.reason}`));
    return element("li", { class: kind },
      element("time", { datetime: time.toISOString() }, time.toLocaleTimeString([], { hour12: false })), said);
  }, () => {});
}

const PLOTS = [
  ["handled_rate", "messages/s", short], ["bytes_rate", "bytes/s between nodes", bytes],
  ["queued", "messages queued", short], ["clients", "clients", short],
];

function showPlots() {
  keyed($("#plots .legend"), [...series.keys()], (n) => n, (n) => element("li", {}, element("span", {}, n)),
    (li, n) => { li.className = colourOf(n); });
  keyed($("#plots .plots"), PLOTS, (p) => p[0], (p) => element("figure", {},
    element("figcaption", {}, element("span", {}, p[1]), element("span")),
    svg("svg", { viewBox: `0 0 ${POINTS - 1} 100`, preserveAspectRatio: "none", role: "img", "aria-label": p[1] })),
  (figure, [what, , words]) => {
    const lines = [...series].map(([name, s]) => [name, s[what]]);
    const most = Math.max(0, ...lines.flatMap(([, values]) => values));
    const scale = 94 / Math.max(1, most);
    put(figure.firstElementChild.lastElementChild, most ? `at most ${words(most)}` : "none");
    figure.lastElementChild.replaceChildren(...lines.map(([name, values]) => svg("polyline", {
      class: colourOf(name),
      points: values.map((v, i) => `${POINTS - values.length + i},${(98 - scale * v).toFixed(1)}`).join(" "),
    })));
  });
}

const STATES = { up: "good", silent: "warn", ractor: "", down: "bad" };

function showNodes(nodes) {
  table("nodes", nodes, (n) => n.name, (n) => {
    const g = n.gateway;
    const asked = n.state === "up";
    return [
      n.name + (asked && n.via ? ` (through ${n.via})` : ""),
      [n.state + (n.reason && !asked ? `: ${n.reason}` : ""), STATES[n.state] + " long", n.reason],
      [asked ? lasting(n.uptime_ms) : "", "n"], [asked ? short(n.actors) : "", "n"],
      [asked ? short(Math.round(n.handled_rate || 0)) : "", "n"], [asked ? short(n.mailbox_messages) : "", "n"],
      [asked ? short(n.dropped) : "", number(n.dropped) ? "n warn" : "n"], [asked ? short(n.calls) : "", "n"],
      [g ? short(g.websockets) + (number(g.sessions_waiting) ? ` + ${short(g.sessions_waiting)} away` : "") : "", "n",
        g ? `${short(g.connections)} connections, ${short(g.calls)} calls, ${short(g.calls_failed)} failed, ` +
          `${short(g.refused)} refused, ${short(g.closed)} closed` : ""],
      [g ? bytes(g.queued_bytes) : "", "n"],
      [n.version || "", "weak"],
    ];
  });
}

function act(label, question, method, payload) {
  const button = element("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    if (await sure(question)) deed(method, payload);
  });
  return button;
}

function showLinks(nodes) {
  const rows = nodes.flatMap((n) => linksOf(n).map((l) => ({ n, l })));
  table("links", rows, ({ n, l }) => `${n.name} ${l.peer} ${l.address}`, ({ n, l }) => [
    n.name, l.peer || l.address,
    [ready(l) ? `ready ${lasting(l.since_ms)}` : l.state + (l.last_error ? `: ${l.last_error}` : ""),
      (ready(l) ? "good" : "bad") + " long", l.last_error],
    [ready(l) ? l.encryption + (l.auth === "hardtack" ? "" : `, ${l.auth}`) : "", l.encryption === "none" ? "warn" : ""],
    [ready(l) && number(l.rtt_us) ? micros(l.rtt_us) : "–", "n"], [bytes(l.sent_bytes_rate), "n"], [bytes(l.received_bytes_rate), "n"],
    [short(Math.round((l.sent_frames_rate || 0) + (l.received_frames_rate || 0))), "n"],
    [bytes(l.outbox_bytes), "n"], [short(l.calls_in_flight), "n"],
    [short(number(l.outbox_refused) + number(l.dropped)), number(l.outbox_refused) ? "n warn" : "n"],
    () => act("disconnect", `Let ${n.name} disconnect from ${l.peer}, and dial it no more?`, "Disconnect",
      { node: n.name, peer: l.peer }),
  ]);
  $("#links thead .operator").hidden = !operator;
}

// An actor without a name is its number: the node stands beside it.
const actorName = (a) => a.name || a.ref.replace(/^<.*\.(\d+)>$/, "pid $1");

function showActors(id, actors, cells) {
  table(id, actors, (a) => a.ref, (a) => [
    [actorName(a), a.name ? "long" : "long weak", a.ref], [a.node, "weak"], ...cells(a),
    () => (a.name.startsWith("hardtack.") ? ""
      : act("stop", `Stop the actor ${actorName(a)} of ${a.node}?`, "Stop", { node: a.node, ref: a.ref })),
  ]);
  $(`#${id} thead .operator`).hidden = !operator;
}

function showGroups(groups, all) {
  put($("#groups h2"), all > groups.length ? `Groups: the first ${groups.length} of ${all}` : "Groups");
  table("groups", groups, (g) => `${g.scope} ${g.group}`, (g) => {
    const members = g.members || [];
    const names = members.join(" ") + (number(g.count) > members.length ? " …" : "");
    return [g.group, [g.scope === "__default_scope__" ? "" : g.scope, "weak"], [short(g.count), "n"],
      [names, "long weak", names]];
  });
}

function showStores(stores) {
  $("#stores").hidden = stores.length === 0;
  table("stores", stores, (s) => `${s.node} ${s.store}`, (s) => [
    s.node, [s.role + (s.disk_full ? ", disk full" : ""), s.disk_full ? "bad" : s.role === "leader" ? "good" : ""],
    [s.leader || "none", s.leader ? "weak" : "bad"], [short(s.term), "n"], [String(s.commit_index), "n"],
    [String(s.applied_index), "n"], [short(s.lag), "n"], [short(s.keys), "n"], [bytes(s.bytes), "n"],
    [short(Math.round(s.writes_rate || 0)), "n"], [micros(s.commit_us), "n"], [micros(s.commit_p99_us), "n"],
    [short(Math.round(s.fsyncs_rate || 0)), "n"], [micros(s.fsync_us), "n"],
  ]);
}

// Of one node, the newest; who they are only for an operator.
function showClients(nodes) {
  const gateways = nodes.filter((n) => n.state === "up" && n.gateway);
  $("#clients").hidden = gateways.length === 0;
  keyed($("#clients select"), gateways, (n) => n.name, (n) => element("option", {}, n.name), () => {});
  const list = (clients && clients.clients) || [];
  const all = number(clients && clients.total);
  put($("#clients form span"), clients && clients.reason ? clients.reason
    : (list.length < all ? `the newest ${list.length} of ${all}` : "") +
      (clients && clients.loops_silent ? ", some of its loops did not answer" : ""));
  table("clients", list, (c) => c.key, (c) => [
    [c.name || "HTTP", c.name ? "" : "weak"], [operator ? c.user || "nobody" : "", c.user ? "long" : "long weak"],
    [operator ? (c.away ? "" : c.address || "") : "", ""], [c.encoding + (c.away ? ", away" : ""), c.away ? "warn" : "weak"],
    [lasting(c.age_ms), "n"], [short(c.messages_in), "n"], [short(c.messages_out), "n"], [bytes(c.queued_bytes), "n"],
  ]);
  if (!clients || clients.reason) $("#clients .none").hidden = true;
  for (const cell of document.querySelectorAll("#clients :is(th, td):is(:nth-child(2), :nth-child(3))")) cell.hidden = !operator;
}

// Asked after every picture, which does not wait for it. An HTTP client has no name: such rows are numbered.
async function askClients() {
  const node = $("#clients select").value;
  const mine = socket;
  if (!node || !mine) return;
  askingClients = true;
  const answer = await ask(operator ? "hardtack.operator" : "hardtack.dashboard", "Clients", { node });
  if (socket !== mine) return;
  askingClients = false;
  if ($("#clients select").value !== node) return; // another is asked already
  clients = answer.type === "reply" ? answer.payload : { reason: answer.reason };
  (clients.clients || []).forEach((c, i) => { c.key = c.name || `http ${i}`; });
  showClients(view.nodes || []);
}

function show() {
  const nodes = view.nodes || [];
  $("main").hidden = false;
  put($("#where"), `seen from ${view.node}` + (number(view.nodes_left_out) ? `, ${view.nodes_left_out} nodes left out` : ""));
  showNumbers(nodes);
  showPicture(nodes);
  showEvents();
  showPlots();
  showNodes(nodes);
  showLinks(nodes);
  showClients(nodes);
  showStores(view.stores || []);
  showActors("mailboxes", view.by_mailbox || [], (a) => [[short(a.mailbox_messages), "n"], [bytes(a.mailbox_bytes), "n"],
    [short(a.dropped), number(a.dropped) ? "n warn" : "n"]]);
  showActors("handled", view.by_handled || [], (a) => [[short(a.handled), "n"], [short(Math.round(a.handled_rate || 0)), "n"],
    [short(a.mailbox_messages), "n"]]);
  showGroups(view.groups || [], number(view.groups_total));
  $("#connect").hidden = !operator;
  keyed($("#connect select"), nodes.filter((n) => n.state === "up"), (n) => n.name,
    (n) => element("option", {}, n.name), () => {});
}

// ---- asking

let socket = null;
let asked = 0;
let patience = 500;
const waiting = new Map(); // msg_id -> function of the answer

function live(words, on) {
  put($("#live"), words);
  $("#live").className = on ? "" : "off";
}

function ask(to, method, payload) {
  return new Promise((resolve) => {
    const msg_id = String(++asked);
    waiting.set(msg_id, resolve);
    socket.send(JSON.stringify({ to, method, payload, msg_id, timeout_ms: 15000 }));
  });
}

// One picture after the other, each when it is there.
async function watch(mine) {
  let fresh = true;
  while (socket === mine) {
    const answer = await ask("hardtack.dashboard", "View", { after: fresh ? 0 : number(view.tick) });
    if (socket !== mine) return;
    if (answer.type !== "reply") {
      refused(answer);
      return;
    }
    remember(answer.payload, fresh);
    view = answer.payload;
    fresh = false;
    patience = 500;
    live("live", true);
    show();
    if (!askingClients) askClients();
  }
}

function refused(answer) {
  if (["HT_EAUTH", "HT_EDENIED", "HT_EEXPIRED"].includes(answer.code)) {
    live("not logged in", false);
    $("main").hidden = true;
    logIn(sessionStorage.getItem(TOKEN) ? answer.reason : "");
    return;
  }
  live(answer.reason || answer.code, false);
  socket.close();
}

async function opened(mine) {
  const token = sessionStorage.getItem(TOKEN);
  operator = false;
  clients = null;
  askingClients = false;
  if (token) {
    const msg_id = String(++asked);
    const answer = new Promise((resolve) => { waiting.set(msg_id, resolve); });
    mine.send(JSON.stringify({ type: "login", token, msg_id }));
    const got = await answer;
    if (got.type === "error") {
      sessionStorage.removeItem(TOKEN);
      say(`The token is not taken: ${got.reason}`);
    } else {
      operator = (await ask("hardtack.operator", "May", {})).type === "reply";
    }
  }
  put($("#login"), sessionStorage.getItem(TOKEN) ? "Log out" : "Log in");
  watch(mine);
}

function connect() {
  const mine = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws", "hardtack.json.v1");
  socket = mine;
  waiting.clear();
  mine.onopen = () => opened(mine);
  mine.onmessage = (event) => {
    const message = JSON.parse(event.data);
    const answered = waiting.get(message.msg_id);
    if (answered) {
      waiting.delete(message.msg_id);
      answered(message);
    } else if (message.type === "drain") {
      say(`${view ? view.node : "This node"} is about to stop.`);
    }
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    live("connection lost, trying again", false);
    setTimeout(connect, patience);
    patience = Math.min(2 * patience, 8000);
  };
}

function reconnect() {
  const old = socket;
  socket = null;
  if (old) old.close();
  connect();
}

// ---- talking to whom it looks at us

function say(words) {
  const said = $("#said");
  put(said, words);
  said.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { said.hidden = true; }, 6000);
}

function sure(question) {
  const dialog = $("#sure");
  put(dialog.querySelector("p"), question);
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok"), { once: true });
  });
}

async function deed(method, payload) {
  const answer = await ask("hardtack.operator", method, payload);
  say(answer.type === "reply" ? answer.payload.what : answer.reason);
}

function logIn(why) {
  const dialog = $("#token");
  put($("#why"), why);
  dialog.querySelector("form").reset();
  dialog.returnValue = "cancel";
  if (!dialog.open) dialog.showModal();
}

$("#token").addEventListener("close", () => {
  const token = $("#token input").value.trim();
  if ($("#token").returnValue === "ok" && token) {
    sessionStorage.setItem(TOKEN, token);
    reconnect();
  }
});

$("#login").addEventListener("click", () => {
  if (sessionStorage.getItem(TOKEN)) {
    sessionStorage.removeItem(TOKEN);
    reconnect();
  } else {
    logIn("");
  }
});

$("#clients select").addEventListener("change", () => {
  clients = null;
  showClients(view.nodes || []);
  askClients();
});

$("#connect").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const payload = { node: form.elements.node.value, address: form.elements.address.value.trim() };
  if (await sure(`Let ${payload.node} dial ${payload.address}?`)) {
    form.reset();
    deed("Connect", payload);
  }
});

connect();
