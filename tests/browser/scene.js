// SPDX-License-Identifier: Apache-2.0
// What a scenario is given: nodes, pages, and waiting for something.
"use strict";
const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const LIMIT_MS = 20000;
const ROOT = path.join(__dirname, "..", "..");
const SHOTS = path.join(ROOT, "build", "browser", "shots");

// The first true value of fn().
async function until(what, fn, limit = LIMIT_MS) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await fn();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// The program itself comes and goes at every look.
function withoutClients(log) {
  return log.split("\n").filter((line) => !line.includes("hardtack-cli-")).join("\n");
}

class Node {
  constructor(scene, name) {
    this.scene = scene;
    this.name = name;
    this.full = name + "@test";
    this.socket = scene.path(name + ".sock");
    this.logPath = scene.path(name + ".log");
  }

  // Until it is ready, which it says on descriptor 3.
  async start(args) {
    const log = fs.openSync(this.logPath, "a");
    const config = args.includes("--config") ? [] : ["--no-config", "--cookie-file", this.scene.cookie];
    this.process = spawn(this.scene.program, ["start", ...config, "--name", this.name, "--hostname", "test",
      "--socket", this.socket, "--port", "any", "--ready-fd", "3", ...args.map(String)], { stdio: ["ignore", log, log, "pipe"], cwd: this.scene.dir, env: this.scene.env });
    fs.closeSync(log);
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    const line = await this.readyLine();
    const match = /^ready name=(\S+) port=(\d+)(?: gateway=(\d+))?\n/.exec(line);
    if (!match) throw new Error(`${this.name} did not become ready: ${line}`);
    this.port = Number(match[2]);
    this.gateway = Number(match[3] || 0);
  }

  readyLine() {
    return new Promise((resolve) => {
      let text = "";
      const timer = setTimeout(() => resolve("too late"), LIMIT_MS);
      const done = () => { clearTimeout(timer); resolve(text); };
      this.process.stdio[3].on("data", (data) => { text += data; if (text.endsWith("\n")) done(); });
      this.process.stdio[3].on("end", done);
    });
  }

  address() { return "127.0.0.1:" + this.port; }
  url(rest = "/") { return `http://localhost:${this.gateway}${rest}`; }
  log() { return fs.existsSync(this.logPath) ? fs.readFileSync(this.logPath, "utf8") : ""; }

  // A command of the program against this node.
  run(command, ...args) { return this.scene.run(command, "--node", "unix:" + this.socket, ...args); }

  sees(...others) {
    const wanted = others.map((o) => o.full).sort().join();
    return until(`${this.name} sees ${wanted}`, () => JSON.parse(this.run("nodes", "--json"))
      .filter((row) => row.state === "ready" && !row.hidden).map((row) => row.name).sort().join() === wanted);
  }

  async stop() {
    this.process.kill("SIGTERM");
    const code = await this.ended;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}`);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

class Scene {
  constructor(build, browser) {
    this.build = build;
    this.browser = browser;
    this.program = path.join(build, "bin", "hardtack");
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), "htb-"));
    this.cookie = this.path("cookie");
    this.env = { ...process.env, HOME: this.dir, XDG_RUNTIME_DIR: this.dir };
    this.nodes = [];
    this.contexts = [];
    this.pages = [];
    this.complaints = [];
    this.cleanups = [];
    this.until = until;
    this.run("cookie", "-o", this.cookie);
  }

  path(name) { return path.join(this.dir, name); }

  // Of examples/FOLDER or tests/system.
  plugin(name) {
    const folder = fs.existsSync(path.join(ROOT, "examples", name)) ? "examples/" + name : "tests/system";
    return path.join(this.build, folder, name + "_plugin.so");
  }

  run(...args) {
    const result = spawnSync(this.program, args.map(String), { encoding: "utf8", env: this.env, timeout: LIMIT_MS });
    if (result.status !== 0) {
      throw new Error(`hardtack ${args.join(" ")}: status ${result.status}\n${result.stdout}${result.stderr}`);
    }
    return result.stdout;
  }

  // To be done at the end.
  also(cleanup) { this.cleanups.push(cleanup); }

  async node(name, ...args) {
    const node = new Node(this, name);
    this.nodes.push(node);
    await node.start(args);
    return node;
  }

  // A page in a context of its own: another visitor.  options are playwright's
  // of a context (viewport, colorScheme, ...).
  async page(url, options = {}) {
    const context = await this.browser.newContext(options);
    this.contexts.push(context);
    context.setDefaultTimeout(LIMIT_MS);
    const page = await context.newPage();
    this.pages.push(page);
    page.on("pageerror", (e) => this.complaints.push(`page: ${e.stack || e}`));
    page.on("console", (m) => { if (m.type() === "error" && !this.expected(m)) this.complaints.push(`console: ${m.text()}`); });
    page.on("request", (r) => { if (!/^(data|blob|about):|^\w+:\/\/localhost[:/]/.test(r.url())) this.complaints.push(`loads ${r.url()}`); });
    await page.goto(url);
    return page;
  }

  // A browser complains itself of a connection that does not come about.
  expected(message) { return /WebSocket connection to|Failed to load resource|ERR_CONNECTION_REFUSED/.test(message.text()); }

  async shot(page, name) {
    fs.mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: path.join(SHOTS, name + ".png"), fullPage: true });
  }

  check() {
    if (this.complaints.length) throw new Error(this.complaints.join("\n"));
    for (const node of this.nodes) {
      if (/Sanitizer:|runtime error:|Assertion/.test(node.log())) throw new Error(`${node.name} says so in its log`);
    }
  }

  async report() {
    const texts = await Promise.all(this.pages.map((page) => page.innerText("body", { timeout: 1000 }).catch(() => "?")));
    return [...this.complaints, ...texts.map((t) => "---- a page\n" + t.slice(0, 4000)),
      ...this.nodes.map((n) => `---- log of ${n.name}\n${withoutClients(n.log())}`)].join("\n");
  }

  async close() {
    await Promise.all(this.contexts.map((context) => context.close().catch(() => {})));
    this.cleanups.forEach((cleanup) => cleanup());
    await Promise.all(this.nodes.map((node) => node.process && node.kill()));
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

module.exports = { Scene, until };
