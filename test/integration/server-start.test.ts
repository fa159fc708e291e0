import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp } from "../../src/app.ts";
import { createReinsClient, errorReason } from "../../src/client/index.ts";
import { schemaVersion } from "../../src/storage/migrations/migrations.ts";
import { settingsOf, silentLog, type TestDatabase, testDatabase } from "../support/engine.ts";
import { until } from "../support/gates.ts";
import { startServerProcess } from "../support/server-process.ts";
import { gatedGraph, testConfig } from "../support/test-app.ts";

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

  it("a port that is taken, before a database is started", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as AddressInfo;
    const dataDir = join(folder, "untouched");
    const sentence = await refusal({ MONGODB_URI: "", REINS_DATA_DIR: dataDir }, ["--port", String(port)]);
    expect(sentence).toBe(`The port ${port} on 127.0.0.1 is already in use; choose another one with --port.`);
    expect(existsSync(dataDir)).toBe(false);
    await new Promise((resolve) => holder.close(resolve));
  });

  it("another host than a loopback one", async () => {
    expect(await refusal({}, ["--port", "0", "--host", "0.0.0.0"])).toMatch(
      /^The host 0\.0\.0\.0 is not a loopback .*--access.*--host.*--insecure-no-auth\.$/,
    );
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

  it("an auth file that is not there: never without access control", async () => {
    const file = join(folder, "with-auth.json");
    await writeFile(file, JSON.stringify({ graphs: { a: "./a.ts:graph" }, auth: { path: "./auth.ts:auth" } }));
    expect(await refusal({ REINS_CONFIG: file })).toBe(
      `The auth file ${join(folder, "auth.ts")}:auth cannot be used: there is no such file.`,
    );
  });

  it("a configuration that is not there", async () => {
    const file = join(folder, "nowhere.json");
    expect(await refusal({}, ["--config", file])).toContain(`${file}: the configuration cannot be read: `);
  });

  it.each([
    ["variable", { REINS_PROT: "1" }, [], /^REINS_PROT is no setting of Reins; did you mean REINS_PORT\?/],
    ["flag", {}, ["--prot", "1"], /^--prot is no option; did you mean --port\?/],
  ] as const)("an unknown %s", async (_, env, flags, sentence) => {
    expect(await refusal({ ...env }, [...flags])).toMatch(sentence);
  });

  it("a database of another version", async () => {
    const other = await testDatabase();
    const version = schemaVersion + 1;
    await other.db.collection<{ _id: string; version: number }>("meta").insertOne({ _id: "schema", version });
    const sentence = await refusal({ REINS_DATABASE: other.name });
    expect(sentence).toBe(
      `The database ${other.name} has schema version ${version}, and this Reins knows version ${schemaVersion} only: it needs a newer Reins.`,
    );
    // It has been left alone.
    expect(await other.db.collection("meta").find().toArray()).toEqual([{ _id: "schema", version }]);
    await other.close();
  });
});

describe("a start that takes its time", () => {
  it("answers that it is starting until its database does, and then serves", async () => {
    const database = await testDatabase();
    const target = new URL(database.uri);
    // Takes connections, and keeps them waiting until it is told where to.
    const held: Socket[] = [];
    let line: ((near: Socket) => void) | undefined;
    const gate = createServer((near) => (line ? line(near) : held.push(near))).listen(0, "127.0.0.1");
    await once(gate, "listening");
    const port = await freePort();
    target.port = String((gate.address() as AddressInfo).port);
    const config = testConfig({ uri: target.href, name: database.name }, { port, configFile: gatedGraph });
    const starting = startApp(config, { log: silentLog, progress: () => {} });
    await until(() => held.length > 0);

    const url = `http://127.0.0.1:${port}`;
    const { threads } = createReinsClient({ baseUrl: url });
    const early = await fetch(`${url}/ok`);
    expect([early.status, (await early.json()).detail]).toEqual([503, expect.stringContaining("is starting")]);
    expect(errorReason(await threads.createThread({}).catch((error) => error))).toBe("STARTING");

    line = (near) => {
      const far = connect(Number(new URL(database.uri).port), "127.0.0.1");
      near
        .on("error", () => far.destroy())
        .pipe(far)
        .on("error", () => near.destroy())
        .pipe(near);
    };
    for (const near of held) line(near);
    const app = await starting;
    expect(app.url).toBe(url);
    expect((await fetch(`${url}/ok`)).status).toBe(200);
    expect((await threads.createThread({})).thread).toBeDefined();
    await app.stop();
    gate.close();
    await database.close();
  });
});

describe("what a person sees of a start", () => {
  it("lines for people and a banner, where that is asked for", async () => {
    const database = await testDatabase();
    const file = join(await mkdtemp(join(tmpdir(), "reins-banner-")), "langgraph.json");
    const graphs = { ...JSON.parse(await readFile(gatedGraph, "utf8")).graphs };
    const absolute = Object.entries<string>(graphs).map(([name, path]) => [name, join(dirname(gatedGraph), path)]);
    await writeFile(file, JSON.stringify({ graphs: { ...Object.fromEntries(absolute), lost: "./lost.ts:graph" } }));
    const settings = { ...settingsOf(database), REINS_CONFIG: file, REINS_CHILDREN: "1", REINS_LOG_FORMAT: "pretty" };
    const server = await startServerProcess({ ...settings, NO_COLOR: "1" });
    await until(() => server.log().includes("Stop "));
    const log = server.log();
    expect(log).toMatch(/^\[\d\d:\d\d:\d\d\] INFO: Reins serves \{.*\}$/m);
    for (const line of [
      `  API     ${server.url} .*`,
      `  Docs    ${server.url}/docs`,
      "  Graphs  gated",
      "  Broken  lost: .*lost.ts.*",
      `  Data    the database ${database.name} at .*`,
      "  Stop    Ctrl-C.*",
    ]) {
      expect(log).toMatch(new RegExp(`^${line}$`, "m"));
    }
    expect(await server.end("SIGTERM")).toBe(0);
    await rm(dirname(file), { recursive: true });
    await database.close();
  });
});

/** A port that is free now; whoever takes it in between is reported. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
