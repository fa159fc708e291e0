import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { aroundDecisions } from "../support/decisions.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("request ids of CreateRun", () => {
  let app: TestApp;
  /** Called before a run enters its thread's lane, and fails its request when it throws. */
  let beforeEntry: (() => void) | undefined;
  beforeAll(async () => {
    app = await startTestApp({
      config: { leaseMs: 2_000 },
      decorate({ stores, ...parts }) {
        const before = ({ step }: { step: string }) => (step === "enter" ? beforeEntry?.() : undefined);
        return { ...parts, stores: { ...stores, lanes: aroundDecisions(stores.lanes, { before }) } };
      },
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
    "a creation that was cut short, and given up for lost since, is done when it is asked for again: %s",
    async (how) => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const request = requestOf(kit);
      beforeEntry = () => {
        throw new Error("the server dies here");
      };
      await create(request).catch(() => undefined);
      beforeEntry = undefined;
      const records = () => app.db.collection("runs").find({ thread_id: kit.threadId }).toArray();
      const [left] = await records();
      await until(async () => (await records()).length === 0);
      const run = how === "create" ? await create(request) : (await app.client.runs.waitRun({ create: request })).run!;
      expect(run.runId).toBe(String(left!._id));
      expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
      expect((await create(request)).runId).toBe(run.runId);
      expect(kit.gates.steps()).toEqual(["a"]);
      kit.gates.remove();
    },
  );
});
