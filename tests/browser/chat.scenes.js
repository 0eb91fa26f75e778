// SPDX-License-Identifier: Apache-2.0
// The chat's page: people on several nodes, and what happens to them when connections and nodes go.
"use strict";
const assert = require("node:assert");
const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");

const EXAMPLE = path.join(__dirname, "..", "..", "examples", "chat");
const PASSWORD = "correct horse";

class Chat {
  constructor(scene) { this.scene = scene; this.nodes = {}; }

  async start(names) {
    const { scene } = this;
    this.key = scene.path("token.key");
    this.users = scene.path("users");
    scene.run("token", "key", "-o", this.key);
    const folder = path.join(scene.build, "examples", "chat");
    this.program = path.join(folder, "chat-login");
    this.config = scene.path("chat.conf");
    fs.writeFileSync(this.config, `[security]\ncookie_file = ${scene.cookie}\n[limits]\nredial_max = 1s\n` +
      `[gateway]\nport = any\ntoken_key_file = ${this.key}\npublic = send chat-login\norigins = *\n` +
      `pages = ${path.join(EXAMPLE, "page")}\n[plugin chat]\npath = ${path.join(folder, "chat_plugin.so")}\n` +
      "[allow players]\nclaim = *\ntargets = send chat, send chat-user-*\n", { mode: 0o600 });
    for (const name of names) await this.node(name);
    await scene.until("the worlds agree", () => Object.values(this.nodes).every((node) =>
      JSON.parse(node.run("call", "chat-world", "Where", "{}")).gateways.length === names.length));
  }

  async node(name) {
    const peers = Object.values(this.nodes).flatMap((node) => ["--connect", node.address()]);
    const node = await this.scene.node(name, "--config", this.config, ...peers);
    await node.sees(...Object.values(this.nodes));
    this.nodes[name] = node;
    node.run("call", "chat-world", "Gateway", JSON.stringify({ gateway: `localhost:${node.gateway}` }));
    return node;
  }

  // The program that knows the passwords.
  async login(...users) {
    for (const user of users) {
      const made = spawnSync(this.program, ["--users", this.users, "--add", user], { input: PASSWORD + "\n" });
      assert.strictEqual(made.status, 0, String(made.stderr));
    }
    const peers = Object.values(this.nodes).flatMap((node) => ["--connect", node.address()]);
    const child = spawn(this.program, ["--users", this.users, "--key", this.key, "--cookie", this.scene.cookie, ...peers],
      { stdio: ["ignore", "pipe", "ignore"] });
    this.scene.also(() => child.kill("SIGKILL"));
    await new Promise((resolve, reject) => { child.stdout.once("data", resolve); child.once("exit", () => reject(new Error("chat-login ended"))); });
  }

  // A page that is logged in with a token, as if by the form.
  async page(user, at, options, url = this.nodes[at].url("/")) {
    const token = this.scene.run("token", "issue", "--key", this.key, "--user", user).trim();
    const page = await this.scene.page(url, options);
    await page.evaluate((kept) => sessionStorage.setItem("chat", kept), JSON.stringify({ token, user }));
    await page.reload();
    await online(page);
    return page;
  }
}

const online = (page) => page.locator("#app[data-state=online]").waitFor();
const texts = (page) => page.locator("#messages .text").allInnerTexts();

