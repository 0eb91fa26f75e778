// SPDX-License-Identifier: Apache-2.0
// What one sees of the chat: chat.js has what it does.
import { Chat, login } from "./chat.js";

const $ = (id) => document.getElementById(id);
const SHOWN_MAX = 1000; // messages of a view
const TOGETHER_MS = 5 * 60000; // one author's messages in a row

const FIXED = {
  normal: { name: "Normal", about: "Everybody, everyday" },
  guild: { name: "Guild", about: "Your guild only" },
  world: { name: "World", about: "To everybody, now and then" },
};

let chat = null;
let views = new Map(); // name -> { messages, unread, gap }; "@bob" is private
let current = "normal";
let people = [];

// ---- small things

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((c) => c !== null && c !== undefined));
  return made;
}

function hue(name) {
  let hash = 0;
  for (const c of name) hash = (hash * 31 + c.codePointAt(0)) % 360;
  return hash;
}

function paint(avatar, name) {
  avatar.textContent = [...name][0]?.toUpperCase() ?? "✦";
  avatar.style.setProperty("--hue", hue(name));
  return avatar;
}

const avatarOf = (name) => paint(element("span", { class: "avatar", "aria-hidden": "true" }), name);
const clock = (ms) => new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const day = (ms) => new Date(ms).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });

let notices = 0;
function notice(text, bad = false) {
  const mine = ++notices;
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
  if (text) setTimeout(() => { if (mine === notices) $("notice").textContent = ""; }, 6000);
}

// ---- views

function view(name) {
  if (!views.has(name)) views.set(name, { messages: [], unread: 0, gap: false });
  return views.get(name);
}

const viewOf = (m) => m.channel === "private" ? "@" + (m.from === chat.user ? m.to : m.from)
  : m.channel.startsWith("guild") ? "guild" : m.channel;

const title = (name) => name[0] === "@" ? name.slice(1) : FIXED[name].name;

function viewItem(name) {
  const { unread } = view(name);
  const icon = name[0] === "@" ? avatarOf(name.slice(1))
    : element("span", { class: "sign " + name, "aria-hidden": "true" }, { normal: "#", guild: "⚑", world: "✦" }[name]);
  return element("li", {}, element("button", {
    type: "button", "aria-current": name === current ? "page" : undefined, onclick: () => show(name),
  }, icon, element("span", { class: "label" }, title(name)),
  unread ? element("span", { class: "badge" }, String(unread), element("span", { class: "hidden" }, " unread")) : null));
}

function drawViews() {
  $("channels").replaceChildren(...Object.keys(FIXED).map(viewItem));
  const privates = [...views.keys()].filter((name) => name[0] === "@");
  $("privates").replaceChildren(...privates.map(viewItem));
  $("private-title").hidden = privates.length === 0;
  const unread = [...views.values()].reduce((sum, v) => sum + v.unread, 0);
  document.title = (unread ? `(${unread}) ` : "") + "Hardtack chat";
}

function show(name) {
  current = name;
  view(name).unread = 0;
  drawViews();
  drawHeader();
  drawMessages();
  $("app").classList.remove("with-people");
  $("people-toggle").setAttribute("aria-expanded", "false");
  if (matchMedia("(hover: hover)").matches) $("text").focus();
}

function drawHeader() {
  const inGuild = chat.guild !== "";
  $("view-name").textContent = current === "guild" && inGuild ? chat.guild : title(current);
  $("view-about").textContent = current[0] === "@" ? "Only the two of you"
    : current === "guild" && !inGuild ? "Join one, or begin one" : FIXED[current].about;
  $("guild").hidden = current !== "guild" || inGuild;
  $("guild-leave").hidden = current !== "guild" || !inGuild;
  $("text").placeholder = "Message " + $("view-name").textContent;
  $("text").disabled = $("send").disabled = current === "guild" && !inGuild;
}

// ---- messages

