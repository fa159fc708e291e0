import { randomUUID } from "node:crypto";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { connectDatabase } from "../../src/storage/database.ts";
import type { Stores } from "../../src/storage/stores.ts";
import { capture } from "../support/captured-queries.ts";
import { silentLog } from "../support/engine.ts";
import { openStores } from "../support/stores.ts";

/**
 * A list may read very much, so that it stands in line behind other lists only, and nothing behind it. A server's lease stands in no
 * line.
 */

const { uri, maxPoolSize, engine } = inject("engine");
const name = `test_${randomUUID().replaceAll("-", "")}`;
const others = new MongoClient(uri, { maxPoolSize, monitorCommands: true });
const lists = new MongoClient(uri, { maxPoolSize: 1, monitorCommands: true });
const lease = new MongoClient(uri, { maxPoolSize: 1, monitorCommands: true });
const owner = "";
const [threadId, page] = [randomUUID(), { limit: 21 }];

let stores: Stores;
beforeAll(async () => {
  stores = await openStores(others.db(name), {}, { listsDb: lists.db(name), leaseDb: lease.db(name) });
});
afterAll(async () => {
  // See engine.ts.
  if (engine !== "secantusd-py") await others.db(name).dropDatabase();
  await Promise.all([others, lists, lease].map((one) => one.close()));
});

const ofAll: [string, () => Promise<unknown>][] = [
  ["ListRuns", () => stores.runs.list({ owner }, page)],
  ["SearchThreads", () => stores.threads.search({ owner }, { by: "updated_at", descending: true }, page)],
  ["CountThreads", () => stores.threads.count({ owner })],
];
it.each(ofAll)("%s goes over the connections for lists", async (_, list) => {
  expect(await capture(others, list)).toEqual([]);
  expect(await capture(lists, list)).toHaveLength(1);
});

const ofFew: [string, () => Promise<unknown>][] = [
  ["a thread's runs", () => stores.runs.list({ owner, threadId }, page)],
  ["live runs, which are to be cancelled", () => stores.runs.live({ owner, status: "pending" }, 1)],
];
it.each(ofFew)("%s do not wait for lists", async (_, list) => {
  expect(await capture(lists, list)).toEqual([]);
  expect(await capture(others, list)).toHaveLength(1);
});

it("a server's lease is renewed over a connection of its own", async () => {
  const server = { id: randomUUID(), machine: "", pid: 1, started: "", children: [], freeSlots: 1 };
  await stores.servers.join(server);
  const beat = () => stores.servers.beat(server);
  expect(await capture(others, beat)).toEqual([]);
  expect(await capture(lease, beat)).toHaveLength(1);
});

it("a server has fewer connections for lists than for everything else, and none in common", async () => {
  const database = await connectDatabase({ uri, maxPoolSize: 8, databaseName: name, log: silentLog });
  const [list, other, own] = [database.listsDb, database.db, database.leaseDb].map((db) => db.client);
  expect(new Set([list, other, own]).size).toBe(3);
  expect([list, other, own].map((client) => client!.options.maxPoolSize)).toEqual([1, 8, 1]);
  await database.close();
});
