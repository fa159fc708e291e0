import { BSON, MongoClient } from "mongodb";
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
      figures.push(...(await leftIn(database, name)));
    } finally {
      await database.close();
      await cluster.close();
    }
  }
  return figures;
}

async function leftIn(database: MongoClient, durability: string): Promise<Figure[]> {
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
  return [{ what: `${durability}: bytes that a run leaves`, value: sum, unit: "B" }, ...figures];
}
