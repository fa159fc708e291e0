import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Runs } from "./runs.ts";
import { median } from "./samples.ts";

/**
 * How long nodes go on after somebody wanted them to stop. What a server says about it does not count: a node writes a sign of life
 * every 5 ms, and the last one is when it stopped.
 */
export interface Stops {
  /** Until the cancel was answered. */
  readonly answeredMs: number;
  /** Until the last sign of life; Infinity for a node that worked to its own end. */
  readonly stoppedMs: number;
}

/** Longer than any server's grace. A node that works so long was not stopped. */
const workMs = 8_000;

/** Of the node that writes them there; none before the first. */
export const signsOfLife = (file: string): number[] => {
  try {
    return readFileSync(file, "utf8").trim().split("\n").map(Number);
  } catch {
    return [];
  }
};

async function firstSign(file: string): Promise<number> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(5)) {
    const [first] = signsOfLife(file);
    if (first) return first;
  }
  throw new Error("the node does not start");
}

/** When the node was last seen: there is no sign for a second then. */
async function lastSign(file: string): Promise<number> {
  for (;;) {
    const last = signsOfLife(file).at(-1)!;
    if (Date.now() - last > 1_000) return last;
    await sleep(50);
  }
}

/** Lets a node work, and tells how long it did so after `stop` began. */
async function untilStopped(start: (beats: string) => Promise<() => Promise<unknown>>): Promise<Stops> {
  const folder = mkdtempSync(join(tmpdir(), "reins-beats-"));
  const beats = join(folder, "beats");
  try {
    const stop = await start(beats);
    const first = await firstSign(beats);
    await sleep(200);
    const asked = Date.now();
    await stop();
    const answeredMs = Date.now() - asked;
    const last = await lastSign(beats);
    const workedToItsEnd = last - first > workMs - 500;
    return { answeredMs, stoppedMs: workedToItsEnd ? Number.POSITIVE_INFINITY : Math.max(0, last - asked) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function medians(times: number, measure: () => Promise<Stops>): Promise<Stops> {
  const all: Stops[] = [];
  for (let i = 0; i < times; i += 1) all.push(await measure());
  return { answeredMs: median(all.map((one) => one.answeredMs)), stoppedMs: median(all.map((one) => one.stoppedMs)) };
}

/** A waiting cancel of a running node of this kind. */
export const cancelling = (runs: Runs, graph: "agent" | "deaf" | "busy") =>
  medians(graph === "agent" ? 10 : 3, () =>
    untilStopped(async (beats) => {
      const threadId = await runs.newThread();
      const runId = await runs.create(threadId, graph, { step_ms: workMs, beats });
      return () => runs.http.call("POST", `/threads/${threadId}/runs/${runId}/cancel?wait=true&action=interrupt`);
    }),
  );

/** The only client drops its connection, having asked for on_disconnect=cancel. */
export const leaving = (runs: Runs) =>
  medians(10, () =>
    untilStopped(async (beats) => {
      const threadId = await runs.newThread();
      const body = {
        assistant_id: "agent",
        input: { step_ms: workMs, beats },
        stream_mode: ["values"],
        on_disconnect: "cancel",
      };
      const stream = await runs.http.stream("POST", `/threads/${threadId}/runs/stream`, body, () => {});
      return async () => stream.leave();
    }),
  );
