import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ReinsClient, toPayload } from "../../src/client/index.ts";
import { median } from "../peers/samples.ts";
import { signsOfLife } from "../peers/stops.ts";
import type { Figure } from "./figure.ts";
import { newThread, timed } from "./runs.ts";
import type { Target } from "./target.ts";

/** Longer than the grace: a node that works so long was not stopped. */
const workMs = 8_000;

interface Stop {
  /** Until the cancel was answered, which waits until the run is over. */
  readonly answeredMs: number;
  /** Until the node's last sign of life, of which it writes one every 5 ms, whatever the server says. */
  readonly stoppedMs: number;
}

async function stop({ runs, threads }: ReinsClient, graph: string): Promise<Stop> {
  const folder = mkdtempSync(join(tmpdir(), "reins-beats-"));
  const beats = join(folder, "beats");
  try {
    const threadId = await newThread({ runs, threads } as ReinsClient);
    const spec = { assistantId: graph, input: toPayload({ step_ms: workMs, beats }) };
    const { runId } = (await runs.createRun({ threadId, spec })).run!;
    while (signsOfLife(beats).length === 0) await sleep(5);
    await sleep(200);
    const asked = Date.now();
    const answeredMs = await timed(() => runs.cancelRun({ threadId, runId, wait: true }));
    for (;;) {
      const last = signsOfLife(beats).at(-1)!;
      if (Date.now() - last > 500) return { answeredMs, stoppedMs: Math.max(0, last - asked) };
      await sleep(50);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function stops(client: ReinsClient, graph: string, times: number) {
  const all: Stop[] = [];
  for (let i = 0; i < times; i += 1) all.push(await stop(client, graph));
  return { answered: median(all.map((one) => one.answeredMs)), stopped: median(all.map((one) => one.stoppedMs)) };
}

/** Meanwhile every few milliseconds a thread is asked for: processes that have slept for a while need milliseconds to wake up. */
async function whileAwake<T>({ threads }: ReinsClient, what: () => Promise<T>): Promise<T> {
  const threadId = (await threads.createThread({})).thread!.threadId;
  let isOver = false;
  const asking = (async () => {
    for (; !isOver; await sleep(3)) await threads.getThread({ threadId });
  })();
  try {
    return await what();
  } finally {
    isOver = true;
    await asking;
  }
}

export async function cancels({ client }: Target): Promise<Figure[]> {
  const awake = await whileAwake(client, () => stops(client, "agent", 25));
  const figures: Figure[] = [
    {
      what: "cancel of a listening node, of a server that is awake: really stopped, p50",
      value: awake.stopped,
      unit: "ms",
      goal: { most: 3 },
    },
    { what: "… answered, p50", value: awake.answered, unit: "ms", goal: { most: 10 } },
  ];
  for (const [graph, manner, times] of [
    ["agent", "listening", 15],
    ["deaf", "deaf", 3],
    ["busy", "computing", 3],
  ] as const) {
    const { answered, stopped } = await stops(client, graph, times);
    figures.push(
      {
        what: `cancel of a ${manner} node after a rest: really stopped, p50`,
        value: stopped,
        unit: "ms",
      },
      { what: "… answered, p50", value: answered, unit: "ms" },
    );
  }
  return figures;
}

/** Beside four live runs that were given 4 MB each. */
export async function cancelsBesideLargeInputs({ client }: Target): Promise<Figure[]> {
  const input = toPayload({ step_ms: 60_000, say: "x".repeat(4 * 1024 * 1024) });
  const large: { threadId: string; runId: string }[] = [];
  for (let i = 0; i < 4; i += 1) {
    const threadId = await newThread(client);
    const { runId } = (await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } })).run!;
    large.push({ threadId, runId });
  }
  const { answered, stopped } = await stops(client, "agent", 10);
  await Promise.all(large.map((one) => client.runs.cancelRun({ ...one, wait: true })));
  return [
    { what: "cancel beside four live runs with 4 MB each: really stopped, p50", value: stopped, unit: "ms" },
    { what: "… answered, p50", value: answered, unit: "ms" },
  ];
}

/** Most of them wait for a slot. */
export async function cancelMany({ client }: Target): Promise<Figure[]> {
  const ids: { threadId: string; runId: string }[] = [];
  const input = toPayload({ step_ms: 120_000 });
  for (let n = 0; n < 8; n += 1) {
    const some = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const threadId = await newThread(client);
        return {
          threadId,
          runId: (await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } })).run!.runId,
        };
      }),
    );
    ids.push(...some);
  }
  const began = performance.now();
  await Promise.all(ids.map((one) => client.runs.cancelRun({ ...one, wait: true })));
  const seconds = (performance.now() - began) / 1000;
  return [{ what: "cancel of 800 runs at once, until all are over", value: seconds, unit: "s", goal: { most: 2 } }];
}
