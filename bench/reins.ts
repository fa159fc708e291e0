import { cpus, loadavg, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { cancelMany, cancels, cancelsBesideLargeInputs } from "./reins/cancels.ts";
import { commands, idleCommands } from "./reins/commands.ts";
import { type Figure, tableOf } from "./reins/figure.ts";
import { floor } from "./reins/floor.ts";
import { bareStreams, idleStreams, idleWaits, rest } from "./reins/idle.ts";
import { owners } from "./reins/owners.ts";
import { alone, crowded } from "./reins/runs.ts";
import { starvation } from "./reins/starvation.ts";
import { hundredSteps, longThread, states } from "./reins/states.ts";
import { stored } from "./reins/stored.ts";
import { paced, streams } from "./reins/streams.ts";
import { startTarget, type Target } from "./reins/target.ts";

/**
 * `npm run bench`: what Reins costs, on a server as it comes with an embedded database of its own. `--only alone,streams` measures a
 * part, `--json` answers for programs. It measures; it asserts nothing. See README.md beside this file.
 */
const { values: options } = parseArgs({
  options: { only: { type: "string" }, json: { type: "boolean", default: false } },
});

interface Measurement {
  readonly env?: Readonly<Record<string, string>>;
  /** With a server of its own, so that none has what another has left; `counted` starts it itself. */
  readonly measure?: (target: Target) => Promise<Figure[]>;
  readonly counted?: () => Promise<Figure[]>;
}

/** A hundred runs execute at a time. */
const many = { REINS_SLOTS: "128" };
const measurements: Readonly<Record<string, Measurement>> = {
  rest: { measure: rest },
  floor: { measure: floor },
  alone: { measure: alone },
  crowded: { measure: crowded },
  commands: { counted: commands },
  "idle-commands": { counted: idleCommands },
  stored: { counted: stored },
  streams: { measure: streams },
  paced: { env: many, measure: paced },
  cancels: { measure: cancels },
  "cancels-large": { measure: cancelsBesideLargeInputs },
  "cancel-many": { measure: cancelMany },
  "idle-800": { env: many, measure: (target) => idleStreams(target, 800) },
  "idle-5000": { env: many, measure: (target) => idleStreams(target, 5_000) },
  "idle-waits": { env: many, measure: (target) => idleWaits(target, 5_000) },
  "idle-floor": { counted: () => bareStreams(5_000) },
  starvation: { measure: starvation },
  owners: { env: { REINS_API_KEYS: "true" }, measure: owners },
  states: { measure: states },
  "hundred-steps": { measure: hundredSteps },
  "long-thread": { measure: longThread },
};

const wanted = options.only?.split(",") ?? Object.keys(measurements);
const unknown = wanted.filter((name) => !Object.hasOwn(measurements, name));
if (unknown.length > 0) throw new Error(`no measurement ${unknown}; known are ${Object.keys(measurements).join(", ")}`);

const load = loadavg()[0]!.toFixed(1);
const figures: Figure[] = [];
for (const name of wanted) {
  const { env, measure, counted } = measurements[name]!;
  console.error(`${new Date().toISOString().slice(11, 19)} ${name}`);
  figures.push(...((await counted?.()) ?? []));
  if (!measure) continue;
  const target = await startTarget(env);
  try {
    figures.push(...(await measure(target)));
    const peak = target.memory("Pss");
    console.error(`  memory afterwards, PSS: ${JSON.stringify(peak)}`);
  } finally {
    await target.stop();
  }
}

const [cpu] = cpus();
const machine = `${cpus().length} × ${cpu?.model}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, Node ${process.version}; load before: ${load}`;
console.log(options.json ? JSON.stringify({ machine, figures }) : `${machine}\n\n${tableOf(figures)}`);
