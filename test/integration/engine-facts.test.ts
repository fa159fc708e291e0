import type { Db, Document } from "mongodb";
import { afterAll, beforeAll, beforeEach, expect, inject, test } from "vitest";
import { isDuplicateKey } from "../../src/storage/keys.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";

/** What the storage relies on, engine by engine. A new engine, or a new version of one, has to pass this first. */

interface Item extends Document {
  _id: string;
}

let database: TestDatabase;
let db: Db;
let collections = 0;
let items: ReturnType<typeof newCollection>;

const newCollection = () => db.collection<Item>(`items_${collections++}`);

beforeAll(async () => {
  database = await testDatabase();
  db = database.db;
});
beforeEach(() => {
  items = newCollection();
});
afterAll(() => database.close());

test("inserting a taken _id is a duplicate key error and changes nothing", async () => {
  await items.insertOne({ _id: "a", by: "first" });
  const error = await items.insertOne({ _id: "a", by: "second" }).catch((error: unknown) => error);
  expect(isDuplicateKey(error)).toBe(true);
  expect(error).toMatchObject({ code: 11000 });
  expect(await items.findOne({ _id: "a" })).toEqual({ _id: "a", by: "first" });
});

test("of many inserts of one _id at once, one lands", async () => {
  const tries = Array.from({ length: 16 }, (_, by) => items.insertOne({ _id: "slot", by }));
  const results = await Promise.allSettled(tries);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const result of results) if (result.status === "rejected") expect(isDuplicateKey(result.reason)).toBe(true);
});

test("an upsert meets an _id that was taken meanwhile with an update or a duplicate key, never with a second document", async () => {
  const tries = Array.from({ length: 12 }, () =>
    items.updateOne({ _id: "one" }, { $setOnInsert: { made: true }, $inc: { n: 1 } }, { upsert: true }),
  );
  const results = await Promise.allSettled(tries);
  const landed = results.filter(({ status }) => status === "fulfilled").length;
  for (const result of results) if (result.status === "rejected") expect(isDuplicateKey(result.reason)).toBe(true);
  expect(await items.find().toArray()).toEqual([{ _id: "one", made: true, n: landed }]);
});

test("a findOneAndUpdate that meets an _id which was taken meanwhile updates, whether it answers what it wrote or nothing", async () => {
  const tries = Array.from({ length: 12 }, () =>
    items.findOneAndUpdate({ _id: "one" }, { $inc: { n: 1 } }, { upsert: true, returnDocument: "after" }),
  );
  const results = await Promise.allSettled(tries);
  const landed = results.filter(({ status }) => status === "fulfilled").length;
  for (const result of results) if (result.status === "rejected") expect(isDuplicateKey(result.reason)).toBe(true);
  expect(await items.find().toArray()).toEqual([{ _id: "one", n: landed }]);
});

test("a guarded findOneAndUpdate has one winner", async () => {
  await items.insertMany(Array.from({ length: 10 }, (_, n) => ({ _id: `run-${n}`, status: "pending", token: null })));
  const claims = Array.from({ length: 40 }, (_, n) =>
    items.findOneAndUpdate(
      { _id: `run-${n % 10}`, status: "pending", token: null },
      { $set: { status: "running", token: `t-${n}` } },
      { returnDocument: "after" },
    ),
  );
  const winners = (await Promise.all(claims)).filter((claim) => claim !== null);
  expect(winners.map(({ _id }) => _id).sort()).toEqual(Array.from({ length: 10 }, (_, n) => `run-${n}`));
  for (const { _id, token } of winners) expect(await items.findOne({ _id })).toMatchObject({ token });
});

test("a claim by order gives each document away once", async () => {
  await items.insertMany(Array.from({ length: 12 }, (_, n) => ({ _id: `w-${n}`, waiting: true, n })));
  await items.createIndex({ waiting: 1, n: 1 });
  const claim = () =>
    items.findOneAndUpdate(
      { waiting: true },
      { $set: { waiting: false } },
      { sort: { n: 1 }, returnDocument: "after" },
    );
  const claimed = await Promise.all(Array.from({ length: 16 }, claim));
  expect(
    claimed
      .filter((one) => one !== null)
      .map(({ n }) => n)
      .sort((a, b) => a - b),
  ).toEqual(Array.from({ length: 12 }, (_, n) => n));
});

test("$inc loses no step under concurrency", async () => {
  await items.insertOne({ _id: "thread", n: 0 });
  const steps = Array.from({ length: 30 }, () =>
    items.findOneAndUpdate({ _id: "thread" }, { $inc: { n: 1 } }, { returnDocument: "after" }),
  );
  const numbers = (await Promise.all(steps)).map((thread) => thread?.n as number).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
});

test("a pipeline update sets the database's own time", async () => {
  await items.insertOne({ _id: "lease", keep: 1 });
  const before = Date.now();
  const updated = await items.findOneAndUpdate({ _id: "lease", keep: 1 }, [{ $set: { renewedAt: "$$NOW" } }], {
    returnDocument: "after",
  });
  expect(updated?.renewedAt).toBeInstanceOf(Date);
  expect(Math.abs(updated?.renewedAt.getTime() - before)).toBeLessThan(60_000);
  expect(updated?.keep).toBe(1);
});

