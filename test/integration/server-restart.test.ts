import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import { connectDatabase } from "../../src/storage/database.ts";
import { type EngineName, engineUri } from "../../src/storage/embedded/engines.ts";
import { entryInLane } from "../support/decisions.ts";
import { silentLog, wantedTestEngine } from "../support/embedded-options.ts";
import { isAlive, until } from "../support/gates.ts";
import { descendantsOf, parentOf } from "../support/processes.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { gatedGraph } from "../support/test-app.ts";

/** A server as it is started by hand: with its embedded database, which comes and goes with it. */
describe.runIf(process.platform === "linux")("a restart", { timeout: 120_000 }, () => {
  let dataDir: string;
  let server: ServerProcess;
  let kits: RunKit[];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "reins-restart-"));
    kits = [];
  });
  afterEach(async () => {
    await server.end("SIGKILL");
    for (const { gates } of kits) gates.remove();
    await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  const start = (env: Record<string, string> = {}) =>
    startServerProcess({
      REINS_DATA_DIR: dataDir,
      REINS_VENV_DIR: resolve(import.meta.dirname, "../../.reins/venv"),
      REINS_ENGINE: wantedTestEngine(),
      REINS_CONFIG: gatedGraph,
      REINS_CHILDREN: "1",
      REINS_DRAIN_MS: "1500",
      ...env,
    });

  async function kit(): Promise<RunKit> {
    kits.push(await createRunKit(server));
    return kits.at(-1)!;
  }

  /** The outcome, by the server of now. */
  async function outcome({ threadId }: RunKit, runId: string) {
    const { run } = await server.client.runs.joinRun({ threadId, runId });
    return { status: run!.status, attempt: run!.attempt, error: run!.error?.message };
  }

  async function lostAttempts(runs: { threadId: string; runId: string }[]): Promise<number[]> {
    const [, engine, uri] = /"engine":"([^"]+)","database":"([^"]+)"/.exec(server.log())!;
    const { port } = new URL(uri!);
    const key = engine === "mongod" ? undefined : readFileSync(join(dataDir, "key"), "utf8");
    const database = await connectDatabase({
      uri: engineUri(engine as EngineName, Number(port), key),
      maxPoolSize: 1,
      databaseName: "reins",
      log: silentLog,
    });
    try {
      // Their entries stay until something else is decided about their threads, or a lease has passed.
      return await Promise.all(runs.map(async (run) => (await entryInLane(database.db, run))?.lost ?? 0));
    } finally {
      await database.close();
    }
  }

  it("has one process for graphs beside the engine, and a spare one from the first run on", async () => {
    server = await start();
    const processes = () => descendantsOf(server.pid).filter((pid) => parentOf(pid) === server.pid);
    const engine = JSON.parse(readFileSync(join(dataDir, "holder.json"), "utf8")).engine.pid;
    expect(processes()).toHaveLength(2);
    expect(processes()).toContain(engine);
    const first = await kit();
    first.gates.open();
    await first.join((await first.start()).runId);
    await until(() => processes().length === 3);
  });

  it("in order: what runs is handed back without a loss, what waits keeps waiting, and all of it comes to its end", async () => {
    server = await start();
    const [boundary, stuck] = [await kit(), await kit()];
    const runs = [await boundary.start(), await stuck.start(), await stuck.start()] as const;
    const stream = read(stuck, runs[1].runId);
    await Promise.all([stream.began, ...[boundary, stuck].map(({ gates }) => gates.started("a"))]);
    const ending = server.end("SIGTERM");
    await until(() => server.log().includes("draining"));
    // One reaches the end of its step in time, the other has to be killed in the middle of it.
    boundary.gates.open("a");
    expect(await stream.ended).toEqual([Code.Unavailable, "SHUTTING_DOWN"]);
    expect(await ending).toBe(0);
    expect(boundary.gates.steps()).toEqual(["a"]);

    server = await start();
    for (const { gates } of [boundary, stuck]) gates.open();
    expect(await outcome(boundary, runs[0].runId)).toEqual({ status: RunStatus.SUCCESS, attempt: 2, error: undefined });
    expect(await outcome(stuck, runs[1].runId)).toEqual({ status: RunStatus.SUCCESS, attempt: 2, error: undefined });
    expect(await outcome(stuck, runs[2].runId)).toEqual({ status: RunStatus.SUCCESS, attempt: 1, error: undefined });
    expect(await lostAttempts([...runs])).toEqual([0, 0, 0]);
    expect(boundary.gates.steps()).toEqual(["a", "b", "c"]);
    expect(stuck.gates.steps()).toEqual(["a", "a", "b", "c", "a", "b", "c"]);
    expect(await server.end("SIGTERM")).toBe(0);
  });

  it("after a kill: nothing is left running, and the next start goes on with the same data at once", async () => {
    server = await start();
    const one = await kit();
    const run = await one.start();
    one.gates.open("a");
    const pid = await one.gates.started("b");
    const left = descendantsOf(server.pid);
    expect(left).toContain(pid);

    const second = await start().then(
      () => "it serves",
      (error: Error) => error.message,
    );
    expect(second).toMatch(
      new RegExp(
        `^the server ended with 1: The data directory ${dataDir} is in use by another Reins \\(process ${server.pid}\\): [^\n]*\n$`,
      ),
    );

    await server.end("SIGKILL");
    server = await start();
    await until(() => !left.some(isAlive));
    one.gates.open();
    expect(await outcome(one, run.runId)).toEqual({ status: RunStatus.SUCCESS, attempt: 2, error: undefined });
    expect(await lostAttempts([run])).toEqual([1]);
    expect(one.gates.steps()).toEqual(["a", "b", "b", "c"]);
  });

  it("a second signal stops at once, and still leaves nothing running", async () => {
    server = await start({ REINS_DRAIN_MS: "600000" });
    const one = await kit();
    await one.start();
    await one.gates.started("a");
    const left = descendantsOf(server.pid);
    const ending = server.end("SIGTERM");
    await until(() => server.log().includes("draining"));
    process.kill(server.pid, "SIGTERM");
    expect(await ending).toBe(1);
    await until(() => !left.some(isAlive));
  });
});

/** A stream that is read to its end: when its first event is there, and how it comes to its end. */
function read(kit: RunKit, runId: string) {
  const began = Promise.withResolvers<void>();
  async function follow(): Promise<unknown> {
    try {
      for await (const _ of kit.client.runs.joinRunStream({ threadId: kit.threadId, runId })) began.resolve();
      return "it ended in order";
    } catch (error) {
      return [ConnectError.from(error).code, errorReason(error)];
    } finally {
      began.resolve();
    }
  }
  return { began: began.promise, ended: follow() };
}
