import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import { freeze, signal } from "./freezing.ts";
import { type LineFaults, soundLine } from "./proxy.ts";

/** What goes wrong, when, and with which server, by its place (of the database's own faults it does not matter). */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly server: number;
  /** How long it lasts; 0 for what happens at once. */
  readonly forMs: number;
  /** A number from 0 to 1 that says which child it is, or how wrong the clock. */
  readonly share: number;
}

interface Kind {
  /** How often it comes, beside the others. */
  readonly weight: number;
  readonly lasts: "at once" | "part of a lease" | "more than a lease";
  readonly strike: (cluster: Cluster, fault: Fault, clockSpreadMs: number) => Promise<void> | void;
}

const stopServer: Kind["strike"] = async (cluster, { server, forMs }) => {
  const [pid] = cluster.members[server]!.pids();
  if (pid !== undefined) cluster.freezes.push(...(await freeze([pid], forMs)));
};

const sleepWhole: Kind["strike"] = async (cluster, { server, forMs }) => {
  cluster.freezes.push(...(await freeze(cluster.members[server]!.pids(), forMs)));
};

const childOf = ({ members }: Cluster, { server, share }: Fault): number[] => {
  const [, ...children] = members[server]!.pids();
  return children.slice(Math.floor(share * children.length)).slice(0, 1);
};

const stopChild: Kind["strike"] = async (cluster, fault) => {
  cluster.freezes.push(...(await freeze(childOf(cluster, fault), fault.forMs)));
};

const badLine =
  (faults: Partial<LineFaults>): Kind["strike"] =>
  async ({ members }, { server, forMs }) => {
    const { line } = members[server]!;
    line.set(faults);
    await sleep(forMs);
    line.set(soundLine);
  };

const kinds = {
  "kill server": {
    weight: 3,
    lasts: "part of a lease",
    strike: ({ members }, { server, forMs }) => members[server]!.end("SIGKILL", forMs),
  },
  "drain server": {
    weight: 1,
    lasts: "part of a lease",
    strike: ({ members }, { server, forMs }) => members[server]!.end("SIGTERM", forMs),
  },
  "stop server for a moment": { weight: 2, lasts: "part of a lease", strike: stopServer },
  "stop server": { weight: 2, lasts: "more than a lease", strike: stopServer },
  "stop server and children": { weight: 2, lasts: "more than a lease", strike: sleepWhole },
  "kill child": {
    weight: 3,
    lasts: "at once",
    strike: (cluster, fault) => {
      for (const pid of childOf(cluster, fault)) signal(pid, "SIGKILL");
    },
  },
  "stop child": { weight: 2, lasts: "more than a lease", strike: stopChild },
  "kill database": { weight: 1, lasts: "at once", strike: ({ database }) => database.kill() },
  "stop database": {
    weight: 1,
    lasts: "part of a lease",
    strike: ({ database }, { forMs }) => database.stopFor(forMs),
  },
  "slow answers": { weight: 2, lasts: "more than a lease", strike: badLine({ delayMs: 60 }) },
  "lost answers": { weight: 3, lasts: "part of a lease", strike: badLine({ lost: 0.08 }) },
  "late requests": { weight: 3, lasts: "part of a lease", strike: badLine({ late: 0.08, lateMs: 1_500 }) },
  "line held": { weight: 2, lasts: "part of a lease", strike: badLine({ held: true }) },
  "line away": { weight: 1, lasts: "part of a lease", strike: badLine({ away: true }) },
  "line away for long": { weight: 1, lasts: "more than a lease", strike: badLine({ away: true }) },
  "clock jumps": {
    weight: 3,
    lasts: "at once",
    strike: ({ members }, { server, share }, spreadMs) =>
      members[server]!.setClock(Math.round((2 * share - 1) * spreadMs)),
  },
} as const satisfies Record<string, Kind>;

export type FaultKind = keyof typeof kinds;
export const faultKinds = Object.keys(kinds) as FaultKind[];

export interface ScheduleOptions {
  readonly servers: number;
  readonly leaseMs: number;
  /** How long faults begin. */
  readonly forMs: number;
  /** How long it is until the next fault, on average. */
  readonly everyMs: number;
  readonly without?: readonly FaultKind[];
}

/** The faults of a schedule, in order. */
export function drawFaults(random: () => number, options: ScheduleOptions): Fault[] {
  const { servers, leaseMs, forMs, everyMs, without = [] } = options;
  const allowed = faultKinds.filter((kind) => !without.includes(kind));
  const faults: Fault[] = [];
  // An engine that is killed again and again is given up by whoever starts it.
  let killedAtMs = Number.NEGATIVE_INFINITY;
  for (let atMs = random() * everyMs; atMs < forMs; atMs += 2 * random() * everyMs) {
    const kind = drawKind(allowed, random());
    const lasts = {
      "at once": 0,
      "part of a lease": (0.1 + 0.4 * random()) * leaseMs,
      "more than a lease": (1.1 + random()) * leaseMs,
    };
    const fault = { atMs: Math.round(atMs), kind, server: Math.floor(random() * servers) };
    const rest = { forMs: Math.round(lasts[kinds[kind].lasts]), share: random() };
    if (kind === "kill database" && atMs - killedAtMs < 8_000) continue;
    if (kind === "kill database") killedAtMs = atMs;
    faults.push({ ...fault, ...rest });
  }
  return faults;
}

function drawKind(allowed: readonly FaultKind[], share: number): FaultKind {
  const total = allowed.reduce((sum, kind) => sum + kinds[kind].weight, 0);
  let left = share * total;
  for (const kind of allowed) {
    left -= kinds[kind].weight;
    if (left < 0) return kind;
  }
  return allowed.at(-1)!;
}

/** Lets all of them happen at their times; resolves when the last one is over and every line is sound again. */
export async function strikeFaults(cluster: Cluster, faults: readonly Fault[], clockSpreadMs: number): Promise<void> {
  await Promise.all(
    faults.map(async (fault) => {
      await sleep(fault.atMs);
      await kinds[fault.kind].strike(cluster, fault, clockSpreadMs);
    }),
  );
  for (const { line } of cluster.members) line.set(soundLine);
}

export const sayFault = ({ atMs, kind, server, forMs, share }: Fault): string =>
  `${(atMs / 1000).toFixed(2)} s ${kind}${kind.includes("database") ? "" : ` ${server}`}${forMs > 0 ? ` for ${forMs} ms` : ""} (${share.toFixed(2)})`;
