// SPDX-License-Identifier: Apache-2.0
// The dashboard: what an operator sees, and may do.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");

const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

async function cluster(scene, who, ...more) {
  const a = await scene.node("a", "--load", scene.plugin("calculator"));
  const b = await scene.node("b", "--connect", a.address(), "--gateway-port", "any", "--gateway-public", "calculator",
    "--dashboard", who, ...more);
  await b.sees(a);
  return { a, b };
}

// The text of a section's table, row by row.
const rows = (page, id) => page.$$eval(`#${id} tbody tr`, (list) => list.map((row) => row.innerText.replace(/\s+/g, " ")));
const has = (scene, page, id, what) => scene.until(`${what} in ${id}`, async () =>
  (await rows(page, id)).some((row) => what.test(row)));
const state = (page, name) => page.$eval("#picture svg", (svg, node) => {
  const group = svg.querySelector(`[data-node="${node}"]`);
  return group ? group.getAttribute("class").split(" ")[0] : "";
}, name);
const shows = (scene, page, name, wanted) => scene.until(`${name} is ${wanted}`, async () => (await state(page, name)) === wanted);
const live = (page) => page.waitForSelector("#live:not(.off)");

async function appearsAndDies(scene) {
  const { b } = await cluster(scene, "local");
  const page = await scene.page(b.url("/dashboard"), { viewport: DESKTOP });
  await live(page);
  await shows(scene, page, "a@test", "up");
  await shows(scene, page, "b@test", "up");
  await has(scene, page, "links", /^b@test a@test ready .* cookie/);
  await has(scene, page, "groups", /^calculators 1 <a@test/);

  const c = await scene.node("c", "--connect", b.address());
  await shows(scene, page, "c@test", "up");
  await has(scene, page, "links", /^c@test b@test ready/);
  await scene.until("its event", async () => /c@test is up/.test(await page.innerText("#happened")));
  await scene.shot(page, "dashboard-up");

  await c.kill();
  await shows(scene, page, "c@test", "down");
  await scene.until("why it is down", async () => /c@test is down \S+/.test((await page.innerText("#happened")).replace(/\s+/g, " ")));
  await has(scene, page, "nodes", /^c@test down: \S+/);
  assert.match(await page.innerText("#numbers"), /2 of 3/);
  await scene.shot(page, "dashboard-down");

  await scene.node("c", "--connect", b.address());
  await shows(scene, page, "c@test", "up");
}

async function beyond(scene) {
  const { a, b } = await cluster(scene, "local");
  await scene.node("d", "--connect", a.address(), "--gateway-port", "any");
  const page = await scene.page(b.url("/dashboard"));
  await has(scene, page, "nodes", /^d@test \(through a@test\) up .* 0 0 B/);
}

async function flows(scene) {
  const { b } = await cluster(scene, "local");
  const page = await scene.page(b.url("/dashboard"), { viewport: DESKTOP });
  await live(page);
  const other = await scene.page(b.url("/healthz"));
  await other.evaluate(() => {
    const ws = new WebSocket(location.origin.replace("http", "ws"), "hardtack.json.v1");
    ws.onopen = () => setInterval(() => ws.send('{"to":"calculator","payload":"1 + 1"}'), 20);
  });
  await has(scene, page, "handled", /^calculator a@test \d+ [1-9]\d* /);
  await scene.until("clients counted", async () => /\b2\s+clients/.test(await page.innerText("#numbers")));
  await scene.until("a plot that rises", () => page.$eval('#plots figure[data-key="handled_rate"]',
    (figure) => /at most [1-9]/.test(figure.innerText) && figure.querySelectorAll("polyline").length === 2));
  await has(scene, page, "links", /^b@test a@test ready \d+ s cookie [\d.]+ (µs|ms) /);
  await scene.shot(page, "dashboard-busy");
}

