import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { identifyProcess } from "../../src/storage/embedded/process-identity.ts";
import { type EmbeddedDatabase, startEmbeddedDatabase } from "../../src/storage/embedded/start-embedded-database.ts";
import { embeddedOptions } from "../support/embedded-options.ts";
import { descendantsOf, parentOf } from "../support/processes.ts";

/** The life of the embedded database: exclusive use, crashes of every process that takes part, and the data after it. */

const processPath = join(import.meta.dirname, "../support/embedded-process.ts");
/** Where processes tell their relatives. */
const onLinux = test.runIf(process.platform === "linux");
const patience = { timeout: 30_000, interval: 20 };

let dataDir: string;
let cleanups: (() => unknown)[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "reins-embedded-"));
  cleanups = [() => rm(dataDir, { recursive: true, force: true })];
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function start(): Promise<EmbeddedDatabase> {
  const database = await startEmbeddedDatabase(embeddedOptions(dataDir));
  cleanups.push(() => database.stop());
  return database;
}

/** A Reins of its own process, in its own process group. */
async function startProcess(): Promise<{ child: ChildProcess; message: { uri?: string; error?: string } }> {
  const child = fork(processPath, [dataDir], { detached: true, execArgv: [] });
  cleanups.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    if (child.connected) child.send("stop");
    else child.kill("SIGKILL");
    await exit;
  });
  const [message] = await once(child, "message");
  return { child, message };
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

function enginePid(): number {
  return JSON.parse(readFileSync(join(dataDir, "holder.json"), "utf8")).engine.pid;
}

/** From proc(5): the process group. */
function groupOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
}

/** The shell that ends the engine when its server is gone. */
function watcherOf(engine: number): number {
  const [watcher, ...others] = descendantsOf(engine);
  expect(others).toEqual([]);
  return watcher!;
}

async function withItems<T>(
  uri: string,
  use: (items: ReturnType<ReturnType<MongoClient["db"]>["collection"]>) => Promise<T>,
) {
  const client = new MongoClient(uri, {
    writeConcern: { w: "majority", journal: true },
    serverSelectionTimeoutMS: 20_000,
  });
  try {
    return await use(client.db("life").collection("items"));
  } finally {
    await client.close();
  }
}

const insert = (uri: string, name: string) => withItems(uri, (items) => items.insertOne({ name }));
const names = (uri: string) =>
  withItems(uri, async (items) => (await items.find().toArray()).map(({ name }) => name).sort());

test("a stop ends the engine, and the next start has all data", async () => {
  const first = await start();
  const pid = enginePid();
  // SecantusDB forgets retried writes in a crash: the driver would apply them twice.
  expect(first.uri.includes("retryWrites=false")).toBe(first.engine !== "mongod");
  await insert(first.uri, "kept");
  await first.stop();
  expect(identifyProcess(pid)).toBeUndefined();
  expect(existsSync(join(dataDir, "holder.json"))).toBe(false);

  const second = await start();
  expect(second.engine).toBe(first.engine);
  expect(await names(second.uri)).toEqual(["kept"]);
  await second.stop();
  await second.stop();
});

test("nobody gets in without the key of the data directory, which only its owner can read", async () => {
  const database = await start();
  await insert(database.uri, "secret");
  const modes = (name: string) => (statSync(join(dataDir, name)).mode & 0o777).toString(8);
  expect([".", "data"].map(modes)).toEqual(["700", "700"]);
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const open = files.filter((entry) => (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0);
  expect(open.map(({ name }) => name)).toEqual([]);
  expect(files.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["key", "engine.json", "engine.log", "holder.json"]),
  );
  // Not to be had there: see takesKey.
  if (database.engine === "mongod") return;
  const { port } = new URL(database.uri);
  for (const user of ["", "reins:wrong@"]) {
    const uri = `mongodb://${user}127.0.0.1:${port}/?directConnection=true&authSource=admin&retryWrites=false`;
    await expect(names(uri)).rejects.toThrow(/authentication/i);
    await expect(insert(uri, "intruder")).rejects.toThrow(/authentication/i);
  }
  await database.stop();

  // A key that was lost is replaced by whoever has the data, and one that is there stays.
  await rm(join(dataDir, "key"));
  const second = await start();
  expect(second.uri).not.toBe(database.uri);
  expect(await names(second.uri)).toEqual(["secret"]);
  const key = readFileSync(join(dataDir, "key"), "utf8");
  await second.stop();
  const third = await start();
  expect(await names(third.uri)).toEqual(["secret"]);
  expect(readFileSync(join(dataDir, "key"), "utf8")).toBe(key);
});

