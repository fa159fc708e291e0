import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { OnCompletion, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import {
  batchRequest,
  besideRequests,
  createStatelessKit,
  type StatelessKit,
  temporaryThreadsAreGone,
} from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let kit: StatelessKit;

beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());
beforeEach(() => {
  kit = createStatelessKit(app);
});
afterEach(() => kit.gates.remove());

const steps = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`);
const names = (runs: readonly Run[]) => runs.map(({ threadId, runId }) => ({ threadId, runId }));

describe("BatchCreateRuns", () => {
  it("creates stateless runs, answers them in order, and leaves nothing of them", async () => {
    const before = besideRequests(await dump(app.db));
    const wanted = { runs: steps(30).map((step) => kit.item(step)), includeInput: true };
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
    await temporaryThreadsAreGone(app);
    expect(besideRequests(await dump(app.db))).toEqual(before);
    expect(kit.gates.steps().toSorted()).toEqual(steps(30).toSorted());
  });

  it("keeps the threads of those that ask for it", async () => {
    const keep = { onCompletion: OnCompletion.KEEP };
    kit.gates.open();
    const { runs } = await app.client.runs.batchCreateRuns({ runs: [kit.item("a", keep), kit.item("b")] });
    const [kept, gone] = names(runs);
    expect(await kit.join(kept!)).toMatchObject({ status: RunStatus.SUCCESS, log: ["a"] });
    await temporaryThreadsAreGone(app);
    expect((await app.client.runs.getRun(kept!)).run!.status).toBe(RunStatus.SUCCESS);
    expect(await app.client.runs.getRun(gone!).catch(errorReason)).toBe("RUN_NOT_FOUND");
    await app.client.threads.deleteThread({ threadId: kept!.threadId });
  });

  it("answers a repeat with the same runs, also when they are over and gone", async () => {
    const request = { requestId: "same", runs: [kit.item("a"), kit.item("b")] };
    const create = () => app.client.runs.batchCreateRuns(request);
    const answers = await Promise.all([create(), create(), create()]);
    for (const { runs } of answers) expect(names(runs)).toEqual(names(answers[0]!.runs));
    kit.gates.open();
    await temporaryThreadsAreGone(app);
    const late = await create();
    expect(names(late.runs)).toEqual(names(answers[0]!.runs));
    expect(late.runs.map(({ status }) => status)).toEqual([RunStatus.SUCCESS, RunStatus.SUCCESS]);
    expect(kit.gates.steps().toSorted()).toEqual(["a", "b"]);

    // After an hour their last records are gone as well.
    await app.db.collection("tombstones").deleteMany({});
    const error = await create().catch((one) => one);
    expect([Code[error.code], errorReason(error)]).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    expect(error.rawMessage).toMatch(/^request_id: run .* is over and gone$/);
    const stored = (await batchRequest(app, "same"))!;
    expect(stored).toMatchObject({ kind: "batch", done: true });
    expect(stored).not.toHaveProperty("records");
    expect(stored.expire_at.getTime() - stored.created.getTime()).toBe(24 * 60 * 60 * 1000);
    expect(kit.gates.steps()).toHaveLength(2);
  });

  it("refuses the id of another request", async () => {
    kit.gates.open();
    const create = (...runs: ReturnType<StatelessKit["item"]>[]) =>
      app.client.runs.batchCreateRuns({ requestId: "other", runs });
    await create(kit.item("a"), kit.item("b"));
    await temporaryThreadsAreGone(app);
    for (const runs of [
      [kit.item("a")],
      [kit.item("b"), kit.item("a")],
      [kit.item("a"), kit.item("b", { metadata: { x: 1 } })],
    ]) {
      const error = await create(...runs).catch((one) => one);
      expect([Code[error.code], errorReason(error)]).toEqual(["AlreadyExists", "REQUEST_EXISTS"]);
      expect(error.rawMessage).toMatch(/^request_id: "other" came with another request before/);
    }
    expect(kit.gates.steps().toSorted()).toEqual(["a", "b"]);
  });
});
