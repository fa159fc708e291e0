import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { machineMs, readLedger } from "../../test/faults/ledger.ts";
import { type Cluster, paced, sample, slots, startRunAt } from "./cluster.ts";

const batchSize = 100;
/** What only a hang needs. */
const limitMs = 180_000;

/**
 * From the kill of the first server to the moment at which each of its runs executes elsewhere, in ms. Meanwhile so many other
 * runs, each on a thread of its own, wait for the places that the other servers have. The first server is started again.
 */
export async function takeOver(cluster: Cluster, killed: number, backlog: number): Promise<number[]> {
  const { servers, dir } = cluster;
  const [first, ...others] = servers;
  const places = join(dir, `places-${machineMs()}`);
  const forEver = { events: 100_000, everyMs: 200 };
  if (backlog > 0) {
    // The first server has no place left either, so that nothing of the backlog begins.
    for (const server of others)
      await sample(slots, 8, () => startRunAt(server, { ...forEver, untilFile: places }).then(() => {}));
  }
  const left: string[] = [];
  const count = backlog > 0 ? slots : killed;
  await sample(count, 8, async () => void left.push((await startRunAt(first!, forEver)).runId));
  for (let made = 0; made < backlog; made += batchSize) {
    const runs = Array.from({ length: batchSize }, () => ({ spec: paced({ events: 1, everyMs: 20 }) }));
    await others[0]!.client.runs.batchCreateRuns({ runs });
  }
  writeFileSync(places, "");
  const killedAt = machineMs();
  await first!.end("SIGKILL");
  const times = await begunAgain(cluster, left, killedAt);
  await others[0]!.client.runs.cancelRuns({
    target: { case: "filter", value: { status: LiveRunStatus.ALL } },
    wait: true,
  });
  servers[0] = await cluster.startServer();
  return times;
}

async function begunAgain({ ledger }: Cluster, runs: readonly string[], since: number): Promise<number[]> {
  for (;;) {
    const begins = readLedger(ledger).filter(({ kind, at }) => kind === "begin" && at > since);
    const times = runs.map((run) => begins.find((line) => line.run === run)?.at);
    if (times.every((time) => time !== undefined)) return times.map((time) => time - since);
    // Those that were not taken over count as never.
    if (machineMs() > since + limitMs) return times.map((time) => (time === undefined ? Infinity : time - since));
    await sleep(100);
  }
}
