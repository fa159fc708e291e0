import { join } from "node:path";
import { Durability } from "../../gen/reins/v1/run_pb.ts";
import { startCluster } from "../servers/cluster.ts";
import { driverCommands } from "../servers/idle.ts";
import type { Figure } from "./figure.ts";
import { newThread, runOnce } from "./runs.ts";

export const peerGraphs = join(import.meta.dirname, "../../test/peers/graphs/langgraph.json");

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
