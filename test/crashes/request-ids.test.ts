import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { around } from "../support/barrier.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("request ids of CreateRun", () => {
  let app: TestApp;
  /** Called before a run is stored, and fails its request when it throws. */
  let beforeInsert: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    app = await startTestApp({
      config: { leaseMs: 3_000 },
      decorate: ({ stores, ...parts }) => ({
        ...parts,
        stores: { ...stores, runs: around(stores.runs, "insert", { before: () => beforeInsert?.() }) },
      }),
    });
  });
  afterAll(() => app.close());

  const requestOf = (kit: RunKit) => ({
    threadId: kit.threadId,
    requestId: `request ${randomUUID()}/1`,
    spec: kit.spec({ steps: ["a"] }),
  });
  const create = async (request: ReturnType<typeof requestOf>) => (await app.client.runs.createRun(request)).run!;

  it.each(["create", "wait"])(
    "a creation that was cut short, and given up for lost since, is done with another id: %s",
    async (how) => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const request = requestOf(kit);
      beforeInsert = () => Promise.reject(new Error("the server dies here"));
      await create(request).catch(() => undefined);
      beforeInsert = undefined;
      const turn = async () => (await app.db.collection("threads").findOne({ thread_id: kit.threadId }))!.turn;
      const lost = (await turn()) as string;
      // The sweep frees the turn, and makes the id unusable.
      await expect.poll(turn, { timeout: 30_000 }).toBeNull();
      const run = how === "create" ? await create(request) : (await app.client.runs.waitRun({ create: request })).run!;
      expect(run.runId).not.toBe(lost);
      expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
      expect((await create(request)).runId).toBe(run.runId);
      kit.gates.remove();
    },
  );
});
