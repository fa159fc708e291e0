import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../support/gates.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { startClients } from "./clients.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import type { Evidence, Violation } from "./evidence.ts";
import { drawFaults, type Fault, type FaultKind, sayFault, strikeFaults } from "./faults.ts";
import { readFinals, untilNothingIsLive } from "./finals.ts";
import { violationsOf } from "./laws/violations.ts";
import { readLedger } from "./ledger.ts";
import { createWitness, type Witness } from "./witness.ts";

export interface Schedule {
  readonly seed: number;
  readonly servers: number;
  readonly leaseMs: number;
  readonly forMs: number;
  readonly everyMs: number;
  readonly clients: number;
  readonly clockSpreadMs: number;
  readonly without?: readonly FaultKind[];
  /** Clients go on until they have wanted so many, also when the faults are over: a busy machine does less in the same time. */
  readonly leastRuns: number;
}

export interface Played {
  readonly schedule: Schedule;
  readonly faults: readonly Fault[];
  readonly runs: number;
  readonly cancels: number;
  readonly violations: readonly Violation[];
  /** Where the evidence lies; absent where there is nothing to see. */
  readonly kept?: string;
}

const graceMs = 500;
/** What only a hang needs. */
const endLimitMs = 120_000;
const settleLimitMs = 45_000;

/** Lets clients work while servers, children, lines, clocks and the database fail as the seed says; then looks at what came of it. */
export async function play(schedule: Schedule): Promise<Played> {
  const { seed, servers, leaseMs, clockSpreadMs, clients } = schedule;
  const faults = drawFaults(seededRandom(seed), schedule);
  const witness = createWitness();
  const cluster = await startCluster({ servers, leaseMs, graceMs, clockSpreadMs, random: seededRandom(seed + 1) });
  let threads: Evidence["threads"] = [];
  try {
    const working = startClients({ members: cluster.members, witness, seed, clients, paceMs: 120 });
    await strikeFaults(cluster, faults, clockSpreadMs);
    await until(() => witness.works.length >= schedule.leastRuns, endLimitMs);
    await Promise.race([working.idle(), sleep(endLimitMs)]);
    await untilNothingIsLive(cluster.members, witness, endLimitMs);
    for (const name of await working.settle(settleLimitMs))
      witness.complaints.push(`${name} does not end, and nothing is live`);
    threads = await readFinals(cluster.members, witness);
  } finally {
    await cluster.stop();
  }
  const evidence = gather(schedule, cluster, witness, threads);
  const violations = violationsOf(evidence);
  const kept = violations.length > 0 ? keep(cluster, evidence, violations) : undefined;
  if (!kept) await cluster.remove();
  const cancels = witness.asked.filter(({ by, isKept }) => by === "cancel" && isKept).length;
  return { schedule, faults, runs: witness.works.length, cancels, violations, kept };
}

function gather({ leaseMs }: Schedule, cluster: Cluster, witness: Witness, threads: Evidence["threads"]): Evidence {
  const { works, told, asked, edits, readers } = witness;
  const complaints = [...witness.complaints, ...cluster.complaints];
  const { freezes } = cluster;
  return {
    leaseMs,
    ledger: readLedger(cluster.ledger),
    works,
    told,
    asked,
    edits,
    readers,
    freezes,
    threads,
    complaints,
  };
}

/** Beside the data that the engine has left. */
function keep(cluster: Cluster, evidence: Evidence, violations: readonly Violation[]): string {
  const dir = join(cluster.dir, "evidence");
  mkdirSync(dir);
  writeFileSync(join(dir, "evidence.json"), JSON.stringify(evidence, undefined, 1));
  writeFileSync(join(dir, "violations.json"), JSON.stringify(violations, undefined, 1));
  for (const { index, log } of cluster.members) writeFileSync(join(dir, `server-${index}.log`), log());
  return dir;
}

/** Violations with what it takes to understand them, and to play them again. */
export function report({ schedule, faults, violations, kept }: Played): string {
  return [
    `${violations.length} violations with ${JSON.stringify(schedule)}; the evidence is in ${kept}`,
    ...faults.map((fault) => `  ${sayFault(fault)}`),
    ...violations.flatMap(({ law, says, lines }) => [
      `law: ${law}: ${says}`,
      ...lines.slice(0, 40).map((line) => `    ${line}`),
    ]),
  ].join("\n");
}