test("a directory in use is refused by name, with the process that has it", async () => {
  const { child, message } = await startProcess();
  expect(message.uri).toMatch(/^mongodb:\/\/(reins:[\w-]{43}@)?127\.0\.0\.1:/);
  const refusal = `The data directory ${dataDir} is in use by another Reins (process ${child.pid})`;
  await expect(start()).rejects.toThrow(refusal);
  const other = await startProcess();
  expect(other.message.error).toContain(refusal);
  // The refused starts have disturbed nothing.
  await insert(message.uri!, "undisturbed");
  expect(await names(message.uri!)).toEqual(["undisturbed"]);
});

test("an engine that holds the data for somebody unknown is refused as well", async () => {
  const { message } = await startProcess();
  const holder = join(dataDir, "holder.json");
  const record = readFileSync(holder, "utf8");
  await rm(holder);
  await expect(start()).rejects.toThrow(`${dataDir} is in use by another process`);
  await insert(message.uri!, "undisturbed");
  await writeFile(holder, record); // for the holder's stop
});

test("Reins is killed: its engine ends, and a start at once succeeds with every acknowledged write", async () => {
  const { child, message } = await startProcess();
  const pid = enginePid();
  for (let n = 0; n < 20; n++) await insert(message.uri!, `n${String(n).padStart(2, "0")}`);
  await kill(child);

  const next = await start();
  expect(identifyProcess(pid)).toBeUndefined();
  expect(await names(next.uri)).toEqual(Array.from({ length: 20 }, (_, n) => `n${String(n).padStart(2, "0")}`));
});

onLinux("Reins is killed and not started again: the engine and its watcher end by themselves", async () => {
  const { child } = await startProcess();
  const engine = enginePid();
  expect(parentOf(engine)).toBe(child.pid);
  const watcher = watcherOf(engine);
  await kill(child);
  await vi.waitFor(() => expect([engine, watcher].map(identifyProcess)).toEqual([undefined, undefined]), patience);
});

onLinux("Reins is killed while its engine does not react: the engine is killed too", async () => {
  const { child } = await startProcess();
  const engine = enginePid();
  process.kill(engine, "SIGSTOP");
  await kill(child);
  await vi.waitFor(() => expect(identifyProcess(engine)).toBeUndefined(), patience);
});

test("the engine is killed: it comes back at the same address with every acknowledged write", async () => {
  const database = await start();
  let exited: Error | undefined;
  database.onExit((error) => {
    exited = error;
  });
  await insert(database.uri, "before");
  const pid = enginePid();
  process.kill(pid, "SIGKILL");
  await vi.waitFor(() => expect(enginePid()).not.toBe(pid), patience);
  await insert(database.uri, "after");
  expect(await names(database.uri)).toEqual(["after", "before"]);
  expect(exited).toBeUndefined();
});

onLinux("the watcher is killed: an engine with a new one serves at the same address", async () => {
  const database = await start();
  await insert(database.uri, "before");
  const pid = enginePid();
  process.kill(watcherOf(pid), "SIGKILL");
  await vi.waitFor(() => expect(enginePid()).not.toBe(pid), patience);
  expect(identifyProcess(pid)).toBeUndefined();
  expect(await names(database.uri)).toEqual(["before"]);
  expect(identifyProcess(watcherOf(enginePid()))).toBeDefined();
  await database.stop();
  await start();
});

test("an engine that dies again and again is given up, with a word", async () => {
  const database = await start();
  const exit = new Promise<Error>((resolve) => database.onExit(resolve));
  const killed = new Set<number>();
  const killNext = setInterval(() => {
    const pid = enginePid();
    if (killed.has(pid) || identifyProcess(pid) === undefined) return;
    killed.add(pid);
    process.kill(pid, "SIGKILL");
  }, 10);
  cleanups.push(() => clearInterval(killNext));
  expect((await exit).message).toMatch(/ended 5 times within 30 s, the last time it was ended by SIGKILL/);
  clearInterval(killNext);
  expect(killed.size).toBe(5);
  await database.stop();
  await start();
});

onLinux("Ctrl-C reaches Reins, not its database", async () => {
  const { child, message } = await startProcess();
  const pid = enginePid();
  // A terminal signals the whole group of the process in front, which is the child's own here.
  expect(groupOf(child.pid!)).toBe(child.pid);
  expect(groupOf(pid)).not.toBe(child.pid);
  const interrupted = once(child, "message");
  process.kill(-child.pid!, "SIGINT");
  expect((await interrupted)[0]).toEqual({ interrupted: true });
  await insert(message.uri!, "while draining");
  expect(enginePid()).toBe(pid);
  const exit = once(child, "exit");
  child.send("stop");
  expect(await exit).toEqual([0, null]);
  expect(identifyProcess(pid)).toBeUndefined();
});