function messageItem(m, before) {
  const together = before && before.from === m.from && m.time_ms - before.time_ms < TOGETHER_MS && !before.failed;
  const own = m.from === chat.user;
  const state = m.failed ? "failed" : m.pending ? "pending" : "";
  const item = element("li", {
    class: ["message", together ? "together" : "", own ? "own" : "", m.from === "" ? "house" : "", state].join(" ").trim(),
    "data-key": m.key, "data-id": m.id,
  });
  const who = m.from === "" ? "Announcement" : m.from;
  item.append(avatarOf(m.from), element("div", { class: "body" },
    element("p", { class: "head" }, element("b", {}, who), " ",
      element("time", { datetime: new Date(m.time_ms).toISOString() }, clock(m.time_ms))),
    element("p", { class: "text" }, m.text),
    m.failed ? element("p", { class: "why" }, m.failed + " ",
      element("button", { type: "button", class: "link", onclick: () => tryAgain(m) }, "Try again")) : null,
    m.pending && !m.failed ? element("span", { class: "hidden" }, " (being sent)") : null));
  return item;
}

const dayItem = (ms) => element("li", { class: "divider" }, element("span", {}, day(ms)));
const gapItem = () => element("li", { class: "divider gap" }, element("span", {}, "Older messages are not kept"));
const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

function atEnd() {
  const list = $("messages");
  return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
}

function toEnd() { $("messages").scrollTop = $("messages").scrollHeight; }

function drawMessages() {
  const { messages, gap } = view(current);
  const items = [];
  if (gap) items.push(gapItem());
  messages.forEach((m, i) => {
    const before = messages[i - 1];
    if (!before || !sameDay(before.time_ms, m.time_ms)) items.push(dayItem(m.time_ms));
    items.push(messageItem(m, before && sameDay(before.time_ms, m.time_ms) ? before : null));
  });
  if (!items.length) items.push(element("li", { class: "empty" }, current[0] === "@" ? "Say the first word." : "Nothing was said here lately."));
  $("messages").setAttribute("aria-busy", "true");
  $("messages").replaceChildren(...items);
  $("messages").removeAttribute("aria-busy");
  toEnd();
}

// At the end, which is where nearly all belong.
function appendMessage(m) {
  const { messages } = view(current);
  const before = messages[messages.length - 2];
  if (!before || !sameDay(before.time_ms, m.time_ms)) { drawMessages(); return; }
  const stay = !atEnd() && m.from !== chat.user;
  $("messages").append(messageItem(m, before));
  if (!stay) toEnd();
}

function redrawMessage(name, m) {
  if (name !== current) return;
  const old = $("messages").querySelector(`[data-key="${CSS.escape(m.key)}"]`);
  const { messages } = view(name);
  if (old) old.replaceWith(messageItem(m, messages[messages.indexOf(m) - 1]));
}

function add(name, m) {
  const v = view(name);
  v.messages.push(m);
  if (v.messages.length > SHOWN_MAX) v.messages.shift();
  if (name === current) appendMessage(m);
}

function onMessage(m, old) {
  const name = viewOf(m);
  const { messages } = view(name);
  const at = m.from === chat.user ? messages.findIndex((x) => x.key === m.key && x.from === m.from) : -1;
  if (at >= 0) {
    // What was being sent is said: others may have spoken meanwhile.
    Object.assign(messages[at], m, { pending: false, failed: "" });
    const [mine] = messages.splice(at, 1);
    messages.push(mine);
    if (name === current) (at === messages.length - 1 ? redrawMessage(name, mine) : drawMessages());
    return;
  }
  add(name, m);
  if (m.from !== chat.user && (name !== current || document.hidden) && !(old && name[0] !== "@")) view(name).unread++;
  drawViews();
}

function tryAgain(m) {
  m.failed = "";
  redrawMessage(viewOf(m), m);
  chat.again(m.key);
}

function onFailed(key, reason) {
  for (const [name, v] of views) {
    const m = v.messages.find((x) => x.key === key && x.pending);
    if (m) { m.failed = reason; redrawMessage(name, m); }
  }
}

function speak(text) {
  const to = current[0] === "@" ? current.slice(1) : "";
  const key = to ? chat.tell(to, text) : chat.say(current, text);
  add(current, {
    id: "", key, from: chat.user, to, text, time_ms: Date.now(), pending: true,
    channel: to ? "private" : current === "guild" ? "guild:" + chat.guild : current,
  });
}

// ---- people

