// SPDX-License-Identifier: Apache-2.0
// Run the scenarios in a browser.
//
//   node run.js BUILD [NAME...]    CHROMIUM: the browser; NODE_PATH: where playwright-core is
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");
const { Scene } = require("./scene.js");

const [build, ...wanted] = process.argv.slice(2);

function scenarios() {
  const table = fs.readdirSync(__dirname).filter((f) => f.endsWith(".scenes.js")).sort()
    .flatMap((f) => Object.entries(require(path.join(__dirname, f))));
  const unknown = wanted.filter((w) => !table.some(([name]) => name === w));
  if (unknown.length) throw new Error("no scenario named " + unknown.join(", "));
  return table.filter(([name]) => !wanted.length || wanted.includes(name));
}

async function runOne(browser, name, fn) {
  const scene = new Scene(build, browser);
  const began = Date.now();
  let failure = null;
  try {
    await fn(scene);
    scene.check();
  } catch (e) {
    failure = (e.stack || e) + "\n" + await scene.report();
  }
  await scene.close();
  const seconds = ((Date.now() - began) / 1000).toFixed(2).padStart(6);
  console.log(`${failure ? "FAIL" : "ok  "} ${name.padEnd(44)} ${seconds} s`);
  if (failure) console.log(failure);
  return !failure;
}

async function main() {
  const table = scenarios();
  // Root has no sandbox; what is loaded here comes from this tree only.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  let passed = 0;
  for (const [name, fn] of table) passed += await runOne(browser, name, fn);
  await browser.close();
  console.log(`${passed} passed, ${table.length - passed} failed`);
  return passed && passed === table.length ? 0 : 1;
}

main().then((code) => process.exit(code), (e) => { console.error(e); process.exit(1); });