async function say(page, text) {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

// Exactly those, in that order, none of them being sent.
async function hears(scene, page, wanted) {
  await scene.until("messages " + wanted.join(), async () => (await texts(page)).length >= wanted.length
    && await page.locator("#messages .pending").count() === 0);
  assert.deepStrictEqual(await texts(page), wanted);
}

async function started(scene, names = ["a", "b", "c"]) {
  const chat = new Chat(scene);
  await chat.start(names);
  return chat;
}

async function twoNodes(scene) {
  const chat = await started(scene);
  await chat.login("alice", "bob");
  const open = async (user, at) => {
    const page = await scene.page(chat.nodes[at].url("/"));
    await page.getByLabel("Name").fill(user);
    await page.getByLabel("Password").fill(user === "alice" ? "a wrong password" : PASSWORD);
    await page.getByRole("button", { name: "Log in" }).click();
    if (user === "alice") {
      await page.getByRole("alert").getByText("name or password is wrong").waitFor();
      await page.getByLabel("Password").fill(PASSWORD);
      await page.keyboard.press("Enter");
    }
    await online(page);
    return page;
  };
  const alice = await open("alice", "a");
  const bob = await open("bob", "b");
  await say(alice, "hello from a");
  await hears(scene, bob, ["hello from a"]);
  await say(bob, "hi from b <b>not bold</b>");
  for (const page of [alice, bob]) await hears(scene, page, ["hello from a", "hi from b <b>not bold</b>"]);
  // A private message, by a click on a person.
  await alice.getByRole("complementary").getByRole("button", { name: "bob" }).click();
  await say(alice, "psst");
  await bob.getByRole("button", { name: "alice 1 unread" }).click();
  await hears(scene, bob, ["psst"]);
  // A guild.
  for (const page of [alice, bob]) {
    await page.getByRole("button", { name: "Guild" }).first().click();
    await page.getByRole("textbox", { name: "Guild", exact: true }).fill("red");
    await page.getByRole("button", { name: "Join" }).click();
    await page.getByRole("heading", { name: "red" }).waitFor();
  }
  await say(bob, "for red only");
  for (const page of [alice, bob]) await hears(scene, page, ["for red only"]);
}

async function secondLogin(scene) {
  const chat = await started(scene);
  const first = await chat.page("alice", "a");
  await say(first, "one");
  await hears(scene, first, ["one"]);
  const second = await chat.page("alice", "b");
  await first.getByText("you are connected from elsewhere").waitFor();
  await hears(scene, second, ["one"]);
  // It stays where it is: the first does not come back by itself.
  await say(second, "two");
  await hears(scene, second, ["one", "two"]);
  assert.strictEqual(await first.locator("#app").getAttribute("data-state"), "out");
  await first.getByRole("button", { name: "Come back here" }).click();
  await online(first);
  await hears(scene, first, ["one", "two"]);
  await second.getByText("you are connected from elsewhere").waitFor();
}

// A cable between a page and a node that can be cut.
async function cable(scene, port) {
  const ends = new Set();
  let held = null; // what came while it is cut
  const join = (socket) => {
    const other = net.connect(port, "localhost");
    for (const [from, to] of [[socket, other], [other, socket]]) {
      ends.add(from);
      from.on("error", () => {}).on("close", () => { ends.delete(from); to.destroy(); });
      from.pipe(to);
    }
  };
  const server = net.createServer((socket) => held ? held.push(socket) : join(socket));
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  scene.also(() => { server.close(); ends.forEach((end) => end.destroy()); });
  return {
    port: server.address().port,
    cut() { held = []; ends.forEach((end) => end.destroy()); },
    mend() { const waiting = held; held = null; waiting.forEach(join); },
  };
}

const resumed = async (node) => Number(/sessions_resumed_total\{result="resumed"\} (\d+)/.exec(
  await (await fetch(node.url("/metrics"))).text())[1]);

async function cutAndResumed(scene) {
  const chat = await started(scene, ["a", "b"]);
  const wire = await cable(scene, chat.nodes.a.gateway);
  const alice = await chat.page("alice", "a", {}, `http://localhost:${wire.port}/`);
  const bob = await chat.page("bob", "b");
  await say(alice, "one");
  await hears(scene, bob, ["one"]);
  const before = await resumed(chat.nodes.a);
  wire.cut();
  await alice.locator("#app[data-state=connecting]").waitFor();
  await say(alice, "said while it was cut");
  await say(bob, "are you there?");
  await hears(scene, bob, ["one", "are you there?"]);
  wire.mend();
  await hears(scene, alice, ["one", "are you there?", "said while it was cut"]);
  assert.strictEqual(await resumed(chat.nodes.a), before + 1);
  await say(alice, "yes");
  for (const page of [alice, bob]) await hears(scene, page, ["one", "are you there?", "said while it was cut", "yes"]);
}

async function nodeDies(scene) {
  const chat = await started(scene);
  const pages = { alice: await chat.page("alice", "a"), bob: await chat.page("bob", "b"), carol: await chat.page("carol", "c") };
  const all = [];
  const talk = async (who, text) => { all.push(text); await say(pages[who], text); };
  await talk("alice", "one");
  await hears(scene, pages.bob, all);
  await talk("bob", "two");
  for (const page of Object.values(pages)) await hears(scene, page, all);
  // The oldest world, and alice's: what she says meanwhile is sent when she is back.
  await chat.nodes.a.kill();
  await talk("alice", "said to nobody");
  await say(pages.bob, "three");
  await online(pages.alice);
  await scene.until("everybody has everything", async () => {
    const each = await Promise.all(Object.values(pages).map(texts));
    return each.every((t) => t.length >= 4);
  });
  const each = await Promise.all(Object.values(pages).map(texts));
  for (const t of each) assert.deepStrictEqual([...t].sort(), ["one", "said to nobody", "three", "two"]);
  await talk("alice", "back");
  for (const page of Object.values(pages)) {
    await page.getByText("back", { exact: true }).waitFor();
    assert.strictEqual((await texts(page)).length, 5);
  }
}

const SIZES = {
  "desktop-light": { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  "desktop-dark": { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  "phone-light": { viewport: { width: 390, height: 780 }, colorScheme: "light", hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
  "phone-dark": { viewport: { width: 390, height: 780 }, colorScheme: "dark", hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
};

// Nothing is cut off, on any screen.
async function looks(scene) {
  const chat = await started(scene, ["a", "b"]);
  const carol = await chat.page("carol", "b");
  await say(carol, "Good morning! The new node is up.");
  await say(carol, "It took over without a hitch: nobody noticed, and that is how it should be, even in a message that is long enough to need a second line or a third one.");
  chat.nodes.a.run("call", "chat-world", "Broadcast", JSON.stringify({ text: "Maintenance of node c at noon." }));
  for (const [name, options] of Object.entries(SIZES)) {
    const door = await scene.page(chat.nodes.a.url("/"), options);
    await scene.shot(door, `chat-login-${name}`);
    const page = await chat.page("dave", "a", options);
    await say(page, "Looking at it from a " + name.split("-")[0] + ".");
    await page.getByText("Looking at it from a " + name.split("-")[0]).last().waitFor();
    await scene.until("no sideways scrolling", () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await scene.shot(page, `chat-${name}`);
    await page.getByRole("button", { name: "World" }).first().click();
    await page.getByText("Maintenance of node c").waitFor();
    await scene.shot(page, `chat-world-${name}`);
    if (name.startsWith("phone")) {
      await page.getByRole("button", { name: /people/ }).click();
      await page.getByRole("complementary").getByRole("button", { name: "carol" }).waitFor();
      await scene.shot(page, `chat-people-${name}`);
    }
  }
}

module.exports = {
  "chat: two users on two nodes": twoNodes,
  "chat: a second login kicks the first": secondLogin,
  "chat: a connection is cut and resumed": cutAndResumed,
  "chat: a node dies, nothing is missing or doubled": nodeDies,
  "chat: how it looks": looks,
};
