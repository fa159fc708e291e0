import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../gen/grpc/health/v1/health_pb.ts";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type App, startApp } from "../../src/app.ts";
import { createReinsClient, errorReason, type ReinsClient } from "../../src/client/index.ts";
import { entryOf } from "../../src/domain/thread/entry.ts";
import { collections } from "../../src/storage/collections.ts";
import { connectDatabase } from "../../src/storage/database.ts";
import { createLanes } from "../../src/storage/lanes.ts";
import { silentLog } from "../support/embedded-options.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { wallClock } from "../support/stores.ts";
import { gatedGraph, testConfig } from "../support/test-app.ts";

/** A database that comes and goes, under a server that stays. */
describe("while the database is away", () => {
  const leaseMs = 4_000;
  let dataDir: string;
  /** Has the database, so that it can be kept from starting it again. */
  let owner: ChildProcess;
  let uri: string;
  let app: App;
  let client: ReinsClient;
  let health: () => Promise<Serving>;

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "reins-outage-"));
    owner = fork(join(import.meta.dirname, "../support/embedded-process.ts"), [dataDir], { execArgv: [] });
    [{ uri }] = (await once(owner, "message")) as [{ uri: string }];
    await start();
  });

  async function start(): Promise<void> {
    const config = testConfig({ uri, name: "outage" }, { leaseMs, configFile: gatedGraph });
    app = await startApp(config, { log: silentLog, progress: () => {} });
    client = createReinsClient({ baseUrl: app.url });
    const { check } = createClient(Health, createGrpcTransport({ baseUrl: app.url }));
    health = async () => (await check({})).status;
  }
  afterEach(() => bringBack());
  afterAll(async () => {
    await app.stop();
    const ended = once(owner, "exit");
    owner.send("stop");
    await ended;
    await rm(dataDir, { recursive: true, force: true });
  });

  const enginePid = (): number => JSON.parse(readFileSync(join(dataDir, "holder.json"), "utf8")).engine.pid;

  /** Kills the engine and keeps its owner from starting it again. */
  function takeAway(): void {
    owner.kill("SIGSTOP");
    process.kill(enginePid(), "SIGKILL");
  }
  const bringBack = () => owner.kill("SIGCONT");

  /** Reads a run's whole stream; the caller waits for `done`. */
  function follow(kit: RunKit, runId: string) {
    const events: RunEvent[] = [];
    const read = async () => {
      for await (const batch of kit.client.runs.joinRunStream({ threadId: kit.threadId, runId })) {
        events.push(...batch.events);
      }
    };
    return { events, done: read() };
  }

  /** Lost executions, as the run's entry says as long as it is there: until something else is decided about its thread. */
  async function lostOf({ threadId, runId }: { threadId: string; runId: string }): Promise<number> {
    const mongo = await connectDatabase({ uri, maxPoolSize: 1, databaseName: "outage", log: silentLog });
    try {
      const stored = await createLanes(collections(mongo.db), wallClock).read({ owner: "", threadId });
      return entryOf(stored!.control, runId)?.lost ?? 0;
    } finally {
      await mongo.close();
    }
  }

  it("a short outage is survived: the run ends as it would have, and its open stream has no gap", async () => {
    const kit = await createRunKit({ client });
    const run = await kit.start();
    const stream = follow(kit, run.runId);
    kit.gates.open("a");
    await kit.gates.started("b");
    await until(() => stream.events.length > 0);
    const pid = enginePid();
    process.kill(pid, "SIGKILL");
    await until(() => enginePid() !== pid);
    kit.gates.open();
    await stream.done;
    const last = stream.events.at(-1)!.event;
    expect(last).toMatchObject({ case: "ended", value: { status: RunStatus.SUCCESS } });
    expect(stream.events.map(({ sequence }) => Number(sequence))).toEqual(stream.events.map((_, i) => i + 1));
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    expect(await lostOf(run)).toBe(0);
    expect((await kit.get(run.runId)).attempt).toBe(1);
    kit.gates.remove();
  });

  it("calls are refused and change nothing, health says so, and all is well again by itself", async () => {
    const kit = await createRunKit({ client });
    const run = await kit.start();
    const stream = follow(kit, run.runId);
    const joined = kit.join(run.runId);
    await kit.gates.started("a");
    await until(() => stream.events.length > 0);
    // Another one in the same process has something to write just when the database goes.
    const writer = await createRunKit({ client });
    const written = await writer.start();
    await writer.gates.started("a");
    takeAway();
    writer.gates.open("a");
    const name = { threadId: kit.threadId, runId: run.runId };
    for (const call of [
      () => client.runs.cancelRun(name),
      () => client.runs.getRun(name),
      () => client.runs.createRun({ threadId: kit.threadId, spec: kit.spec({}) }),
    ]) {
      expect(await call().then(() => "OK", errorReason)).toBe("DATABASE_UNAVAILABLE");
    }
    await until(async () => (await health()) === Serving.NOT_SERVING);
    const unready = await fetch(`${app.url}/readyz`);
    expect([unready.status, await unready.json()]).toEqual([503, { detail: "The database does not answer." }]);
    expect((await fetch(`${app.url}/livez`)).status).toBe(200);

    // Longer than the lease: nobody knows any more whether the run is still this server's.
    await until(() => kit.gates.pids("a").every((pid) => !isAlive(pid)));
    bringBack();
    await until(async () => (await health()) === Serving.SERVING);
    await until(async () => (await fetch(`${app.url}/readyz`)).ok);
    await until(() => kit.gates.steps().length === 2);
    for (const { gates } of [kit, writer]) gates.open();
    expect((await joined).status).toBe(RunStatus.SUCCESS);
    expect((await joined).cancellation).toBeUndefined();
    expect((await writer.join(written.runId)).status).toBe(RunStatus.SUCCESS);
    for (const one of [run, written]) expect(await lostOf(one)).toBe(0);
    expect((await writer.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    await stream.done;
    expect(stream.events.map(({ sequence }) => Number(sequence))).toEqual(stream.events.map((_, i) => i + 1));
    expect((await kit.state()).values).toMatchObject({ log: ["a", "b", "c"] });
    expect(await kit.client.runs.listRuns({ threadId: kit.threadId })).toMatchObject({ runs: [{ runId: run.runId }] });
    for (const { gates } of [kit, writer]) gates.remove();
  });

  it("a server that is stopped meanwhile ends, and leaves its runs to the next one", async () => {
    const kit = await createRunKit({ client });
    const run = await kit.start({ manners: { b: "deaf" } });
    kit.gates.open("a");
    const pid = await kit.gates.started("b");
    takeAway();
    await app.stop();
    expect(isAlive(pid)).toBe(false);
    bringBack();
    await start();
    kit.gates.open();
    const { run: over } = await client.runs.joinRun({ threadId: kit.threadId, runId: run.runId });
    expect(over!.status).toBe(RunStatus.SUCCESS);
    // It goes on where it was. On a busy machine so short a lease may lapse at other moments as well, and a step be taken again.
    const steps = kit.gates.steps();
    expect(steps.filter((step, i) => step !== steps[i - 1])).toEqual(["a", "b", "c"]);
    expect(steps.filter((step) => step === "b").length).toBeGreaterThan(1);
    kit.gates.remove();
  });
});
