#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that one that is too old gets a sentence instead of a syntax error.
import { existsSync } from "node:fs";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(
    `Reins needs Node.js 22.18 or newer; this is ${process.versions.node}. "npm install" brings a newer one, ` +
      'which npm scripts use: run "npm install" without --ignore-scripts, then "npm start".',
  );
  process.exit(1);
}

// A checkout runs from source; the package brings the built files only.
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : new URL("../dist/src/main.js", import.meta.url).href);
