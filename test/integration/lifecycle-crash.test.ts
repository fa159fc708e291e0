import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import type { Db } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Config } from "../../src/config.ts";
import { createRuns, type Runs } from "../../src/create-runs.ts";
import { newId } from "../../src/domain/ids.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import { createChildPool } from "../../src/worker/child-pool.ts";
import { readLanggraphJson } from "../../src/worker/langgraph-json.ts";
import type { GraphReport } from "../../src/worker/protocol.ts";
import { type Scenario, type Scene, scenarios } from "../support/crash-scenarios.ts";
import { doubleTexting } from "../support/double-texting-scenarios.ts";
import { dump, mentions } from "../support/dump.ts";
import { silentLog, type TestDatabase, testDatabase } from "../support/engine.ts";
import { createGates, until } from "../support/gates.ts";
import { createMortalServer } from "../support/mortal-server.ts";
import { openParts, openStores } from "../support/stores.ts";
import { testConfig, testGraphs } from "../support/test-app.ts";

/** A few at a time: the machine is small. */
async function inGroups<T, R>(items: readonly T[], what: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += 8) results.push(...(await Promise.all(items.slice(at, at + 8).map(what))));
  return results;
}

describe("a server that dies at any write", () => {
  let database: TestDatabase;
  let db: Db;
  let host: AttemptHost;
  let reports: readonly GraphReport[];
  let config: Config;
  const scenes: Scene[] = [];

  beforeAll(async () => {
    setMaxListeners(0);
    database = await testDatabase();
    db = database.db;
    config = testConfig(database, { leaseMs: 60_000, pollMs: 250 });
    const { graphs } = readLanggraphJson(testGraphs);
    host = createChildPool({
      entry: new URL("../../src/worker/child/main.ts", import.meta.url),
      graphs: graphs.filter(({ name }) => name === "gated"),
      children: 1,
      slotsPerChild: 64,
      env: { ...config.childEnv },
      cwd: process.cwd(),
      log: silentLog,
      graceMs: config.graceMs,
      leaseMs: 600_000,
      blockedLimitMs: 0,
    });
    [reports] = await Promise.all([host.start(), openStores(db)]);
  });
  afterAll(async () => {
    await Promise.all(scenes.map(({ server }) => server.close()));
    for (const { gates } of scenes) gates.remove();
    await host.stop();
    await database.close();
  });

  async function open(): Promise<Scene> {
    const threadId = randomUUID();
    const server = await createMortalServer({ db, config, host, reports, threadId });
    await server.runs.createThread({ owner: "", threadId, metadata: {}, ifExists: "raise" });
    const gates = createGates();
    const answered = new Set<string>();
    const runIds: Record<string, string> = {};
    const runName = (name: string) => ({ owner: "", threadId, runId: runIds[name]! });
    const scene: Scene = {
      threadId,
      gates,
      server,
      answered,
      runIds,
      runName,
      got: (answer) => void (server.isDead || answered.add(answer)),
      async create(name, steps, more = {}) {
        runIds[name] = newId();
        const spec = {
          assistantId: "gated",
          input: JSON.stringify({ dir: gates.dir, steps }),
          metadata: {},
          streamModes: ["values" as const],
          streamSubgraphs: false,
          interruptBefore: [],
          interruptAfter: [],
          multitaskStrategy: "enqueue" as const,
          durability: "sync" as const,
          onCompletion: "delete" as const,
          ...more,
        };
        const run = await server.runs.createRun({ ...runName(name), isChosenId: true, spec, createThread: false });
        scene.got(name);
        return run;
      },
      join: async (name) => (await server.runs.outcomes.wait(runName(name), AbortSignal.timeout(600_000)))!,
    };
    scenes.push(scene);
    return scene;
  }

  /** Plays a scenario until its end, or until the server dies at a write. */
  async function play(scenario: Scenario, dieAt: number): Promise<Scene> {
    const scene = await open();
    await scenario.prepare(scene);
    scene.server.dieAt(dieAt);
    const acted = scenario.act(scene);
    acted.catch(() => undefined);
    await Promise.race([acted, scene.server.dead]);
    return scene;
  }

  async function allDeaths(scenario: Scenario): Promise<Scene[]> {
    const undisturbed = await play(scenario, Number.POSITIVE_INFINITY);
    const count = undisturbed.server.writes.length;
    const places = Array.from({ length: count }, (_, i) => i + 1);
    return [undisturbed, ...(await inGroups(places, (place) => play(scenario, place)))];
  }

  async function startRescuer(): Promise<Runs> {
    return createRuns({
      ...(await openParts(db, 3_000)),
      graphs: [],
      reports,
      host: {
        ...host,
        renewed: () => undefined,
        get freeSlots() {
          return host.freeSlots;
        },
        pids: [],
      },
      config: { ...config, leaseMs: 3_000 },
      isTransient: () => false,
      pause: () => Promise.resolve(),
      log: silentLog,
    });
  }

  /** Nothing of any thread is live or half-done. */
  async function isQuiet(): Promise<boolean> {
    const live = { status: { $in: ["pending", "running"] } };
    if ((await db.collection("runs").countDocuments(live)) > 0) return false;
    const owing = { owes_since: { $type: "date" } };
    const unsettled = { $or: [{ removing: true }, { head_server: { $gt: "" } }, owing, { status: "busy" }] };
    return (await db.collection("threads").countDocuments(unsettled)) === 0;
  }

  /** The runs' ends by their names. */
  async function expectSound(scene: Scene, scenario: Scenario, runs: Runs): Promise<Record<string, string>> {
    const { threadId } = scene;
    const stored = await db.collection("runs").find({ thread_id: threadId }).sort({ n: 1 }).toArray();
    const found: Record<string, string> = {};
    for (const [name, expected] of Object.entries(scenario.ends(scene))) {
      const run = stored.find(({ _id }) => String(_id) === scene.runIds[name]);
      found[name] = run?.status ?? "gone";
      expect(expected, JSON.stringify(run?.error)).toContain(found[name]);
      if (run) expect(run).toMatchObject({ phase: "over" });
      else if (scene.runIds[name]) await expectNothingLeft(threadId, scene.runIds[name]);
      if (run) await expectTold(runs, scene.runName(name), run.status);
      if (run?.cancel && scenario.cause) expect(run.cancel.cause).toBe(scene.runIds[scenario.cause]);
    }
    if (scenario.threadIsGone) {
      expect(await dump(db, { threadId })).toEqual({});
      return found;
    }
    const state = await runs.readThreads.state({ owner: "", threadId }, { omitValues: false });
    const thread = await runs.readThreads.get({ owner: "", threadId });
    const log = state.values === undefined ? [] : (JSON.parse(state.values).log as string[]);
    expect(log).toEqual(stored.flatMap((run) => stepsOf(run as never, log)));
    expect(thread.status).toBe(state.next.length > 0 ? "interrupted" : "idle");
    expect(thread.state?.values).toEqual(state.values);
    expect(thread.state?.checkpointId).toBe(state.checkpointId);
    return found;
  }

  /** Only a run that was cancelled for its sake still names it. */
  async function expectNothingLeft(threadId: string, runId: string): Promise<void> {
    const left = mentions(await dump(db, { threadId }), runId);
    expect(left.filter(({ cancel }) => cancel?.cause !== runId)).toEqual([]);
  }

  /** A finished run's steps, each once; of an interrupted one those that it had completed. */
  function stepsOf({ status, spec }: { status: string; spec: { input: string } }, log: string[]): string[] {
    const { steps } = JSON.parse(spec.input) as { steps: string[] };
    return status === "success" ? steps : steps.filter((step) => log.includes(step));
  }

  /** Waiters and readers learn the stored outcome, and of every event once. */
  async function expectTold(runs: Runs, name: { owner: string; threadId: string; runId: string }, status: string) {
    const signal = AbortSignal.timeout(300_000);
    expect((await runs.outcomes.wait(name, signal))!.status).toBe(status);
    const run = await runs.readRuns.get(name);
    const events = [];
    for await (const batch of runs.tail({ run, afterSequence: 0, modes: [], signal })) events.push(...batch);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, i) => i + 1));
    expect(events.filter(({ kind }) => kind === "ended")).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ kind: "ended", run: { status } });
  }

  const subjects = [
    ["runs and threads", scenarios],
    ["double-texting", doubleTexting],
  ] as const;
  it.each(subjects)(
    "%s: the next server puts right what is left, and one that was only asleep writes nothing",
    async (_, all) => {
      const played: { scene: Scene; name: string; scenario: Scenario }[] = [];
      for (const [name, scenario] of Object.entries(all)) {
        const deaths = await allDeaths(scenario);
        played.push(...deaths.map((scene) => ({ scene, name, scenario })));
        console.log(`${name}: ${deaths.filter(({ server }) => server.isDead).length} crash points`);
      }
      for (const { gates } of scenes) gates.open();
      const runs = await startRescuer();
      const wrong: string[] = [];
      const ends = new Map<Scene, Record<string, string>>();

      async function checkAll(when: string): Promise<void> {
        await until(isQuiet, 600_000).catch((error) => wrong.push(`${when}: ${error}`));
        await inGroups(played, async ({ scene, name, scenario }) => {
          const { writes } = scene.server;
          const place = `${name}, ${when}, before write ${writes.length} (${writes.slice(-3).join(", ")})`;
          const found = await expectSound(scene, scenario, runs).catch(
            (error) => void wrong.push(`${place}: ${error}`),
          );
          for (const [run, status] of Object.entries(ends.get(scene) ?? {})) {
            if (status !== "gone" && found?.[run] !== status) wrong.push(`${place}: ${status} has changed`);
          }
          if (found) ends.set(scene, found);
        });
      }

      await Promise.all(played.map(({ scene, scenario }) => scene.server.isDead && scenario.again?.(scene, runs)));
      await checkAll("dead");
      for (const { server } of scenes) if (server.isDead) server.wake();
      await Promise.all(scenes.map(({ server }) => server.runs.drain(0)));
      await checkAll("woken");
      await runs.close();
      expect(wrong).toEqual([]);
    },
    // Two minutes on a quiet machine, and a limit that only a test which hangs reaches.
    1_800_000,
  );
});
