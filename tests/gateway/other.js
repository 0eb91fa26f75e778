// SPDX-License-Identifier: Apache-2.0
// The gateway and a WebSocket client that is not ours: `ws`, from npm.
//
//   node other.js PORT     with `ws` where NODE_PATH says
//
// Ends with `ok`, or says what was otherwise.
"use strict";
const assert = require("node:assert");
const WebSocket = require("ws");

const url = "ws://localhost:" + process.argv[2] + "/";
const CALL = JSON.stringify({ to: "calculator", payload: "10 + 5", msg_id: "1" });

function open(protocol, options) {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(url, protocol, options);
    ws.queue = [];
    ws.waiting = null;
    ws.on("message", (data, binary) => {
      const got = { data, binary };
      if (ws.waiting) ws.waiting(got);
      else ws.queue.push(got);
      ws.waiting = null;
    });
    ws.once("open", () => resolve(ws));
    ws.once("error", reject);
    ws.once("unexpected-response", (_, res) => reject(new Error("status " + res.statusCode)));
  });
}

function next(ws) {
  if (ws.queue.length) return Promise.resolve(ws.queue.shift());
  return new Promise((resolve) => { ws.waiting = resolve; });
}

function closed(ws) {
  return new Promise((resolve) => ws.once("close", (code, reason) => resolve({ code, reason: String(reason) })));
}

async function reply(ws) {
  const got = await next(ws);
  assert.strictEqual(got.binary, false);
  const message = JSON.parse(got.data);
  assert.strictEqual(message.type, "reply");
  assert.strictEqual(message.payload, "15");
}

async function asksAndIsAnswered(options, extension) {
  const ws = await open("hardtack.json.v1", options);
  assert.strictEqual(ws.protocol, "hardtack.json.v1");
  assert.strictEqual(ws.extensions, extension);
  for (let i = 0; i < 3; i++) {
    ws.send(CALL);
    await reply(ws);
  }
  // In fragments, with a ping between.
  ws.send(CALL.slice(0, 9), { fin: false });
  const pong = new Promise((resolve) => ws.once("pong", resolve));
  ws.ping("there?");
  ws.send(CALL.slice(9), { fin: true });
  assert.strictEqual(String(await pong), "there?");
  await reply(ws);
  const end = closed(ws);
  ws.close(1000, "done");
  assert.strictEqual((await end).code, 1000);
}

async function closesWith(code, send) {
  const ws = await open("hardtack.json.v1", { perMessageDeflate: false });
  const end = closed(ws);
  send(ws);
  assert.strictEqual((await end).code, code);
}

async function main() {
  await asksAndIsAnswered({ perMessageDeflate: false }, "");
  await asksAndIsAnswered({ perMessageDeflate: { threshold: 0 } }, "permessage-deflate");
  const pb = await open(["chat", "hardtack.pb.v1"]);
  assert.strictEqual(pb.protocol, "hardtack.pb.v1");
  pb.send(Buffer.from("\x12\x0acalculator\x32\x0610 + 5", "latin1"));
  const got = await next(pb);
  assert.strictEqual(got.binary, true);
  assert.ok(got.data.includes("15"));
  const gone = closed(pb);
  pb.close(3001);
  assert.strictEqual((await gone).code, 3001);
  await closesWith(1009, (ws) => ws.send("x".repeat(100000)));
  await closesWith(1003, (ws) => ws.send(Buffer.from("x")));
  await closesWith(1007, (ws) => ws.send(Buffer.from([0xc3, 0x28]), { binary: false }));
  await closesWith(1002, (ws) => ws.send(CALL, { mask: false }));
  await assert.rejects(open("chat"), /status 400/);
  await assert.rejects(open("hardtack.json.v1", { origin: "http://elsewhere.org" }), /status 403/);
  console.log("ok");
}

main().then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