function drawPeople(count) {
  $("people-count").textContent = $("people-count-2").textContent = count;
  $("people-list").replaceChildren(...people.map((p) => element("li", {}, element("button", {
    type: "button", disabled: p.user === chat.user, title: `on ${p.node}`, class: p.away ? "away" : undefined,
    onclick: () => show("@" + p.user), "aria-label": `${p.user}${p.away ? ", away" : ""}${p.guild ? ", guild " + p.guild : ""}`,
  }, avatarOf(p.user), element("span", { class: "label" }, element("b", {}, p.user + (p.user === chat.user ? " (you)" : "")),
    element("small", {}, [p.guild && "⚑ " + p.guild, p.away ? "away" : p.node.split("@")[0]].filter(Boolean).join(" · ")))))));
}

let asking = null;
function askPeople(count) {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    try {
      const crowd = await chat.call(chat.actor, "Online");
      people = crowd.people.sort((a, b) => a.away - b.away || a.user.localeCompare(b.user));
      drawPeople(crowd.count);
    } catch { /* the next change brings it */ }
  }, 50 + Math.random() * Math.min(count, 1000));
}

// ---- being there

const WORDS = { connecting: "connecting…", waiting: "reconnecting…", out: "left" };

function onState(state, words) {
  $("status").textContent = state === "online" ? "online" : WORDS[state];
  $("status").title = state === "online" ? "by way of " + words : "";
  $("app").dataset.state = state;
  if (state === "out") {
    $("kicked-why").textContent = words;
    if (!$("kicked").open) $("kicked").showModal();
  }
}

function start(token, user) {
  views = new Map();
  current = "normal";
  chat = new Chat({ places: [location.host], token, user });
  chat.on("state", onState).on("message", onMessage).on("failed", onFailed).on("count", askPeople)
    .on("attached", () => { drawHeader(); drawViews(); askPeople(1); paint($("me-avatar"), chat.user); $("me-name").textContent = chat.user; })
    .on("missed", (p) => { if (p.gap) { for (const name of Object.keys(FIXED)) view(name).gap = true; drawMessages(); } });
  $("door").hidden = true;
  $("app").hidden = false;
  paint($("me-avatar"), user);
  $("me-name").textContent = user;
  show("normal");
  chat.connect();
}

function leave() {
  sessionStorage.clear();
  location.reload();
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("login-error").textContent = "";
  $("enter").disabled = true;
  try {
    const user = $("name").value.trim();
    const token = await login(user, $("password").value);
    sessionStorage.setItem("chat", JSON.stringify({ token, user }));
    start(token, user);
  } catch (e) {
    $("login-error").textContent = e.message;
    $("password").select();
  }
  $("enter").disabled = false;
});

// ---- the composer

function grow() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = Math.min(text.scrollHeight, 160) + "px";
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  if (new TextEncoder().encode(text).length > 500) { notice("That is too long: 500 bytes at most.", true); return; }
  speak(text);
  $("text").value = "";
  grow();
});
$("text").addEventListener("input", grow);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});

// ---- guilds, people, theme, leaving

async function joinGuild(name) {
  try {
    const answer = await chat.call(chat.actor, "JoinGuild", { guild: name });
    chat.guild = answer.guild;
    if (!chat.guild) { view("guild").messages = []; }
    $("guild-name").value = "";
    show("guild");
  } catch (e) { notice(e.reason, true); }
}
$("guild").addEventListener("submit", (event) => { event.preventDefault(); if ($("guild-name").value.trim()) joinGuild($("guild-name").value.trim()); });
$("guild-leave").addEventListener("click", () => joinGuild(""));

$("people-toggle").addEventListener("click", () => {
  const open = $("app").classList.toggle("with-people");
  $("people-toggle").setAttribute("aria-expanded", String(open));
});

const THEMES = { "": ["◐", "as the system"], dark: ["☾", "dark"], light: ["☀", "light"] };
function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("theme", name);
  $("theme").textContent = THEMES[name][0];
  $("theme").setAttribute("aria-label", "Theme: " + THEMES[name][1]);
}
$("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme(names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length]);
});
theme(THEMES[localStorage.getItem("theme")] ? localStorage.getItem("theme") : "");

$("leave").addEventListener("click", leave);
$("kicked").addEventListener("close", () => {
  if ($("kicked-why").textContent.startsWith("log in")) leave();
  else chat.comeBack();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && chat) { view(current).unread = 0; drawViews(); }
});

const kept = JSON.parse(sessionStorage.getItem("chat") ?? "null");
if (kept) start(kept.token, kept.user);
else $("door").hidden = false;
