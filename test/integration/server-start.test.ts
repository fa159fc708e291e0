import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { schemaVersion } from "../../src/storage/database.ts";
import { type TestDatabase, testDatabase } from "../support/engine.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

/** What the person who starts a server gets to read when it cannot start: one sentence, and exit code 1. */
describe("a start that cannot succeed says why in one sentence", () => {
  let database: TestDatabase;
  let folder: string;
  beforeAll(async () => {
    [database, folder] = await Promise.all([testDatabase(), mkdtemp(join(tmpdir(), "reins-start-"))]);
  });
  afterAll(async () => {
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** What it prints, when the exit code is 1. */
  async function refusal(env: Record<string, string>, flags: string[] = ["--port", "0"]): Promise<string> {
    const ours = { MONGODB_URI: database.uri, REINS_DATABASE: database.name, REINS_CONFIG: gatedGraph };
    const message = await startServerProcess(
      { ...ours, REINS_CHILDREN: "1", REINS_LOG_LEVEL: "fatal", ...env },
      flags,
    ).then(
      async (server) => {
        await server.end("SIGKILL");
        return "it serves";
      },
      (error: Error) => error.message,
    );
    return /^the server ended with 1: ([^\n]*)\n$/.exec(message)?.[1] ?? `no sentence: ${message}`;
  }

  it("a port that is taken", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    const sentence = await refusal({}, ["--port", String(port)]);
    expect(sentence).toBe(`The port ${port} on 127.0.0.1 is already in use; choose another one with --port.`);
    await new Promise((resolve) => holder.close(resolve));
  });

  it("another host than a loopback one", async () => {
    expect(await refusal({}, ["--port", "0", "--host", "0.0.0.0"])).toMatch(/0\.0\.0\.0 is not a loopback .*--host/);
  });

  it("a database that cannot be reached, without its credentials", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const sentence = await refusal({ MONGODB_URI: `mongodb://someone:s3cret@127.0.0.1:${port}/?appName=x` });
    expect(sentence).toContain(`Cannot connect to the database at mongodb://127.0.0.1:${port}: `);
    expect(sentence).not.toMatch(/someone|s3cret/);
  });

  it("an address that is none", async () => {
    const sentence = await refusal({ MONGODB_URI: "postgres://someone:s3cret@127.0.0.1/" });
    expect(sentence).toContain("Cannot connect to the database at (not a MongoDB connection string): ");
    expect(sentence).not.toMatch(/someone|s3cret/);
  });

  it("a configuration that is no JSON", async () => {
    const file = join(folder, "langgraph.json");
    await writeFile(file, "{ graphs");
    expect(await refusal({ REINS_CONFIG: file })).toContain(`${file}: is not valid JSON: `);
  });

  it("a configuration that is not there", async () => {
    const file = join(folder, "nowhere.json");
    expect(await refusal({}, ["--config", file])).toContain(`${file}: the configuration cannot be read: `);
  });

  it.each([
    ["variable", { REINS_PROT: "1" }, [], /^REINS_PROT is no setting of Reins; known are .*REINS_PORT/],
    ["flag", {}, ["--prot", "1"], /^--prot is no option; known are .*--port/],
  ] as const)("an unknown %s", async (_, env, flags, sentence) => {
    expect(await refusal({ ...env }, [...flags])).toMatch(sentence);
  });

  it("a database of another version", async () => {
    const other = await testDatabase();
    const version = schemaVersion + 1;
    await other.db.collection<{ _id: string; version: number }>("meta").insertOne({ _id: "schema", version });
    const sentence = await refusal({ REINS_DATABASE: other.name });
    expect(sentence).toBe(
      `The database ${other.name} has schema version ${version}, and this Reins knows version ${schemaVersion} only.`,
    );
    // It has been left alone.
    expect(await other.db.collection("meta").find().toArray()).toEqual([{ _id: "schema", version }]);
    await other.close();
  });
});
