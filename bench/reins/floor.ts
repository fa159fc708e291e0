import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { MemorySaver } from "@langchain/langgraph";
import { MongoClient } from "mongodb";
import { startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { agent } from "../../test/peers/graphs/graphs.ts";
import { embeddedOptions } from "../../test/support/embedded-options.ts";
import { median } from "../peers/samples.ts";
import type { Figure } from "./figure.ts";
import { timed } from "./runs.ts";
import type { Target } from "./target.ts";

const times = 200;
const rests = { restMs: 200, times: 25 };
/**
 * What a run waits for, one after the other: its record, the decision that lets it enter, its last checkpoints, the decision that ends
 * it, and its record again, by which whoever waits is told.
 */
const inARow = { inserts: 2, updates: 3 };
/** With durability `sync` also the checkpoints of its three steps before the last, each before the next step begins. */
const moreIfSync = { inserts: 3 };

/** The parts of a run alone that no server can leave out, each by itself: what its time is held against. */
export async function floor({ url }: Target): Promise<Figure[]> {
  const ok = async () => void (await (await fetch(`${url}/ok`)).text());
  const call = await medianOf(ok);
  const { insert, update, rested: restedUpdate } = await commandsAlone();
  const rested = { call: await medianOf(ok, rests), update: restedUpdate };
  const library = await graphAlone();
  const durable = inARow.inserts * insert + inARow.updates * update;
  const both = call + durable + library.ms;
  return [
    { what: "a call that asks nothing, alone, p50", value: call, unit: "ms" },
    { what: "an insert of 2 kB, alone, p50", value: insert, unit: "ms" },
    { what: "a guarded update of 2 kB, alone, p50", value: update, unit: "ms" },
    { what: "a call that asks nothing, after 200 ms of rest, p50", value: rested.call, unit: "ms" },
    { what: "a guarded update of 2 kB, after 200 ms of rest, p50", value: rested.update, unit: "ms" },
    { what: "the graph by itself, its checkpoints in memory, p50", value: library.ms, unit: "ms" },
    { what: "… processor time", value: library.cpuMs, unit: "ms" },
    { what: "the graph by itself, 5,000 custom events", value: await eventsAlone(), unit: "events/s" },
    { what: "async: call, five commands in a row and graph", value: both, unit: "ms" },
    { what: "sync: call, eight commands in a row and graph", value: both + moreIfSync.inserts * insert, unit: "ms" },
  ];
}

/** After a rest each, or one after the other. */
async function medianOf(what: () => Promise<unknown>, after = { restMs: 0, times }): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < after.times; i += 1) {
    if (after.restMs > 0) await sleep(after.restMs);
    samples.push(await timed(what));
  }
  return median(samples);
}

/** As the stores send them, durable, on an engine on which nothing else is done. */
async function commandsAlone(): Promise<{ insert: number; update: number; rested: number }> {
  const dir = await mkdtemp(join(tmpdir(), "reins-bench-"));
  const database = await startEmbeddedDatabase(embeddedOptions(dir));
  const client = await new MongoClient(database.uri, { writeConcern: { w: "majority", journal: true } }).connect();
  try {
    const documents = client.db("floor").collection<{ _id: string; rev: number; text: string }>("documents");
    const text = "x".repeat(2_000);
    const insert = await medianOf(() => documents.insertOne({ _id: randomUUID(), rev: 0, text }));
    await documents.insertOne({ _id: "one", rev: 0, text });
    let rev = 0;
    const updateOne = () => documents.updateOne({ _id: "one", rev }, { $set: { rev: ++rev, text } });
    return { insert, update: await medianOf(updateOne), rested: await medianOf(updateOne, rests) };
  } finally {
    await client.close();
    await database.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** What its node can put out, to a reader in the same process. */
async function eventsAlone(): Promise<number> {
  agent.checkpointer = new MemorySaver();
  const rates: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const config = { configurable: { thread_id: randomUUID() }, streamMode: "custom" as const };
    let events = 0;
    const ms = await timed(async () => {
      for await (const event of await agent.stream({ custom: 5_000 }, config)) if (JSON.stringify(event)) events += 1;
    });
    if (events !== 5_000) throw new Error(`${events} events came instead of 5,000`);
    rates.push(events / (ms / 1000));
  }
  return median(rates);
}

/** LangGraph.js on three steps that do nothing, in this process. */
async function graphAlone(): Promise<{ ms: number; cpuMs: number }> {
  agent.checkpointer = new MemorySaver();
  const once = () => agent.invoke({ steps: 2 }, { configurable: { thread_id: randomUUID() }, durability: "async" });
  for (let i = 0; i < times; i += 1) await once();
  const before = process.cpuUsage();
  const ms = await medianOf(once);
  const { user, system } = process.cpuUsage(before);
  return { ms, cpuMs: (user + system) / 1000 / times };
}
