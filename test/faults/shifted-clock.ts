/**
 * Loaded before a server and its children (`node --import`): their wall clock is wrong by as many ms as the file says that
 * FAULTS_CLOCK names, and jumps when that changes. The monotonic clock stays right, as on a machine whose time is set.
 */
import { readFileSync } from "node:fs";

const lookEveryMs = 50;
const file = process.env.FAULTS_CLOCK;
const realDate = Date;
let offsetMs = 0;
let lookedAt = Number.NEGATIVE_INFINITY;

function shifted(): number {
  if (file !== undefined && performance.now() - lookedAt > lookEveryMs) {
    lookedAt = performance.now();
    const told = Number(readFileSync(file, "utf8"));
    if (Number.isFinite(told)) offsetMs = told;
  }
  return realDate.now() + offsetMs;
}

globalThis.Date = new Proxy(realDate, {
  apply: () => new realDate(shifted()).toString(),
  construct: (target, given, made) => Reflect.construct(target, given.length > 0 ? given : [shifted()], made),
  get: (target, name) => (name === "now" ? shifted : Reflect.get(target, name)),
});
