import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { AttemptHost, AttemptOver } from "../../src/worker/attempt-host.ts";
import {
  attemptSpec,
  emptyItems,
  emptyJournal,
  fakePool,
  gone,
  graph,
  type LogLine,
  patience,
} from "../support/fake-child-pool.ts";

// The pool with the children that serve really executes graphs.

let pool: AttemptHost;
let lines: LogLine[];

async function start(): Promise<void> {
  const file = fileURLToPath(new URL("../support/fake-child-graph.ts", import.meta.url));
  ({ pool, lines } = fakePool({
    entry: new URL("../../src/worker/child/main.ts", import.meta.url),
    graphs: [graph("agent", file)],
    graceMs: 1_000,
    unresponsiveMs: 1_000,
  }));
  expect(await pool.start()).toEqual([{ name: "agent", nodes: ["node"] }]);
}

function execute(act: string) {
  const over = Promise.withResolvers<AttemptOver>();
  const modes: string[] = [];
  const spec = { ...attemptSpec({ act: "finish" }), input: JSON.stringify({ act }) };
  const placed = pool.place(
    spec,
    {
      journal: emptyJournal,
      items: emptyItems,
      output: async (events) => void modes.push(...events.map(([mode]) => mode)),
      delivered: () => {},
      over: over.resolve,
    },
    { exclusive: false },
  )!;
  const started = () => vi.waitUntil(() => modes.includes("custom"), patience);
  return { placed, spec, started, over: over.promise };
}

afterEach(async () => {
  const { pids } = pool;
  await pool.stop();
  await gone(pids);
});

describe("a graph's attempt", { timeout: 60_000 }, () => {
  it("succeeds, and what it prints is logged with its run", async () => {
    await start();
    const attempt = execute("finish");
    expect(await attempt.over).toMatchObject({ how: "ended", end: { kind: "success" } });
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "this is finish"), patience);
    expect(lines.find(({ msg }) => msg === "this is finish")?.runId).toBe(attempt.spec.runId);
  });

  it("stops when its node hears the abort, and is killed when it does not", async () => {
    await start();
    const listening = execute("listen");
    const deaf = execute("deaf");
    await Promise.all([listening.started(), deaf.started()]);
    listening.placed.stop("interrupt", "enough");
    expect(await listening.over).toMatchObject({ how: "ended", end: { kind: "stopped" } });
    deaf.placed.stop("interrupt", "enough");
    expect(await deaf.over).toEqual({ how: "killed" });
    await gone([deaf.placed.pid]);
  });

  it("is killed in a busy loop", async () => {
    await start();
    const neighbour = execute("listen");
    await neighbour.started();
    const busy = execute("busy");
    await busy.started();
    busy.placed.stop("interrupt", "enough");
    expect(await busy.over).toEqual({ how: "killed" });
    expect(await neighbour.over).toEqual({ how: "displaced" });
  });

  it("is blamed for what it throws outside of its node; the neighbour is innocent", async () => {
    await start();
    const neighbour = execute("listen");
    await neighbour.started();
    const culprit = execute("throw");
    expect(await culprit.over).toEqual({
      how: "crashed",
      blamed: true,
      error: { name: "RangeError", message: "out of the blue" },
    });
    expect(await neighbour.over).toEqual({ how: "displaced" });
  });

  it("survives a rejection that nobody handles, which is logged with its run", async () => {
    await start();
    const attempt = execute("reject");
    expect(await attempt.over).toMatchObject({ how: "ended", end: { kind: "success" } });
    const logged = () => lines.find(({ msg }) => msg === "RangeError: nobody catches it");
    await vi.waitUntil(logged, patience);
    expect(logged()?.runId).toBe(attempt.spec.runId);
  });

  it("is inspected without any run", async () => {
    await start();
    const states = await pool.inspect(emptyJournal, { kind: "state", graph: "agent", omitValues: false });
    expect(states).toMatchObject([{ next: [], tasks: [] }]);
  });
});
