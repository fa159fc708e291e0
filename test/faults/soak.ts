import { parseArgs } from "node:util";
import { engineNames } from "../../src/storage/embedded/engines.ts";
import { faultKinds } from "./faults.ts";
import { type Played, play, report, type Schedule } from "./play.ts";

/**
 * Plays schedules of faults for some minutes, and says in its last line what came of them:
 *
 *     npm run soak -- --minutes 30 [--seed 7] [--servers 2] [--engine secantusd-py] [--clocks 3600000]
 *
 * Each schedule has the next seed; without --servers there are 1, 2 and 3 servers by turns. It ends with 1 after a violation.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    servers: { type: "string" },
    engine: { type: "string" },
    clocks: { type: "string", default: "3600000" },
    without: { type: "string", default: "" },
  },
});

if (values.engine !== undefined && !engineNames.some((name) => name === values.engine))
  throw new Error(`--engine is ${values.engine}; known are ${engineNames.join(", ")}`);
if (values.engine !== undefined) process.env.REINS_TEST_ENGINE = values.engine;
const unwanted = values.without.split(",").filter(Boolean);
const without = faultKinds.filter((kind) => unwanted.includes(kind));
if (without.length < unwanted.length)
  throw new Error(`--without is ${values.without}; known are ${faultKinds.join(", ")}`);

const endAt = performance.now() + Number(values.minutes) * 60_000;
const firstSeed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed);
const played: Played[] = [];
for (let seed = firstSeed; performance.now() < endAt || played.length === 0; seed += 1) {
  const servers = values.servers === undefined ? 1 + (seed % 3) : Number(values.servers);
  const schedule: Schedule = {
    seed,
    servers,
    leaseMs: 2_000,
    forMs: 15_000,
    everyMs: 1_500,
    clients: 6,
    leastRuns: 40,
    clockSpreadMs: Number(values.clocks),
    without,
  };
  const began = performance.now();
  const one = await play(schedule);
  const seconds = Math.round((performance.now() - began) / 1000);
  played.push(one);
  console.log(
    `seed ${seed}, ${servers} servers, ${seconds} s: ${one.runs} runs, ${one.cancels} cancels, ${one.faults.length} faults, ${one.violations.length} violations`,
  );
  if (one.violations.length > 0) console.log(report(one));
}
console.log(summary());
process.exitCode = played.some(({ violations }) => violations.length > 0) ? 1 : 0;

function summary(): string {
  const sum = (count: (one: Played) => number) => played.reduce((all, one) => all + count(one), 0).toLocaleString("en");
  const faults = Map.groupBy(
    played.flatMap((one) => one.faults),
    ({ kind }) => kind,
  );
  const byKind = [...faults].map(([kind, all]) => `${all.length} ${kind}`).sort();
  return `${played.length} schedules (seeds ${firstSeed} to ${firstSeed + played.length - 1}), ${sum((one) => one.runs)} runs, ${sum((one) => one.cancels)} cancels, faults: ${byKind.join(", ")}; ${sum((one) => one.violations.length)} violations`;
}
