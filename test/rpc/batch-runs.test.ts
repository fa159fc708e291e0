import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OnCompletion, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { type Dump, dump, mentions } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createStatelessKit, type StatelessKit } from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Ends a server's writes at one place, as its death does: from then on nothing is stored any more. */
interface Death {
  readonly method: "runs.insert" | "threads.insert" | "requests.finishBatch";
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
    config: { leaseMs: 2_000 },
    decorate: ({ stores, ...parts }) => ({
      ...parts,
      stores: {
        ...stores,
        runs: { ...stores.runs, insert: mortal("runs.insert", stores.runs.insert) },
        threads: { ...stores.threads, insert: mortal("threads.insert", stores.threads.insert) },
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

const item = (step: string, more = {}) => ({ spec: kit.spec({ steps: [step] }, more) });
const steps = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);
const names = (runs: readonly Run[]) => runs.map(({ threadId, runId }) => ({ threadId, runId }));
const temporaryAreGone = () =>
  until(async () => (await app.db.collection("threads").countDocuments({ temporary: true })) === 0);
/** What is stored beside the requests themselves. */
const rest = ({ requests: _, ...others }: Dump) => others;

async function requestOf(requestId: string) {
  return app.db.collection("requests").findOne({ _id: `batch:${requestId}` as never });
}

describe("BatchCreateRuns", () => {
  it("creates stateless runs, answers them in order, and leaves nothing of them", async () => {
    const before = rest(await dump(app.db));
    const wanted = { runs: steps(30).map((step) => item(step)), includeInput: true };
    const { runs } = await app.client.runs.batchCreateRuns(wanted);
    expect(new Set(runs.map(({ runId }) => runId)).size).toBe(30);
    expect(new Set(runs.map(({ threadId }) => threadId)).size).toBe(30);
    expect(runs.map(({ spec }) => (fromPayload(spec!.input) as { steps: string[] }).steps[0])).toEqual(steps(30));
    for (const { status } of runs) expect([RunStatus.PENDING, RunStatus.RUNNING]).toContain(status);
    const joined = runs.map(({ threadId, runId }) => kit.join({ threadId, runId }));
    kit.gates.open();
    for (const [i, told] of (await Promise.all(joined)).entries()) {
      expect(told).toMatchObject({ status: RunStatus.SUCCESS, log: [`s${i}`] });
    }
    await temporaryAreGone();
    expect(rest(await dump(app.db))).toEqual(before);
    expect(kit.gates.steps().toSorted()).toEqual(steps(30).toSorted());
  });

  it("keeps the threads of those that ask for it", async () => {
    const keep = { onCompletion: OnCompletion.KEEP };
    kit.gates.open();
    const { runs } = await app.client.runs.batchCreateRuns({ runs: [item("a", keep), item("b")] });
    const [kept, gone] = names(runs);
    expect(await kit.join(kept!)).toMatchObject({ status: RunStatus.SUCCESS, log: ["a"] });
    await temporaryAreGone();
    expect((await app.client.runs.getRun(kept!)).run!.status).toBe(RunStatus.SUCCESS);
    expect(await app.client.runs.getRun(gone!).catch(errorReason)).toBe("RUN_NOT_FOUND");
    await app.client.threads.deleteThread({ threadId: kept!.threadId });
  });

  it("answers a repeat with the same runs, also when they are over and gone", async () => {
    const request = { requestId: "same", runs: [item("a"), item("b")] };
    const create = () => app.client.runs.batchCreateRuns(request);
    const answers = await Promise.all([create(), create(), create()]);
    for (const { runs } of answers) expect(names(runs)).toEqual(names(answers[0]!.runs));
    kit.gates.open();
    await temporaryAreGone();
    const late = await create();
    expect(names(late.runs)).toEqual(names(answers[0]!.runs));
    expect(late.runs.map(({ status }) => status)).toEqual([RunStatus.SUCCESS, RunStatus.SUCCESS]);
    expect(kit.gates.steps().toSorted()).toEqual(["a", "b"]);

    // After an hour their last records are gone as well.
    await app.db.collection("tombstones").deleteMany({});
    const error = await create().catch((one) => one);
    expect([Code[error.code], errorReason(error)]).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    expect(error.rawMessage).toMatch(/^request_id: run .* is over and gone$/);
    const stored = (await requestOf("same"))!;
    expect(stored).toMatchObject({ kind: "batch", done: true });
    expect(stored).not.toHaveProperty("records");
    expect(stored.expire_at.getTime() - stored.created.getTime()).toBe(24 * 60 * 60 * 1000);
    expect(kit.gates.steps()).toHaveLength(2);
  });

  it("refuses the id of another request", async () => {
    kit.gates.open();
    const create = (...runs: ReturnType<typeof item>[]) =>
      app.client.runs.batchCreateRuns({ requestId: "other", runs });
    await create(item("a"), item("b"));
    await temporaryAreGone();
    for (const runs of [[item("a")], [item("b"), item("a")], [item("a"), item("b", { metadata: { x: 1 } })]]) {
      const error = await create(...runs).catch((one) => one);
      expect([Code[error.code], errorReason(error)]).toEqual(["AlreadyExists", "REQUEST_EXISTS"]);
      expect(error.rawMessage).toMatch(/^request_id: "other" came with another request before/);
    }
    expect(kit.gates.steps().toSorted()).toEqual(["a", "b"]);
  });

  it("that is decided is carried out, wherever the server dies, and nothing of it twice", async () => {
    const places: [Death["method"], number][] = [
      ...([1, 3].map((left) => ["runs.insert", left]) as [Death["method"], number][]),
      ...([1, 3].map((left) => ["threads.insert", left]) as [Death["method"], number][]),
      ["requests.finishBatch", 1],
    ];
    for (const [method, left] of places) {
      const requestId = `${method} ${left}`;
      const prefix = `${requestId.replaceAll(/[. ]/g, "-")}-`;
      const wanted = steps(10).map((step) => `${prefix}${step}`);
      // Those that were created before the death execute, end, and must not be created again.
      kit.gates.open();
      death = { method, left };
      const request = { requestId, runs: wanted.map((step) => item(step)) };
      await expect(app.client.runs.batchCreateRuns(request)).rejects.toMatchObject({ code: Code.Internal });
      expect(isDead).toBe(true);
      expect((await requestOf(requestId))!.done).toBe(false);
      if (method === "requests.finishBatch") {
        await until(() => wanted.every((step) => kit.gates.isDone(step)));
        const ended = { "stateless.batch": requestId, cleanup: null, phase: "over" };
        await until(async () => (await app.db.collection("runs").countDocuments(ended)) === 10);
      }
      death = undefined;
      isDead = false;
      await until(async () => (await requestOf(requestId))!.done, 60_000);
      await until(() => wanted.every((step) => kit.gates.isDone(step)), 60_000);
      await temporaryAreGone();
      expect(
        kit.gates
          .steps()
          .filter((step) => step.startsWith(prefix))
          .toSorted(),
        requestId,
      ).toEqual(wanted.toSorted());
      const { runs } = await app.client.runs.batchCreateRuns(request);
      expect(runs.map(({ status }) => status)).toEqual(wanted.map(() => RunStatus.SUCCESS));
      const left_ = rest(await dump(app.db));
      for (const { runId } of runs) expect(mentions(left_, runId)).toEqual([]);
    }
    expect(kit.gates.steps()).toHaveLength(50);
  }, 180_000);
});
