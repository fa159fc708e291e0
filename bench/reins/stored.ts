import { BSON, MongoClient } from "mongodb";
import { StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { startCluster } from "../servers/cluster.ts";
import { peerGraphs } from "./commands.ts";
import type { Figure } from "./figure.ts";
import { durabilities, newThread, runOnce } from "./runs.ts";

const runs = 100;

/** What a run of three steps leaves in the database, by collection, on a thread of its own. */
export async function stored(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, durability] of durabilities) {
    const cluster = await startCluster(1, 60_000, peerGraphs);
    const database = await new MongoClient(cluster.uri).connect();
    try {
      const { client } = cluster.servers[0]!;
      for (let i = 0; i < runs; i += 1) await runOnce(client, await newThread(client), durability);
      figures.push(...(await leftIn(database, name, runs)));
    } finally {
      await database.close();
      await cluster.close();
    }
  }
  return [...figures, ...(await storedOfSteps())];
}

/** The same of a run whose hundred steps say 4 kB each, told in two modes. */
async function storedOfSteps(): Promise<Figure[]> {
  const cluster = await startCluster(1, 60_000, peerGraphs);
  const database = await new MongoClient(cluster.uri).connect();
  try {
    const { client } = cluster.servers[0]!;
    const input = toPayload({ steps: 100, say: "x".repeat(4096) });
    const streamModes = [StreamMode.VALUES, StreamMode.CHECKPOINTS];
    const spec = { assistantId: "agent", input, streamModes, config: { recursionLimit: 1_000 } };
    await client.runs.waitRun({ create: { threadId: await newThread(client), spec }, omitValues: true });
    const figures = await leftIn(database, "100 steps that say 4 kB each", 1);
    return [
      ...figures,
      { what: "… as a share of what they say", value: figures[0]!.value / 409_600, unit: "×", goal: { most: 3 } },
    ];
  } finally {
    await database.close();
    await cluster.close();
  }
}

async function leftIn(database: MongoClient, which: string, runs: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of ["threads", "runs", "checkpoints", "run_events"]) {
    const documents = await database.db("reins").collection(name).find({}).toArray();
    const bytes = documents.reduce((sum, document) => sum + BSON.calculateObjectSize(document), 0);
    figures.push(
      { what: `… ${name}: documents of a run`, value: documents.length / runs, unit: "" },
      { what: `… ${name}: bytes of a run`, value: bytes / runs, unit: "B" },
    );
  }
  const sum = figures.filter(({ unit }) => unit === "B").reduce((all, { value }) => all + value, 0);
  return [{ what: `${which}: bytes that a run leaves`, value: sum, unit: "B" }, ...figures];
}
