import { setTimeout as sleep } from "node:timers/promises";
import { fromPayload, PayloadFormat, runEvents } from "../../src/client/index.ts";
import { machineMs, readLedger } from "../../test/faults/ledger.ts";
import type { ServerProcess } from "../../test/support/server-process.ts";
import { type Cluster, type Executing, sample, startRunAt } from "./cluster.ts";

/** What something takes through the server that executes the run, and through another one; in ms. */
export interface OwnAndOther {
  readonly own: number[];
  readonly other: number[];
}

/** By turns, so that whatever else the machine does meets both; the others by turns as well. */
async function byTurns(
  { servers: [first, ...others] }: Cluster,
  times: number,
  measure: (first: ServerProcess, through: ServerProcess) => Promise<number[]>,
): Promise<OwnAndOther> {
  const samples: OwnAndOther = { own: [], other: [] };
  await sample(2 * times, 6, async (i) => {
    const isOwn = i % 2 === 0;
    const through = isOwn ? first! : others[Math.floor(i / 2) % others.length]!;
    samples[isOwn ? "own" : "other"].push(...(await measure(first!, through)));
  });
  return samples;
}

/** No clock of a server is hit always at the same moment. */
const anyMoment = () => sleep(1_000 * Math.random());

/** From a cancel's call to its answer that the run is over. */
export const cancels = (cluster: Cluster, times: number): Promise<OwnAndOther> =>
  byTurns(cluster, times, async (first, through) => {
    const run = await startRunAt(first, { events: 10_000, everyMs: 20 });
    await anyMoment();
    const sentAt = machineMs();
    await through.client.runs.cancelRun({ ...run, wait: true });
    return [machineMs() - sentAt];
  });

/** From an event's writing in the node to its reader. */
export const followers = (cluster: Cluster, times: number): Promise<OwnAndOther> =>
  byTurns(cluster, times, async (first, through) => {
    const run = await startRunAt(first, { events: 60, everyMs: 50 });
    const lags: number[] = [];
    const request = { ...run, fromNow: true, payloadFormat: PayloadFormat.JSON };
    for await (const { event } of runEvents((signal) => through.client.runs.joinRunStream(request, { signal }))) {
      if (event.case !== "output") continue;
      const { at } = fromPayload(event.value.data) as { at: number };
      lags.push(machineMs() - at);
    }
    return lags;
  });

/** From the end of a run's only node to the answer of who waits for the run. */
export async function waiters(cluster: Cluster, times: number): Promise<OwnAndOther> {
  const told: (Executing & { at: number })[] = [];
  const where = await byTurns(cluster, times, async (first, through) => {
    const run = await startRunAt(first, { events: 50 + Math.floor(50 * Math.random()), everyMs: 20 });
    await through.client.runs.joinRun({ ...run, omitValues: true });
    return [told.push({ ...run, at: machineMs() }) - 1];
  });
  const ends = new Map(readLedger(cluster.ledger).flatMap(({ kind, run, at }) => (kind === "end" ? [[run, at]] : [])));
  const lag = (i: number) => told[i]!.at - ends.get(told[i]!.runId)!;
  return { own: where.own.map(lag), other: where.other.map(lag) };
}
