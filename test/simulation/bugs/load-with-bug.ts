import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { broken } from "../../../scripts/break-laws/copy.ts";
import type { Bug } from "./bugs.ts";

/** Whatever imports the bug's file from now on gets it with the bug. Throws when the place of a bug is not found exactly once. */
export function loadWithBug(bug: Bug): void {
  const url = new URL(`../../../src/${bug.file}`, import.meta.url);
  const source = broken(bug, readFileSync(url, "utf8"));
  registerHooks({
    load: (wanted, context, next) =>
      wanted === url.href ? { ...next(wanted, context), source, shortCircuit: true } : next(wanted, context),
  });
}
