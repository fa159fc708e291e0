import { pino } from "pino";
import { expect, vi } from "vitest";
import type {
  AttemptHooks,
  AttemptHost,
  AttemptOver,
  PlacedAttempt,
  StoragePort,
} from "../../src/worker/attempt-host.ts";
import { type ChildPoolOptions, createChildPool } from "../../src/worker/child-pool.ts";
import type { AttemptSpec, GraphSpec, ItemsPort, OutputTuple } from "../../src/worker/protocol.ts";
import type { FakeScript } from "./fake-child.ts";

/** Far above what anything takes; a test that waits so long has failed. */
export const patience = { timeout: 15_000, interval: 10 };

/** A long-term memory in which nothing is found. */
export const emptyItems: ItemsPort = { batch: async (operations) => operations.map(() => null) };

export const emptyJournal: StoragePort = {
  owner: "",
  append: async () => {},
  read: async () => undefined,
  list: async () => [],
};

export function graph(name: string, file = `/graphs/${name}.ts`): GraphSpec {
  return { name, file, exportName: "default", isolation: "shared" };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly runId?: string;
  readonly runIds?: readonly string[];
  readonly childPid?: number;
  readonly leftOutBytes?: number;
}

/** A pool of fake children; short times, so that the tests are quick. */
export function fakePool(options: Partial<ChildPoolOptions> = {}): { pool: AttemptHost; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line) as LogLine) });
  const pool = createChildPool({
    entry: new URL("./fake-child.ts", import.meta.url),
    graphs: [graph("agent")],
    children: 1,
    slotsPerChild: 4,
    env: { PATH: "/usr/bin:/bin" },
    cwd: import.meta.dirname,
    log,
    graceMs: 400,
    pingIntervalMs: 50,
    unresponsiveMs: 300,
    // What a test is about has not to start first.
    shrinkAfterMs: "never",
    // No test leans on a lease that nobody renews.
    leaseMs: 600_000,
    ...options,
  });
  return { pool, lines };
}

let attempts = 0;

export function attemptSpec(script: FakeScript): AttemptSpec {
  attempts += 1;
  return {
    attemptId: `attempt-${attempts}`,
    runId: `run-${attempts}`,
    threadId: "thread",
    assistantId: "assistant",
    graph: "agent",
    attempt: 1,
    input: JSON.stringify(script),
    config: { tags: [] },
    streamModes: ["custom"],
    streamSubgraphs: false,
    durability: "sync",
  };
}

/** One attempt in the pool and all that its hooks were told. */
export interface Watched {
  readonly spec: AttemptSpec;
  readonly placed: PlacedAttempt;
  /** What happened, in order: "output", "delivered", "over". */
  readonly calls: string[];
  readonly data: unknown[];
  readonly overs: AttemptOver[];
  /** Resolves with the outcome. */
  readonly over: Promise<AttemptOver>;
  /** Resolves when the child has begun. */
  started(): Promise<void>;
}

/** Places an attempt, waiting for a slot; the hooks can be replaced one by one. */
export async function run(
  pool: AttemptHost,
  script: FakeScript,
  { exclusive = false, owner, ...hooks }: Partial<AttemptHooks> & { exclusive?: boolean; owner?: string } = {},
): Promise<Watched> {
  const spec = attemptSpec(script);
  const calls: string[] = [];
  const data: unknown[] = [];
  const overs: AttemptOver[] = [];
  const { promise, resolve } = Promise.withResolvers<AttemptOver>();
  const record: AttemptHooks = {
    journal: hooks.journal ?? emptyJournal,
    items: hooks.items ?? emptyItems,
    output: async (events: readonly OutputTuple[]) => {
      calls.push("output");
      data.push(...events.map(([, , , json]) => JSON.parse(json) as unknown));
      await hooks.output?.(events);
    },
    delivered: () => void calls.push("delivered"),
    over: (outcome) => {
      calls.push("over");
      overs.push(outcome);
      resolve(outcome);
    },
  };
  const placed = await vi.waitUntil(
    () => pool.place(spec, record, { exclusive, ...(owner !== undefined && { owner }) }),
    patience,
  );
  const started = () => vi.waitUntil(() => data.includes("started"), patience).then(() => {});
  return { spec, placed, calls, data, overs, over: promise, started };
}

/** Whether a process exists; a zombie counts as none. */
export async function isAlive(pid: number): Promise<boolean> {
  const { readFile } = await import("node:fs/promises");
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  return state !== "" && state !== "Z" && state !== "X";
}

export async function gone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) await vi.waitUntil(async () => !(await isAlive(pid)), patience);
  expect(await Promise.all(pids.map(isAlive))).not.toContain(true);
}
