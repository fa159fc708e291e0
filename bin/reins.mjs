#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that one that is too old gets a sentence instead of a syntax error.
import { existsSync } from "node:fs";

// A checkout runs from source; the package brings the built files only.
const source = new URL("../src/main.ts", import.meta.url);
const isCheckout = existsSync(source);

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const remedy = isCheckout
    ? '"npm install" brings a newer one, which npm scripts use: run "npm install" without --ignore-scripts, then "npm start".'
    : "Install a newer one from https://nodejs.org or with your version manager.";
  console.error(`Reins needs Node.js 22.18 or newer; this is ${process.versions.node}. ${remedy}`);
  process.exit(1);
}

await import(isCheckout ? source.href : new URL("../dist/src/main.js", import.meta.url).href);
