import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoServerError } from "mongodb";
import { afterAll, beforeAll, expect, inject, test, vi } from "vitest";
import {
  connectDatabase,
  type Database,
  type DatabaseHealth,
  databaseTime,
  hostsOf,
  isDatabaseUnavailable,
} from "../../src/storage/database.ts";
import { createDatabaseProbe } from "../../src/storage/database-probe.ts";
import { type EmbeddedDatabase, startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { isDuplicateKey } from "../../src/storage/keys.ts";
import { embeddedOptions, silentLog } from "../support/embedded-options.ts";

/** The connection, on an engine of its own, since it is killed and frozen here; the schema on the run's engine. */

const patience = { timeout: 30_000, interval: 20 };

let dataDir: string;
let engine: EmbeddedDatabase;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "reins-connection-"));
  engine = await startEmbeddedDatabase(embeddedOptions(dataDir));
});
afterAll(async () => {
  await engine.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const enginePid = (): number => JSON.parse(readFileSync(join(dataDir, "holder.json"), "utf8")).engine.pid;

async function connected(use: (database: Database, changes: DatabaseHealth[]) => Promise<void>): Promise<void> {
  const { uri, maxPoolSize } = engine;
  const database = await connectDatabase({ uri, maxPoolSize, databaseName: "connection", log: silentLog });
  const changes: DatabaseHealth[] = [];
  database.watchHealth((health) => changes.push(health));
  try {
    await use(database, changes);
  } finally {
    await database.close();
  }
}

/** What a call that must fail fails with. */
const failure = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => Promise.reject(new Error("the call succeeded")),
    (error: unknown) => error,
  );

/** Calls until a call fails: a signal may take a moment to stop every thread of the engine. */
async function firstFailure(call: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    try {
      await call();
    } catch (error) {
      return error;
    }
  }
}

test("an engine that is killed is seen as away, calls fail as such, and all recovers by itself", async () => {
  await connected(async (database, changes) => {
    expect(database.health).toBe("up");
    const items = database.db.collection<{ _id: string }>("killed");
    await items.insertOne({ _id: "before" });

    const failures: unknown[] = [];
    let writing = true;
    const writers = ["insertOne", "insertMany", "updateOne", "find"].map(async (kind) => {
      while (writing) {
        const call = {
          insertOne: () => items.insertOne({ _id: randomUUID() }),
          insertMany: () => items.insertMany([{ _id: randomUUID() }, { _id: randomUUID() }]),
          updateOne: () => items.updateOne({ _id: "before" }, { $inc: { n: 1 } }),
          find: () => items.find({ _id: "before" }).toArray(),
        }[kind]!;
        await call().catch((error: unknown) => failures.push(error));
      }
    });
    process.kill(enginePid(), "SIGKILL");
    await vi.waitFor(() => expect(changes).toEqual(["down", "up"]), patience);
    writing = false;
    await Promise.all(writers);

    expect(failures.length).toBeGreaterThan(0);
    for (const error of failures) expect(isDatabaseUnavailable(error), String(error)).toBe(true);
    expect(await items.findOne({ _id: "before" })).toMatchObject({ _id: "before" });
    expect(database.health).toBe("up");
  });
});

