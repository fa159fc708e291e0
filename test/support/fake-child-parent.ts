import { pino } from "pino";
import { createChildPool } from "../../src/worker/child-pool.ts";
import type { FakeScript } from "./fake-child.ts";

/**
 * A server of its own with two children in a busy loop, for the tests of the watchdog. Prints {pids, busy, grandchild} when both
 * loop, and goes on renewing their lease (argument: ms).
 */
const leaseMs = Number(process.argv[2]);

const pool = createChildPool({
  entry: new URL("./fake-child.ts", import.meta.url),
  graphs: [],
  children: 2,
  slotsPerChild: 1,
  env: { PATH: "/usr/bin:/bin" },
  cwd: import.meta.dirname,
  log: pino({ level: "silent" }),
  leaseMs,
  shrinkAfterMs: "never",
});
await pool.start();
pool.renewed(leaseMs);
setInterval(() => pool.renewed(leaseMs), leaseMs / 4);

const busy: number[] = [];
let grandchild: unknown;
let started = 0;
for (const attemptId of ["a", "b"]) {
  const script: FakeScript = { act: "busy", grandchild: true };
  const placed = pool.place(
    {
      attemptId,
      runId: attemptId,
      threadId: "thread",
      assistantId: "assistant",
      graph: "agent",
      attempt: 1,
      input: JSON.stringify(script),
      config: { tags: [] },
      streamModes: [],
      streamSubgraphs: false,
      durability: "sync",
    },
    {
      journal: { append: async () => {}, read: async () => undefined, list: async () => [] },
      items: { batch: async () => [] },
      output: async (events) => {
        for (const [, , , json] of events) {
          if (json === '"started"') started += 1;
          else grandchild = JSON.parse(json);
        }
        if (started === 2) process.stdout.write(`${JSON.stringify({ pids: pool.pids, busy, grandchild })}\n`);
      },
      delivered: () => {},
      over: (outcome) => process.stdout.write(`${JSON.stringify({ attemptId, outcome })}\n`),
    },
    { exclusive: false },
  );
  if (placed === undefined) throw new Error("There is no slot");
  busy.push(placed.pid);
}
