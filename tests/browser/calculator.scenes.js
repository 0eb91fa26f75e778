// SPDX-License-Identifier: Apache-2.0
// A page asks a calculator that lives on another node.
"use strict";
const assert = require("node:assert");

async function pair(scene) {
  const a = await scene.node("a", "--load", scene.plugin("calculator"));
  const b = await scene.node("b", "--connect", a.address(), "--gateway-port", "any",
    "--gateway-public", "calculator,nobody");
  await b.sees(a);
  return { a, b };
}

// In the page: send each message, wait for its answer.
function ask(messages) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(location.origin.replace(/^http/, "ws") + "/", "hardtack.json.v1");
    const answers = [];
    ws.onerror = () => reject(new Error("no WebSocket"));
    ws.onopen = () => ws.send(JSON.stringify(messages[0]));
    ws.onmessage = (event) => {
      answers.push(JSON.parse(event.data));
      if (answers.length === messages.length) { ws.close(); resolve(answers); }
      else ws.send(JSON.stringify(messages[answers.length]));
    };
  });
}

async function calculator(scene) {
  const { b } = await pair(scene);
  const page = await scene.page(b.url("/healthz"));
  const answers = await page.evaluate(ask, [
    { to: "calculator", from: "client-1", payload: "10 + 5", msg_id: "1" },
    { to: "calculator", method: "Div", payload: { a: 10, b: 4 } },
    { to: "calculator", payload: "10 / 0" },
    { to: "nobody", payload: "10 + 5" },
  ]);
  assert.deepStrictEqual(answers[0], { type: "reply", to: "client-1", from: "calculator", msg_id: "1", payload: "15" });
  assert.deepStrictEqual(answers[1].payload, { value: 2.5 });
  assert.strictEqual(answers[2].reason, "division by zero");
  assert.strictEqual(answers[3].code, "HT_ENOPROC");
  const answer = await page.evaluate(() => fetch("/call/calculator/Add", {
    method: "POST", body: JSON.stringify({ a: 10, b: 5 }),
  }).then((r) => r.json()));
  assert.deepStrictEqual(answer, { value: 15 });
}

async function otherOrigin(scene) {
  const { a, b } = await pair(scene);
  const c = await scene.node("c", "--connect", a.address(), "--gateway-port", "any", "--gateway-public", "calculator");
  await c.sees(a);
  const page = await scene.page(b.url("/healthz"));
  const opened = await page.evaluate((url) => new Promise((resolve) => {
    const ws = new WebSocket(url, "hardtack.json.v1");
    ws.onopen = () => resolve(true);
    ws.onerror = () => resolve(false);
  }), `ws://localhost:${c.gateway}/`);
  assert.strictEqual(opened, false);
}

module.exports = {
  "calculator: asked from a page": calculator,
  "calculator: a page of another origin is refused": otherOrigin,
};
