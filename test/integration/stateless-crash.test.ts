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
import { dump } from "../support/dump.ts";
import { silentLog, type TestDatabase, testDatabase } from "../support/engine.ts";
import { createGates, type Gates, until } from "../support/gates.ts";
import { createMortalServer, type MortalServer } from "../support/mortal-server.ts";
import { openParts, openStores } from "../support/stores.ts";
import { testConfig, testGraphs } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/** A stateless run whose server dies at one write. */
interface Scene {
  readonly server: MortalServer;
  readonly name: { owner: string; threadId: string; runId: string };
  readonly gates: Gates;
  /** Creates the run with a caller that waits for its end. */
  wait(): Promise<unknown>;
}

const cancel = (action: "interrupt" | "rollback") => ({ action, reason: "test", requestedBy: "client" }) as const;

/** What happens to the run, by how it ends. */
const scenarios: Record<string, (scene: Scene) => Promise<unknown>> = {
  async success(scene) {
    scene.gates.open();
    await scene.wait();
  },
  async "an interrupt"(scene) {
    const waited = scene.wait();
    waited.catch(() => undefined);
    await scene.gates.started("a");
    await scene.server.runs.cancels.cancel(scene.name, cancel("interrupt"));
    await waited;
  },
  async "a rollback"(scene) {
    const waited = scene.wait();
    waited.catch(() => undefined);
    await scene.gates.started("a");
    await scene.server.runs.cancels.cancel(scene.name, cancel("rollback"));
    await waited;
  },
};

describe("a server that dies at any write of a stateless run's life", () => {
  let database: TestDatabase;
  let db: Db;
  let host: AttemptHost;
  let reports: readonly GraphReport[];
  let config: Config;
  let receiver: WebhookReceiver;
  const scenes: Scene[] = [];

  beforeAll(async () => {
    setMaxListeners(0);
    receiver = await startWebhookReceiver();
    database = await testDatabase();
    db = database.db;
    config = testConfig(database, { leaseMs: 60_000, webhookPauseMs: 20, webhookLimitMs: 1_000 });
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
    await receiver.close();
  });

  async function open(): Promise<Scene> {
    const name = { owner: "", threadId: randomUUID(), runId: newId() };
    const server = await createMortalServer({ db, config, host, reports, threadId: name.threadId });
    const gates = createGates();
    const { runs } = server;
    const scene: Scene = {
      server,
      name,
      gates,
      async wait() {
        const pin = runs.pinThread(name);
        try {
          await runs.createRun({
            ...name,
            isChosenId: true,
            createThread: false,
            stateless: { temporary: true },
            spec: {
              assistantId: "gated",
              input: JSON.stringify({ dir: gates.dir, steps: ["a"] }),
              metadata: {},
              streamModes: ["values"],
              streamSubgraphs: false,
              interruptBefore: [],
              interruptAfter: [],
              multitaskStrategy: "enqueue",
              durability: "sync",
              onCompletion: "delete",
              webhook: receiver.url(`/${name.runId}`),
            },
          });
          const run = await runs.outcomes.wait(name, AbortSignal.timeout(60_000));
          await runs.readRuns.endState(run!);
        } finally {
          pin.close();
        }
      },
    };
    scenes.push(scene);
    return scene;
  }

  const isGone = async ({ name }: Scene) =>
    (await db.collection("threads").countDocuments({ thread_id: name.threadId })) === 0;
  const webhookOf = async ({ name }: Scene) =>
    (await db.collection("tombstones").findOne({ _id: name.runId as never }))?.webhook as { state: string } | undefined;

  /** Also the removal and the webhook, which nobody waits for. */
  async function play(what: (scene: Scene) => Promise<unknown>, dieAt: number): Promise<Scene> {
    const scene = await open();
    scene.server.dieAt(dieAt);
    const acted = what(scene).then(async () => {
      await until(async () => (await isGone(scene)) && (await webhookOf(scene))?.state === "done");
    });
    acted.catch(() => undefined);
    await Promise.race([acted, scene.server.dead]);
    return scene;
  }

  function startRescuer(): Promise<Runs> {
    return openParts(db, 3_000).then((parts) =>
      createRuns({
        ...parts,
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
      }),
    );
  }

  it("leaks nothing, and tells the webhook", async () => {
    const played: { scene: Scene; place: string; undisturbed: boolean }[] = [];
    for (const [name, what] of Object.entries(scenarios)) {
      const undisturbed = await play(what, Number.POSITIVE_INFINITY);
      played.push({ scene: undisturbed, place: name, undisturbed: true });
      const count = undisturbed.server.writes.length;
      console.log(`${name}: ${count} crash points: ${undisturbed.server.writes.join(" ")}`);
      for (let at = 1; at <= count; at += 8) {
        const places = Array.from({ length: Math.min(8, count - at + 1) }, (_, i) => at + i);
        const group = await Promise.all(places.map((place) => play(what, place)));
        played.push(...group.map((scene, i) => ({ scene, place: `${name}, write ${places[i]}`, undisturbed: false })));
      }
    }
    for (const { scene } of played) scene.gates.open();
    const rescuer = await startRescuer();
    const wrong: string[] = [];

    async function check(when: string): Promise<void> {
      await until(
        async () => (await db.collection("threads").countDocuments({ rev: { $exists: true } })) === 0,
        120_000,
      ).catch((error) => wrong.push(`${when}: ${error}`));
      for (const { scene, place } of played) {
        const { threadId, runId } = scene.name;
        const left = await dump(db, { threadId });
        if (Object.keys(left).length > 0) wrong.push(`${place}, ${when}: ${JSON.stringify(left).slice(0, 600)}`);
        const grave = await db.collection("tombstones").findOne({ _id: runId as never });
        // A run that was never stored has no end.
        if (!grave) {
          const mayBe = scene.server.writes.length <= 2 && receiver.calls(`/${runId}`).length === 0;
          if (!mayBe) wrong.push(`${place}, ${when}: without a last record`);
          continue;
        }
        const told = await until(async () => (await webhookOf(scene))?.state === "done", 60_000).then(
          () => receiver.calls(`/${runId}`).map(({ body }) => body.status),
          (error) => [String(error)],
        );
        const status = grave.cancel?.action === "rollback" ? "rollback" : grave.status;
        if (told.length === 0 || told.some((one) => one !== status))
          wrong.push(`${place}, ${when}: ${told} of ${status}`);
      }
    }

    // Deliveries that the dead servers have taken are nobody's for a lease of theirs: as if it were over.
    await db
      .collection("tombstones")
      .updateMany({ "webhook.state": "pending" }, { $set: { "webhook.due_at": new Date(0) } });
    await check("dead");
    const stored = played.filter(({ undisturbed }) => undisturbed);
    for (const { scene } of stored) expect(receiver.calls(`/${scene.name.runId}`)).toHaveLength(1);
    for (const { scene } of played) if (scene.server.isDead) scene.server.wake();
    await Promise.all(played.map(({ scene }) => scene.server.runs.drain(0)));
    await check("woken");
    await rescuer.close();
    expect(wrong).toEqual([]);
  }, 600_000);
});
