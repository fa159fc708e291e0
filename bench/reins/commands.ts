import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Durability } from "../../gen/reins/v1/run_pb.ts";
import { type ReinsClient, runEvents, toPayload } from "../../src/client/index.ts";
import { slots, startCluster } from "../servers/cluster.ts";
import { driverCommands, idle } from "../servers/idle.ts";
import type { Figure } from "./figure.ts";
import { newThread, runOnce } from "./runs.ts";

export const peerGraphs = join(import.meta.dirname, "../../test/peers/graphs/langgraph.json");

/** Commands a second that readers and waiters of silent runs cost, beyond those of a rest. */
export async function idleCommands(): Promise<Figure[]> {
  const cluster = await startCluster(1, 10_000, peerGraphs);
  const { client } = cluster.servers[0]!;
  const forMs = 20_000;
  const input = toPayload({ step_ms: 600_000 });
  try {
    const resting = (await idle(cluster, forMs)).own;
    const live: { threadId: string; runId: string }[] = [];
    for (let n = 0; n < slots; n += 1) {
      const threadId = await newThread(client);
      const { runId } = (await client.runs.createRun({ threadId, spec: { assistantId: "agent", input } })).run!;
      live.push({ threadId, runId });
    }
    const executing = (await idle(cluster, forMs)).own;
    const followed = Array.from({ length: 400 }, (_, n) => live[n % slots]!);
    const ends = followed.flatMap((name) => [endOf(client, name), client.runs.joinRun({ ...name, omitValues: true })]);
    const all = Promise.all(ends);
    await sleep(3_000);
    const followedToo = (await idle(cluster, forMs)).own;
    await Promise.all(live.map((name) => client.runs.cancelRun({ ...name })));
    await all;
    return [
      { what: "commands a second at rest", value: resting, unit: "" },
      { what: "… with 16 silent runs", value: executing, unit: "" },
      {
        what: "… more with 400 idle streams and 400 idle waits on them",
        value: followedToo - executing,
        unit: "",
        goal: { most: 2 },
      },
    ];
  } finally {
    await cluster.close();
  }
}

async function endOf({ runs }: ReinsClient, name: { threadId: string; runId: string }): Promise<void> {
  for await (const { event } of runEvents((signal) => runs.joinRunStream(name, { signal }))) {
    if (event.case === "ended") return;
  }
  throw new Error("a stream ended without its end");
}

/** Commands a run, by name, of a server that reaches its database through a process that counts them. */
export async function commands(): Promise<Figure[]> {
  const cluster = await startCluster(1, 60_000, peerGraphs);
  const { client } = cluster.servers[0]!;
  try {
    const old = await newThread(client);
    const fresh = () => Promise.all(Array.from({ length: 160 }, () => newThread(client)));
    for (let i = 0; i < 40; i += 1) await runOnce(client, old, Durability.ASYNC);
    const figures: Figure[] = [];
    for (const [what, durability, clients, isLater, most] of [
      ["a first run, alone", Durability.ASYNC, 1, false, 8],
      ["a later run, alone", Durability.ASYNC, 1, true, 9],
      ["a first run, 16 clients", Durability.ASYNC, 16, false, 4],
      ["a first sync run, alone", Durability.SYNC, 1, false, undefined],
      ["a later sync run, alone", Durability.SYNC, 1, true, undefined],
      ["a first sync run, 16 clients", Durability.SYNC, 16, false, undefined],
    ] as const) {
      const once = (threadId: string) => runOnce(client, threadId, durability);
      const threads = await fresh();
      const before = await cluster.commands();
      const work = async () => {
        for (let threadId = threads.pop(); threadId !== undefined; threadId = threads.pop())
          await once(isLater ? old : threadId);
      };
      await Promise.all(Array.from({ length: clients }, work));
      const after = await cluster.commands();
      const each = Object.entries(after)
        .filter(([name]) => !driverCommands.includes(name))
        .map(([name, count]) => ({ name, count: (count - (before[name] ?? 0)) / 160 }))
        .filter(({ count }) => count > 0.05);
      const sum = each.reduce((all, { count }) => all + count, 0);
      figures.push({
        what: `commands of ${what}`,
        value: sum,
        unit: "",
        ...(most !== undefined && { goal: { most } }),
      });
      figures.push(...each.map(({ name, count }) => ({ what: `… ${name}`, value: count, unit: "" })));
    }
    return figures;
  } finally {
    await cluster.close();
  }
}