test("an update and an upsert by a pipeline, and a delete, are held to a time of the database's own clock", async () => {
  const put = (_id: string, by: Date, value: object) => {
    const inTime = { $lt: [{ $toLong: "$$NOW" }, by.getTime()] };
    const pipeline = [{ $set: { value: { $cond: [inTime, { $literal: value }, "$value"] } } }];
    return items.findOneAndUpdate({ _id }, pipeline, { upsert: true, returnDocument: "after" });
  };
  const remove = async (_id: string, by: Date) =>
    (await items.deleteOne({ _id, $expr: { $lt: [{ $toLong: "$$NOW" }, by.getTime()] } })).deletedCount;
  const [late, inTime] = [new Date(Date.now() - 60_000), new Date(Date.now() + 60_000)];
  expect(await put("a", inTime, { "a.b": "$x" })).toEqual({ _id: "a", value: { "a.b": "$x" } });
  expect(await put("a", late, { other: 1 })).toEqual({ _id: "a", value: { "a.b": "$x" } });
  expect(await put("b", late, { other: 1 })).toEqual({ _id: "b" });
  expect(await remove("a", late)).toBe(0);
  expect(await remove("a", inTime)).toBe(1);
});

test("updateMany changes what matches its guard and says how many", async () => {
  await items.insertMany(Array.from({ length: 9 }, (_, n) => ({ _id: `r-${n}`, owner: n < 5 ? "here" : "there" })));
  const result = await items.updateMany({ _id: { $in: ["r-0", "r-1", "r-8"] }, owner: "here" }, [
    { $set: { renewedAt: "$$NOW" } },
  ]);
  expect(result).toMatchObject({ matchedCount: 2, modifiedCount: 2 });
  expect(await items.countDocuments({ renewedAt: { $type: "date" } })).toBe(2);
});

test("a change stream delivers inserts and updates, and resumes after the last one seen", async () => {
  const watched = database.database.changeStreamDb.collection<Item>(items.collectionName);
  await items.insertOne({ _id: "before" });
  const stream = watched.watch([], { fullDocument: "updateLookup" });
  // Opened once the first change arrives: changes made before the stream stands are not promised.
  const first = stream.next();
  let arrived = false;
  void first.then(() => {
    arrived = true;
  });
  for (let n = 0; !arrived; n++) {
    await items.updateOne({ _id: "before" }, { $set: { n } });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await items.insertOne({ _id: "a", s: 1 });
  await items.updateOne({ _id: "a" }, { $set: { s: 2 } });
  const seen: string[] = [];
  let token: unknown;
  while (!seen.includes("insert a")) {
    const change = await stream.next();
    if (change.operationType !== "insert" && change.operationType !== "update") continue;
    seen.push(`${change.operationType} ${change.documentKey._id}`);
    token = change._id;
  }
  await stream.close();

  const resumed = watched.watch([], { fullDocument: "updateLookup", resumeAfter: token });
  const change = await resumed.next();
  expect(change).toMatchObject({ operationType: "update", documentKey: { _id: "a" }, fullDocument: { s: 2 } });
  await resumed.close();
});

test("no secondary unique index: a key that an update has vacated may be refused as taken", async () => {
  await items.createIndex({ key: 1 }, { unique: true });
  await items.insertOne({ _id: "a", key: "x" });
  await items.updateOne({ _id: "a" }, { $set: { key: "y" } });
  const second = await items.insertOne({ _id: "b", key: "x" }).then(
    () => "accepted",
    (error: unknown) => (isDuplicateKey(error) ? "refused" : error),
  );
  // MongoDB accepts it. Should a later secantusd-rs do so too, this test says so, and the rule may go.
  expect(second).toBe(inject("engine").engine === "secantusd-rs" ? "refused" : "accepted");
});

test("a range of one element of an array is not met by two elements on both sides of it, and several can be asked for", async () => {
  await items.createIndex({ tokens: 1 });
  const documents = { early: ["a/1", "b/1"], late: ["a/5", "b/5"], one: ["a/2"], around: ["a/0", "a/9"], none: [] };
  await items.insertMany(Object.entries(documents).map(([_id, tokens]) => ({ _id, tokens, on: true })));
  const range = (token: string) => ({ $elemMatch: { $gte: `${token}/1`, $lt: `${token}/4` } });
  const found = async (tokens: Document) => (await items.distinct("_id", { tokens, on: true })).sort();
  expect(await found(range("a"))).toEqual(["early", "one"]);
  expect(await found({ ...range("a"), $all: [range("b")] })).toEqual(["early"]);
  expect(await found({ ...range("b"), $all: [range("a")] })).toEqual(["early"]);
});

test("a range of times leaves out what has no time, behind equal values as well", async () => {
  await items.createIndex({ thread: 1, phase: 1, at: 1 });
  const at = [null, new Date(1_000), new Date(2_000)];
  await items.insertMany(at.map((at, n) => ({ _id: `${n}`, thread: "t", phase: "waiting", at })));
  const ofThread = { thread: "t", phase: "waiting" };
  expect(await items.distinct("_id", { ...ofThread, at: { $gt: new Date(0) } })).toEqual(["1", "2"]);
  expect(await items.distinct("_id", { ...ofThread, at: null })).toEqual(["0"]);
});

test("a document goes within a minute or two of the time that an index with expireAfterSeconds finds in it", async () => {
  await items.createIndex({ expire_at: 1 }, { expireAfterSeconds: 0 });
  await items.insertMany([{ _id: "over", expire_at: new Date(Date.now() - 1) }, { _id: "without" }]);
  await items.insertOne({ _id: "later", expire_at: new Date(Date.now() + 3_600_000) });
  await until(async () => (await items.findOne({ _id: "over" })) === null, 280_000);
  expect(await items.countDocuments()).toBe(2);
}, 300_000);