test("an engine that hangs is seen as away within seconds, and a waiting call fails instead of waiting for ever", async () => {
  await connected(async (database, changes) => {
    const items = database.db.collection<{ _id: string }>("hung");
    const probe = createDatabaseProbe(database.db);
    await Promise.all([items.insertOne({ _id: "a" }), probe()]);
    const pid = enginePid();
    process.kill(pid, "SIGSTOP");
    try {
      const errors = await Promise.all([
        firstFailure(probe),
        firstFailure(() => items.updateOne({ _id: "a" }, { $inc: { n: 1 } })),
        firstFailure(() => items.insertMany([{ _id: randomUUID() }, { _id: randomUUID() }])),
      ]);
      for (const error of errors) expect(isDatabaseUnavailable(error), String(error)).toBe(true);
      await vi.waitFor(() => expect(changes).toEqual(["down"]), patience);
      expect(isDatabaseUnavailable(await failure(items.findOne({ _id: "a" })))).toBe(true);
      expect(isDatabaseUnavailable(await failure(probe()))).toBe(true);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await vi.waitFor(() => expect(changes).toEqual(["down", "up"]), patience);
    expect(await items.findOne({ _id: "a" })).toMatchObject({ _id: "a" });
    await probe();
  });
});

test.each(["changeStreamDb", "eventWritesDb", "listsDb", "leaseDb"] as const)(
  "what is first asked of connections of their own while the database is away is no loss for later: %s",
  async (which) => {
    await connected(async (database) => {
      const pid = enginePid();
      process.kill(pid, "SIGSTOP");
      const items = database[which].collection<{ _id: string }>("own");
      try {
        expect(isDatabaseUnavailable(await firstFailure(() => items.findOne({ _id: "a" })))).toBe(true);
      } finally {
        process.kill(pid, "SIGCONT");
      }
      await vi.waitFor(() => items.insertOne({ _id: randomUUID() }), patience);
    });
  },
);

test("change streams have connections of their own: waiting ones leave the pool free", async () => {
  await connected(async ({ db, changeStreamDb }) => {
    const streams = Array.from({ length: 3 }, () => changeStreamDb.collection("streams").watch());
    const waiting = streams.map((stream) => stream.next());
    // Also on a pool of one or two connections, calls go on while the streams wait.
    let arrived = 0;
    for (const next of waiting) void next.then(() => arrived++);
    for (let n = 0; arrived < streams.length; n++) await db.collection("streams").insertOne({ n });
    await Promise.all(streams.map((stream) => stream.close()));
  });
});

test("errors of the call itself do not mean that the database is away", async () => {
  await connected(async ({ db }) => {
    const items = db.collection<{ _id: string }>("call");
    await items.insertOne({ _id: "a" });
    const taken = await failure(items.insertOne({ _id: "a" }));
    expect([isDuplicateKey(taken), isDatabaseUnavailable(taken)]).toEqual([true, false]);
    const bulk = await failure(items.insertMany([{ _id: "a" }]));
    expect([isDuplicateKey(bulk), isDatabaseUnavailable(bulk)]).toEqual([true, false]);
    const senseless = await failure(items.updateOne({ _id: "a" }, { $nonsense: { a: 1 } } as never));
    expect([isDuplicateKey(senseless), isDatabaseUnavailable(senseless)]).toEqual([false, false]);
    expect(isDatabaseUnavailable(new Error("other"))).toBe(false);
    expect(isDatabaseUnavailable(Object.assign(new Error("no such file"), { code: "ENOENT" }))).toBe(false);
  });
});

test("errors that mean that the database is away, also where the driver hands them on bare or wrapped", () => {
  const reset = Object.assign(new Error("write ECONNRESET"), { code: "ECONNRESET" });
  const stepDown = new MongoServerError({ message: "not primary", code: 10107 });
  // A bulk write's error is a server error around the one that stopped it.
  const wrapped = [new MongoServerError(reset as never), new MongoServerError(stepDown)];
  for (const error of [reset, stepDown, ...wrapped]) expect(isDatabaseUnavailable(error), String(error)).toBe(true);
});

test("after close, late calls are answered as from a database that is away", async () => {
  let late: Database | undefined;
  await connected(async (database) => {
    late = database;
  });
  const error = await failure(late!.db.collection("late").findOne());
  expect(isDatabaseUnavailable(error), String(error)).toBe(true);
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

test("a database that is not there is told in one sentence, without the credentials", async () => {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  const uri = `mongodb://keeper:s3cr%40t@127.0.0.1:${port}/?authSource=admin`;
  const options = { uri, maxPoolSize: 2, databaseName: "x", log: silentLog, connectLimitMs: 100 };
  const error = (await failure(connectDatabase(options))) as Error;
  expect(error).toMatchObject({ name: "DomainError", reason: "DATABASE_UNAVAILABLE" });
  expect(error.message).toMatch(
    new RegExp(`^Cannot connect to the database at mongodb://127.0.0.1:${port}: .*ECONNREFUSED`),
  );
  expect(error.message).not.toMatch(/keeper|s3cr/);
});

test("a database that comes up while the first connection is tried is waited for", async () => {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  const connecting = connectDatabase({
    uri: engine.uri.replace(/:\d+\//, `:${port}/`),
    maxPoolSize: 2,
    databaseName: "x",
    log: silentLog,
    connectLimitMs: 30_000,
  });
  // A relay to the engine stands in for a database that starts late.
  const relay = createServer((socket) => {
    const target = connect(Number(new URL(engine.uri).port), "127.0.0.1");
    socket.pipe(target).pipe(socket);
    for (const end of [socket, target]) end.on("error", () => {});
  });
  relay.listen(port, "127.0.0.1");
  const database = await connecting;
  expect(await database.db.command({ ping: 1 })).toMatchObject({ ok: 1 });
  await database.close();
  await new Promise((resolve) => relay.close(resolve));
});

test("only scheme and hosts of a connection string are shown", () => {
  expect(hostsOf("mongodb://u:p@a:1,b:2/db?replicaSet=r&tlsCertificateKeyFilePassword=x")).toBe("mongodb://a:1,b:2");
  expect(hostsOf("mongodb+srv://u:p@cluster.example.net/?x=1")).toBe("mongodb+srv://cluster.example.net");
  expect(hostsOf("mongodb://u:p/@w?d@host/db")).toBe("mongodb://host");
  expect(hostsOf("u:p@host")).toBe("(not a MongoDB connection string)");
});

test("a connection string that is none is told without showing it", async () => {
  for (const uri of ["postgres://u:geheim@h/x", "mongodb://u:geh@eim@h:port/x", "mongodb://u:geheim@"]) {
    const options = { uri, maxPoolSize: 2, databaseName: "x", log: silentLog, connectLimitMs: 100 };
    const error = (await failure(connectDatabase(options))) as Error;
    expect(error.message).toMatch(/^Cannot connect to the database at /);
    expect(error.message).not.toMatch(/geh|eim/);
  }
});

async function schemaDatabase(use: (database: Database, again: () => Promise<Database>) => Promise<void>) {
  const { uri, maxPoolSize } = inject("engine");
  const databaseName = `test_${randomUUID().replaceAll("-", "")}`;
  const open = () => connectDatabase({ uri, maxPoolSize, databaseName, log: silentLog });
  const opened = [await open()];
  try {
    await use(opened[0]!, async () => {
      const next = await open();
      opened.push(next);
      return next;
    });
  } finally {
    await opened[0]!.db.dropDatabase();
    await Promise.all(opened.map((database) => database.close()));
  }
}

test("the database's clock is the one that stamps updates", async () => {
  await schemaDatabase(async ({ db }) => {
    const first = await databaseTime(db);
    await vi.waitFor(async () => expect((await databaseTime(db)).getTime()).toBeGreaterThan(first.getTime()));
    const [row] = await db
      .collection("meta")
      .aggregate([{ $collStats: {} }])
      .toArray();
    expect(row).toBeDefined();
    const clock = db.collection<{ _id: string; at: Date }>("clock");
    const stamp = await clock.findOneAndUpdate({ _id: "a" }, [{ $set: { at: "$$NOW" } }], {
      upsert: true,
      returnDocument: "after",
    });
    const last = await databaseTime(db);
    expect(stamp!.at.getTime()).toBeGreaterThanOrEqual(first.getTime());
    expect(stamp!.at.getTime()).toBeLessThanOrEqual(last.getTime());
  });
});
