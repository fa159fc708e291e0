import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import {
  batchRequest,
  besideRequests,
  createStatelessKit,
  type StatelessKit,
  temporaryThreadsAreGone,
} from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Ends a server's writes at one place, as its death does: from then on nothing is stored any more. */
interface Death {
  readonly method: "runs.insert" | "lanes.insert" | "requests.finishBatch";
  /** The call that is not made any more, from 1. */
  left: number;
}
let death: Death | undefined;
let isDead = false;

function mortal<A extends unknown[], R>(method: Death["method"], call: (...args: A) => Promise<R>) {
  return async (...args: A): Promise<R> => {
    if (death?.method === method) {
      death.left -= 1;
      isDead ||= death.left === 0;
    }
    if (isDead) throw new Error("the server is dead");
    return call(...args);
  };
}

let app: TestApp;
let kit: StatelessKit;

beforeAll(async () => {
  app = await startTestApp({
    config: { leaseMs: 5_000 },
    decorate: ({ stores, ...parts }) => ({
      ...parts,
      stores: {
        ...stores,
        runs: { ...stores.runs, insert: mortal("runs.insert", stores.runs.insert) },
        lanes: { ...stores.lanes, insert: mortal("lanes.insert", stores.lanes.insert) },
        batches: { ...stores.batches, finishBatch: mortal("requests.finishBatch", stores.batches.finishBatch) },
      },
    }),
  });
});
afterAll(() => app.close());
beforeEach(() => {
  kit = createStatelessKit(app);
});
afterEach(() => kit.gates.remove());

const steps = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);

describe("a batch", () => {
  it("that is decided is carried out, wherever the server dies, and nothing of it twice", async () => {
    const places: [Death["method"], number][] = [
      ...([1, 3].map((left) => ["runs.insert", left]) as [Death["method"], number][]),
      ...([1, 3].map((left) => ["lanes.insert", left]) as [Death["method"], number][]),
      ["requests.finishBatch", 1],
    ];
    for (const [method, left] of places) {
      const requestId = `${method} ${left}`;
      const prefix = `${requestId.replaceAll(/[. ]/g, "-")}-`;
      const wanted = steps(10).map((step) => `${prefix}${step}`);
      // Those that were created before the death execute, end, and must not be created again.
      kit.gates.open();
      death = { method, left };
      const request = { requestId, runs: wanted.map((step) => kit.item(step)) };
      await expect(app.client.runs.batchCreateRuns(request)).rejects.toMatchObject({ code: Code.Internal });
      expect(isDead).toBe(true);
      expect((await batchRequest(app, requestId))!.done).toBe(false);
      // All of them have come, and may have gone with their threads, when nobody knows yet that the batch is done.
      if (method === "requests.finishBatch") await until(() => wanted.every((step) => kit.gates.isDone(step)));
      death = undefined;
      isDead = false;
      await until(async () => (await batchRequest(app, requestId))!.done, 60_000);
      await until(() => wanted.every((step) => kit.gates.isDone(step)), 60_000);
      await temporaryThreadsAreGone(app);
      expect(
        kit.gates
          .steps()
          .filter((step) => step.startsWith(prefix))
          .toSorted(),
        requestId,
      ).toEqual(wanted.toSorted());
      const { runs } = await app.client.runs.batchCreateRuns(request);
      expect(runs.map(({ status }) => status)).toEqual(wanted.map(() => RunStatus.SUCCESS));
      const left_ = besideRequests(await dump(app.db));
      for (const { runId } of runs) expect(mentions(left_, runId)).toEqual([]);
    }
    expect(kit.gates.steps()).toHaveLength(50);
  }, 180_000);
});