async function readable(scene) {
  const { b } = await cluster(scene, "local");
  for (const [name, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await scene.page(b.url("/dashboard"), { viewport, colorScheme });
      await shows(scene, page, "a@test", "up");
      await has(scene, page, "clients", /^client-[0-9a-f]+ json \d+ s /);
      const [wide, dark] = await page.evaluate(() => [document.documentElement.scrollWidth > innerWidth,
        getComputedStyle(document.body).backgroundColor]);
      assert.strictEqual(wide, false, `${name}: it is wider than the screen`);
      assert.strictEqual(/rgb\((\d+)/.exec(dark)[1] < 100, colorScheme === "dark");
      await scene.shot(page, `dashboard-${name}-${colorScheme}`);
    }
  }
}

// A configuration in which some claims may look, and others act.
function guarded(scene) {
  scene.run("token", "key", "-o", scene.path("key"));
  fs.writeFileSync(scene.path("b.conf"), `[security]
cookie_file = ${scene.cookie}
[gateway]
token_key_file = ${scene.path("key")}
dashboard = token
[allow viewers]
claim = role=viewer
targets = hardtack.dashboard
[allow operators]
claim = role=operator
targets = hardtack.dashboard, hardtack.operator
`);
  return (role) => scene.run("token", "issue", "--key", scene.path("key"), "--user", role, "--claim", `role=${role}`).trim();
}

async function logIn(page, token) {
  await page.fill("#token input", token);
  await page.click("#token button[value=ok]");
}

async function press(page, selector, answer) {
  await page.click(selector);
  await page.click(`#sure button[value=${answer}]`);
}

async function operates(scene) {
  const token = guarded(scene);
  const a = await scene.node("a", "--load", scene.plugin("calculator"));
  const b = await scene.node("b", "--config", scene.path("b.conf"), "--connect", a.address(), "--gateway-port", "any");
  await b.sees(a);
  const page = await scene.page(b.url("/dashboard"), { viewport: DESKTOP });
  await page.waitForSelector("#token[open]");
  assert.strictEqual(await page.isVisible("main"), false);
  await logIn(page, "AAAA");
  await scene.until("it is told", async () => /not taken/.test(await page.innerText("#said")));
  await page.waitForSelector("#token[open]");
  await logIn(page, token("somebody"));
  await scene.until("it is told why", async () => /not allowed/.test(await page.innerText("#why")));
  assert.strictEqual(await page.isVisible("main"), false);
  await logIn(page, token("viewer"));
  await shows(scene, page, "a@test", "up");
  assert.strictEqual(await page.isVisible("#connect"), false);
  assert.strictEqual(await page.isVisible("#links td button"), false);
  await has(scene, page, "clients", /^client-[0-9a-f]+ json /);
  const refused = await page.evaluate(() => ask("hardtack.operator", "Disconnect", { node: "b@test", peer: "a@test" }));
  assert.strictEqual(refused.code, "HT_EDENIED");

  await page.click("#login"); // out
  await page.waitForSelector("#token[open]");
  await logIn(page, token("operator"));
  await page.waitForSelector("#connect");
  await has(scene, page, "clients", /^client-[0-9a-f]+ operator \S+:\d+ json /);
  await scene.shot(page, "dashboard-operator");
  const link = '#links tr[data-key^="b@test a@test"] button';
  await press(page, link, "cancel");
  await press(page, link, "ok");
  await shows(scene, page, "a@test", "down");
  await page.selectOption("#connect select", "b@test");
  await page.fill("#connect input", a.address());
  await press(page, "#connect button", "ok");
  await shows(scene, page, "a@test", "up");
  await page.fill("#connect input", "127.0.0.1:1");
  await press(page, "#connect button", "ok");
  await scene.until("why it failed", async () => /refused/i.test(await page.innerText("#said")));

  assert.match(a.run("groups"), /calculators/);
  const stopped = await page.evaluate(async (ref) => ask("hardtack.operator", "Stop", { node: "a@test", ref }),
    JSON.parse(a.run("actors", "--json")).find((row) => row.name === "calculator").ref);
  assert.match(stopped.payload.what, /a@test stops </);
  const own = await page.evaluate(async (ref) => ask("hardtack.operator", "Stop", { node: "a@test", ref }),
    JSON.parse(a.run("actors", "--json")).find((row) => row.name === "hardtack.admin").ref);
  assert.match(own.reason, /Hardtack's own/);
  await scene.until("it is in the log", () => /HT-GATEWAY-OPERATOR .*disconnects from a@test/.test(b.log()));
}

async function store(scene) {
  fs.writeFileSync(scene.path("s.conf"), `[security]
cookie_file = ${scene.cookie}
[kv]
directory = ${scene.path("kv")}
bootstrap = yes
[gateway]
dashboard = local
`);
  const s = await scene.node("s", "--config", scene.path("s.conf"), "--gateway-port", "any");
  const page = await scene.page(s.url("/dashboard"), { viewport: DESKTOP });
  await has(scene, page, "stores", /^s@test leader s@test \d+ \d+ \d+ 0 0 /);
  scene.run("kv", "put", "--node", "unix:" + s.socket, "motd", "Ahoy");
  await has(scene, page, "stores", /^s@test leader s@test \d+ \d+ \d+ 0 1 /);
  await scene.shot(page, "dashboard-store");
}

async function closed(scene) {
  const { b } = await cluster(scene, "off");
  const page = await scene.page(b.url("/healthz"));
  assert.strictEqual(await page.evaluate(() => fetch("/dashboard").then((r) => r.status)), 404);
  const c = await scene.node("c", "--gateway-port", "any", "--dashboard", "token");
  const other = await scene.page(c.url("/dashboard"));
  await other.waitForSelector("#token[open]");
  assert.strictEqual(await other.isVisible("main"), false);
}

module.exports = {
  "dashboard: a node appears and dies": appearsAndDies,
  "dashboard: a node beyond a node": beyond,
  "dashboard: what flows": flows,
  "dashboard: readable on a phone, dark and light": readable,
  "dashboard: an operator acts, a viewer looks": operates,
  "dashboard: the replicated store": store,
  "dashboard: closed unless it is opened": closed,
};
