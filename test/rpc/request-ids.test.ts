import { randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, MultitaskStrategy, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type CreateRunRequestSchema, IfNotExists } from "../../gen/reins/v1/run_service_pb.ts";
import { errorInfo, errorReason, runEvents, toPayload } from "../../src/client/index.ts";
import { around, createBarrier } from "../support/barrier.ts";
import { dump } from "../support/dump.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

type Plain<Init> = Exclude<Init, { $typeName: string }>;
type Request = Omit<Plain<MessageInitShape<typeof CreateRunRequestSchema>>, "spec"> & { spec?: Plain<SpecInit> };

const specOf = (kit: RunKit, input: object, more: SpecInit = {}) => kit.spec(input, more) as Plain<SpecInit>;
const failure = (call: Promise<unknown>) =>
  call.then(
    () => "no error",
    (error) => [Code[error.code], errorReason(error)],
  );
const gone = ["NotFound", "RUN_NOT_FOUND"];
const exists = ["AlreadyExists", "REQUEST_EXISTS"];

describe("request ids", () => {
  let app: TestApp;
  /** Called before a run is stored, and fails its request when it throws. */
  let beforeInsert: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    app = await startTestApp({
      decorate: ({ stores, ...parts }) => ({
        ...parts,
        stores: { ...stores, runs: around(stores.runs, "insert", { before: () => beforeInsert?.() }) },
      }),
    });
  });
  afterAll(() => app.close());

  const create = async (request: Request) => (await app.client.runs.createRun(request)).run!;
  const requestOf = (kit: RunKit, more: Request = {}): Request => ({
    threadId: kit.threadId,
    requestId: `request ${randomUUID()}/1`,
    spec: specOf(kit, { steps: ["a"] }),
    ...more,
  });
  const runsOf = async (kit: RunKit) => (await app.client.runs.listRuns({ threadId: kit.threadId })).runs;

  describe("of CreateRun", () => {
    it("the same request answers the same run, as it is now", async () => {
      const kit = await createRunKit(app);
      const request = requestOf(kit);
      const first = await create(request);
      await kit.gates.started("a");
      expect((await create(request)).runId).toBe(first.runId);
      kit.gates.open();
      await kit.join(first.runId);
      expect(await create(request)).toMatchObject({ runId: first.runId, status: RunStatus.SUCCESS });
      expect(await runsOf(kit)).toHaveLength(1);
      expect(kit.gates.steps()).toEqual(["a"]);
      kit.gates.remove();
    });

    it("a value is the same value however it is written", async () => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const input = { dir: kit.gates.dir, steps: ["a"], manners: { a: "polite" } };
      const bytes = (text: string) => ({ encoding: { case: "json", value: Buffer.from(text) } }) as const;
      const requestId = randomUUID();
      const request = (payload: NonNullable<Request["spec"]>["input"], metadata: Record<string, number>): Request => ({
        threadId: kit.threadId,
        requestId,
        spec: { assistantId: "gated", input: payload, metadata },
      });
      const { runId } = await create(request(toPayload(input), { a: 1, b: 2 }));
      const turned = `{"manners" : {"a":"polite"},\n "steps":["\\u0061"], "dir":${JSON.stringify(input.dir)}}`;
      expect((await create(request(bytes(turned), { b: 2, a: 1 }))).runId).toBe(runId);
      const value = {
        encoding: {
          case: "value",
          value: { kind: { case: "structValue", value: pbStruct(input) } },
        },
      } as unknown as NonNullable<Request["spec"]>["input"];
      expect((await create({ ...request(value, { a: 1, b: 2 }), threadId: kit.threadId.toUpperCase() })).runId).toBe(
        runId,
      );
      await kit.join(runId);
      kit.gates.remove();
    });

    it("another request is refused and changes nothing", async () => {
      const [kit, other] = [await createRunKit(app), await createRunKit(app)];
      const request = requestOf(kit);
      const first = await create(request);
      await kit.gates.started("a");
      const stored = () => dump(app.db, { exceptEventsOf: first.runId });
      const before = await stored();
      const spec = request.spec!;
      const others: Request[] = [
        { threadId: other.threadId },
        { runId: randomUUID() },
        { ifNotExists: IfNotExists.CREATE },
        { parent: { threadId: kit.threadId, runId: first.runId } },
        ...[
          { input: undefined },
          { input: toPayload(null) },
          { input: toPayload({ dir: kit.gates.dir, steps: ["b"] }) },
          { metadata: { a: 1 } },
          { after: { seconds: 1n } },
          { timeout: { seconds: 1n } },
          { multitaskStrategy: MultitaskStrategy.REJECT },
          { config: { tags: ["x"] } },
          { interruptBefore: ["step"] },
        ].map((change) => ({ spec: { ...spec, ...change } as Request["spec"] })),
      ];
      for (const change of others) {
        const call = create({ ...request, ...change });
        const error = await call.catch((caught: unknown) => caught);
        expect([Object.keys(change.spec ?? change), errorInfo(error)?.reason]).toEqual([
          Object.keys(change.spec ?? change),
          "REQUEST_EXISTS",
        ]);
        expect(errorInfo(error)?.metadata).toEqual({ request_id: request.requestId });
      }
      expect(await stored()).toEqual(before);
      kit.gates.open();
      await kit.join(first.runId);
      for (const each of [kit, other]) each.gates.remove();
    });

    it("of many at the same time one creates, and all get its run", async () => {
      const kit = await createRunKit(app);
      for (const strategy of [MultitaskStrategy.ENQUEUE, MultitaskStrategy.REJECT]) {
        kit.gates.open();
        const request = requestOf(kit, { spec: specOf(kit, { steps: ["a"] }, { multitaskStrategy: strategy }) });
        const created = await Promise.all(Array.from({ length: 8 }, () => create(request)));
        const [runId] = new Set(created.map((run) => run.runId));
        expect(created.map((run) => run.runId)).toEqual(created.map(() => runId));
        expect((await kit.join(runId!)).status).toBe(RunStatus.SUCCESS);
      }
      expect(await runsOf(kit)).toHaveLength(2);
      expect(kit.gates.spans()).toEqual(["begin a", "end a", "begin a", "end a"]);
      // The thread is free again.
      expect((await kit.join((await kit.start({ steps: ["b"] })).runId)).status).toBe(RunStatus.SUCCESS);
      kit.gates.remove();
    });

    it("a twin that is faster to store the run does not lose it its turn", async () => {
      const kit = await createRunKit(app);
      const request = requestOf(kit);
      const barrier = createBarrier();
      beforeInsert = () => {
        beforeInsert = undefined;
        return barrier.pass()!;
      };
      const slow = create(request);
      await barrier.reached;
      const fast = await create(request);
      barrier.open();
      expect((await slow).runId).toBe(fast.runId);
      await kit.gates.started("a");
      const next = await kit.start({ steps: ["b"] });
      expect(next.status).toBe(RunStatus.PENDING);
      kit.gates.open();
      for (const { runId } of [fast, next]) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
      expect(kit.gates.spans()).toEqual(["begin a", "end a", "begin b", "end b"]);
      kit.gates.remove();
    });

    it("with a chosen run id as well, and nobody else's run of that id is answered", async () => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const request = requestOf(kit, { runId: randomUUID() });
      expect((await create(request)).runId).toBe(request.runId);
      expect((await create(request)).runId).toBe(request.runId);
      await kit.join(request.runId!);
      const other = { ...request, requestId: randomUUID() };
      for (const _ of [1, 2]) expect(await failure(create(other))).toEqual(["AlreadyExists", "RUN_EXISTS"]);
      expect(await failure(create({ ...request, requestId: "" }))).toEqual(["AlreadyExists", "RUN_EXISTS"]);
      kit.gates.remove();
    });

    it("a run that is gone is not created anew", async () => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const [deleted, rolledBack, forgotten] = [requestOf(kit), requestOf(kit), requestOf(kit)];
      const { runId } = await create(deleted);
      await kit.join(runId);
      await app.client.runs.deleteRun({ threadId: kit.threadId, runId });
      // Its last record is kept for an hour.
      expect(await create(deleted)).toMatchObject({ runId, status: RunStatus.SUCCESS });
      const second = await create({ ...rolledBack, spec: { ...rolledBack.spec!, after: { seconds: 3600n } } });
      const name = { threadId: kit.threadId, runId: second.runId };
      await app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK, wait: true });
      const again = await create({ ...rolledBack, spec: { ...rolledBack.spec!, after: { seconds: 3600n } } });
      expect(again).toMatchObject({ runId: second.runId, status: RunStatus.INTERRUPTED });
      const third = await create(forgotten);
      await kit.join(third.runId);
      await app.client.runs.deleteRun({ threadId: kit.threadId, runId: third.runId });
      await app.db.collection("tombstones").deleteMany({});
      expect(await failure(create(forgotten))).toEqual(gone);
      await app.client.threads.deleteThread({ threadId: kit.threadId });
      expect(await failure(create(forgotten))).toEqual(gone);
      kit.gates.remove();
    });

    it("a creation that was cut short is done by the repeat", async () => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const request = requestOf(kit, {
        spec: specOf(kit, { steps: ["a"] }, { multitaskStrategy: MultitaskStrategy.REJECT }),
      });
      beforeInsert = () => Promise.reject(new Error("the server dies here"));
      expect(await failure(create(request))).not.toEqual("no error");
      beforeInsert = undefined;
      // Its thread has given it the turn already: it is not in its own way.
      const run = await create(request);
      expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
      expect((await create(request)).runId).toBe(run.runId);
      expect(kit.gates.steps()).toEqual(["a"]);
      kit.gates.remove();
    });

    it("a refused request leaves its id free", async () => {
      const kit = await createRunKit(app);
      const live = await kit.start({ steps: ["x"] });
      await kit.gates.started("x");
      const stored = () => dump(app.db, { exceptEventsOf: live.runId });
      const before = await stored();
      const request = requestOf(kit);
      const reject = { multitaskStrategy: MultitaskStrategy.REJECT };
      const refused: [Request, string[]][] = [
        [{ spec: { ...request.spec!, assistantId: "nothing" } }, ["InvalidArgument", "GRAPH_NOT_FOUND"]],
        [{ spec: { ...request.spec!, context: toPayload(7) } }, ["InvalidArgument", "INVALID_FIELD"]],
        [{ threadId: randomUUID() }, ["NotFound", "THREAD_NOT_FOUND"]],
        [{ spec: { ...request.spec!, ...reject } }, ["Aborted", "THREAD_BUSY"]],
        [{ runId: live.runId }, ["AlreadyExists", "RUN_EXISTS"]],
        [{ spec: { ...request.spec!, metadata: { a: "x".repeat(70_000) } } }, ["ResourceExhausted", "INPUT_TOO_LARGE"]],
      ];
      for (const [change, error] of refused) expect(await failure(create({ ...request, ...change }))).toEqual(error);
      expect(await stored()).toEqual(before);
      kit.gates.open();
      await kit.join(live.runId);
      const accepted = await create({ ...request, spec: { ...request.spec!, ...reject } });
      expect((await kit.join(accepted.runId)).status).toBe(RunStatus.SUCCESS);
      kit.gates.remove();
    });

    it("is kept for a day and holds no value of the run", async () => {
      const kit = await createRunKit(app);
      kit.gates.open();
      const request = requestOf(kit);
      const { runId } = await create(request);
      const [kept] = await app.db.collection("requests").find({ run_id: runId }).toArray();
      expect(Object.keys(kept!).toSorted()).toEqual(
        ["_id", "created", "expire_at", "hash", "owner", "run_id", "thread_id"].toSorted(),
      );
      expect(kept).toMatchObject({ _id: `create:${request.requestId}`, created: true });
      const left = (kept!.expire_at as Date).getTime() - Date.now();
      expect(left).toBeGreaterThan(23 * 3_600_000);
      expect(left).toBeLessThanOrEqual(24 * 3_600_000);
      await kit.join(runId);
      kit.gates.remove();
    });
  });

  describe("of WaitRun and StreamRun", () => {
    it("attach to the run that the same request has created", async () => {
      const kit = await createRunKit(app);
      const request = requestOf(kit);
      const first = app.client.runs.waitRun({ create: request });
      await kit.gates.started("a");
      const { runId } = (await runsOf(kit))[0]!;
      const kinds: (string | undefined)[] = [];
      const second = app.client.runs.waitRun({ create: request });
      const reading = (async () => {
        const stream = runEvents((signal) => app.client.runs.streamRun({ create: request }, { signal }));
        for await (const { event } of stream) kinds.push(event.case);
      })();
      await expect.poll(() => kinds, { timeout: 20_000 }).toContain("created");
      kit.gates.open();
      for (const answer of [await first, await second, await app.client.runs.waitRun({ create: request })]) {
        expect(answer.run).toMatchObject({ runId, status: RunStatus.SUCCESS });
      }
      await reading;
      expect(kinds.at(-1)).toBe("ended");
      expect(kit.gates.steps()).toEqual(["a"]);
      const other = { ...request, spec: specOf(kit, { steps: ["b"] }) };
      expect(await failure(app.client.runs.waitRun({ create: other }))).toEqual(exists);
      kit.gates.remove();
    });

    it("a repeat that leaves cancels the run that it waits for", async () => {
      const kit = await createRunKit(app);
      const request = requestOf(kit);
      const { runId } = await create(request);
      await kit.gates.started("a");
      const leaving = new AbortController();
      const waiting = app.client.runs
        .waitRun({ create: request, onDisconnect: OnDisconnect.CANCEL }, { signal: leaving.signal })
        .catch(() => "left");
      await expect.poll(() => app.db.collection("watches").countDocuments({}), { timeout: 20_000 }).toBe(1);
      leaving.abort();
      expect(await waiting).toBe("left");
      expect((await kit.join(runId)).cancellation).toMatchObject({ requestedBy: "disconnect" });
      kit.gates.remove();
    });
  });

  it("of CancelRun are taken, and make a repeat no other than it is without one", async () => {
    const kit = await createRunKit(app);
    const [run, next] = [await kit.start({ steps: ["a"] }), await kit.start({ steps: ["b"] })];
    await kit.gates.started("a");
    const cancel = { threadId: kit.threadId, requestId: randomUUID() };
    const { runs } = app.client;
    expect((await runs.cancelRun({ ...cancel, runId: run.runId, wait: true })).outcome).toBe(CancelOutcome.STOPPED);
    expect((await runs.cancelRun({ ...cancel, runId: run.runId })).outcome).toBe(CancelOutcome.STOPPED);
    const other = { ...cancel, runId: next.runId, action: CancelAction.ROLLBACK };
    expect((await runs.cancelRun({ ...other, wait: true })).outcome).not.toBe(CancelOutcome.REQUESTED);
    // An id of one kind of request is no id of another.
    const created = await create(requestOf(kit, { requestId: cancel.requestId }));
    kit.gates.open();
    expect((await kit.join(created.runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });
});

/** A google.protobuf.Struct of strings, lists and objects. */
function pbStruct(value: object): object {
  const fields = Object.entries(value).map(([name, inner]) => [name, pbValue(inner)]);
  return { fields: Object.fromEntries(fields) };
}

function pbValue(value: unknown): object {
  if (typeof value === "string") return { kind: { case: "stringValue", value } };
  if (Array.isArray(value)) return { kind: { case: "listValue", value: { values: value.map(pbValue) } } };
  return { kind: { case: "structValue", value: pbStruct(value as object) } };
}
