import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, OnCompletion, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { type Dump, dump, tombstones } from "../support/dump.ts";
import { endOf } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type SpecInit } from "../support/run-kit.ts";
import {
  createStatelessKit,
  type StatelessKit,
  type StatelessName,
  type Told,
  temporaryThreadsAreGone,
} from "../support/stateless-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let kit: StatelessKit;
let before: Dump;

beforeAll(async () => {
  // One slot: a run that must wait does so behind another.
  app = await startTestApp({ config: { slotsPerChild: 1, graceMs: 500 } });
});
afterAll(() => app.close());
beforeEach(async () => {
  kit = createStatelessKit(app);
  before = await dump(app.db);
});
afterEach(() => kit.gates.remove());

/** Nothing of the run is left but its last record, and nobody finds it any more. */
async function expectGone({ threadId, runId }: StatelessName): Promise<void> {
  await temporaryThreadsAreGone(app);
  expect(await dump(app.db)).toEqual(before);
  const graves = (await tombstones(app.db)).filter(({ _id }) => String(_id) === runId);
  expect(graves).toHaveLength(1);
  expect(graves[0]!.spec).not.toHaveProperty("input");
  const { runs, threads } = app.client;
  const calls: Promise<unknown>[] = [
    ...[runs.getRun({ threadId, runId }), runs.joinRun({ threadId, runId }), runs.deleteRun({ threadId, runId })],
    ...[threads.getThread({ threadId }), threads.getThreadState({ threadId })],
    (async () => {
      for await (const _ of runs.joinRunStream({ threadId, runId }));
    })(),
  ];
  const answers = await Promise.all(
    calls.map((call) =>
      call.then(
        () => "found",
        ({ code }) => Code[code],
      ),
    ),
  );
  expect(answers).toEqual(calls.map(() => "NotFound"));
}

const cancelled = (outcome: CancelOutcome, action: CancelAction = CancelAction.INTERRUPT, reason = "enough") => ({
  status: RunStatus.INTERRUPTED,
  action,
  reason,
  outcome,
});
const uncancelled = (status: RunStatus) => ({ status, action: undefined, reason: undefined, outcome: undefined });

interface End {
  readonly input?: object;
  readonly more?: SpecInit;
  /** The step in which the run executes when it is brought to its end: the first or the second one. */
  readonly at?: "a" | "b";
  readonly end: (name: StatelessName) => Promise<unknown>;
  readonly told: object;
  /** The completed steps that those who get values see; none for a run that is rolled back. */
  readonly log: readonly string[] | undefined;
}

const cancel = (action: CancelAction) => async (name: StatelessName) => {
  const request = { ...name, action, reason: "enough", wait: true };
  const answers = await Promise.all([app.client.runs.cancelRun(request), app.client.runs.cancelRun(request)]);
  for (const { outcome, run } of answers) {
    expect([outcome, run!.status]).toEqual([CancelOutcome.STOPPED, RunStatus.INTERRUPTED]);
  }
};

const rolledBack = (outcome: CancelOutcome, reason?: string) => cancelled(outcome, CancelAction.ROLLBACK, reason);

const ends: Record<string, End> = {
  success: {
    end: async () => kit.gates.open(),
    told: uncancelled(RunStatus.SUCCESS),
    log: ["a", "b"],
  },
  "an error": {
    more: { config: { recursionLimit: 2 } },
    at: "a",
    end: async () => kit.gates.open(),
    told: uncancelled(RunStatus.ERROR),
    log: ["a"],
  },
  "its time": {
    more: { timeout: { seconds: 2n } },
    end: async () => {},
    told: uncancelled(RunStatus.TIMEOUT),
    log: ["a"],
  },
  "an interrupt": { end: cancel(CancelAction.INTERRUPT), told: cancelled(CancelOutcome.STOPPED), log: ["a"] },
  "a rollback": { end: cancel(CancelAction.ROLLBACK), told: rolledBack(CancelOutcome.STOPPED), log: undefined },
  "the rollback of a step that does not listen": {
    input: { manners: { b: "deaf" } },
    end: (name) => app.client.runs.cancelRun({ ...name, action: CancelAction.ROLLBACK, reason: "enough" }),
    told: rolledBack(CancelOutcome.KILLED),
    log: undefined,
  },
  deletion: {
    end: (name) => app.client.runs.deleteRun(name),
    told: rolledBack(CancelOutcome.STOPPED, "run deleted"),
    log: undefined,
  },
};

/** Those who are attached to a run: the call that created it, or two that came later. */
const attached: Record<string, (input: object, more: SpecInit) => Promise<StatelessName & { told: Promise<Told>[] }>> =
  {
    async WaitRun(input, more) {
      const { threadId, runId, told } = await kit.wait(input, more);
      return { threadId, runId, told: [told] };
    },
    async StreamRun(input, more) {
      const { threadId, runId, told } = await kit.stream(input, more);
      return { threadId, runId, told: [told] };
    },
    async "JoinRun and JoinRunStream"(input, more) {
      const name = await kit.create(input, more);
      const joined = kit.join(name);
      joined.catch(() => {});
      await until(async () => (await storedThread(name))?.watched_by?.length === 1);
      return { ...name, told: [joined, (await kit.joinStream(name)).told] };
    },
  };

const storedThread = ({ threadId }: StatelessName) => app.db.collection("threads").findOne({ thread_id: threadId });

describe.each(Object.keys(ends))("a stateless run that ends by %s", (name) => {
  it.each(Object.keys(attached))("%s learns it, with values and every event; then the run is gone", async (callers) => {
    const { input = {}, more = {}, at = "b", end, told, log } = ends[name]!;
    if (at === "b") kit.gates.open("a");
    const run = await attached[callers]!({ steps: ["a", "b"], ...input }, more);
    await kit.gates.started(at);
    const { threadId, runId } = run;
    const [, outcomes] = await Promise.all([end({ threadId, runId }), Promise.all(run.told)]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject(told);
      // A stream's last state is also that of a run which is rolled back afterwards.
      if (log || outcome.from === "answer") expect(outcome.log).toEqual(log);
    }
    await expectGone(run);
  });
});

it.each([CancelAction.INTERRUPT, CancelAction.ROLLBACK])(
  "a cancel (%i) while it waits is learned too",
  async (action) => {
    const busy = await kit.create({ steps: ["a"] });
    await kit.gates.started("a");
    const expected = cancelled(CancelOutcome.NEVER_STARTED, action);
    const waiting: StatelessName[] = [];
    for (const attach of Object.values(attached)) {
      const { threadId, runId, told } = await attach({}, {});
      const request = { threadId, runId, action, reason: "enough" };
      expect((await app.client.runs.cancelRun(request)).outcome).toBe(CancelOutcome.NEVER_STARTED);
      for (const outcome of await Promise.all(told)) expect(outcome).toMatchObject({ ...expected, log: undefined });
      // The last record knows it still.
      expect((await app.client.runs.cancelRun({ ...request, wait: true })).outcome).toBe(CancelOutcome.NEVER_STARTED);
      waiting.push({ threadId, runId });
    }
    kit.gates.open();
    await kit.join(busy);
    for (const run of [...waiting, busy]) await expectGone(run);
    expect(kit.gates.steps()).toEqual(["a"]);
  },
);

describe("a stateless run", () => {
  it("works with its thread's id while it lives, and is gone at once when nobody waits for it", async () => {
    const name = await kit.create({ steps: ["a"] });
    await kit.gates.started("a");
    expect((await app.client.runs.getRun(name)).run).toMatchObject({ ...name, status: RunStatus.RUNNING });
    expect((await app.client.runs.listRuns({ threadId: name.threadId })).runs).toHaveLength(1);
    const early = await app.client.runs.joinRun({ ...name, timeout: { nanos: 1_000_000 } });
    expect(early.run!.status).toBe(RunStatus.RUNNING);
    kit.gates.open();
    await expectGone(name);
    expect(await app.client.runs.cancelRun(name).catch(errorReason)).toBe("RUN_NOT_FOUND");
  });

  it("stays until the slowest reader has every event", async () => {
    const emitter = createStatelessKit(app, "emitter");
    const count = 5_000;
    const create = { spec: emitter.spec({ count, padding: 500 }, { streamModes: [StreamMode.CUSTOM] }) };
    // It reads nothing until the run is over; more is on its way to it than the server keeps in memory for a reader.
    const slow = app.client.runs.streamRun({ create })[Symbol.asyncIterator]();
    const events = [...(await slow.next()).value!.events];
    const created = events[0]!.event;
    const { threadId, runId } = created.case === "created" ? created.value : expect.fail("no created event");
    await emitter.gates.started("middle");
    emitter.gates.open();
    await emitter.join({ threadId, runId });
    expect((await app.client.runs.getRun({ threadId, runId })).run!.status).toBe(RunStatus.SUCCESS);
    for (let next = await slow.next(); !next.done; next = await slow.next()) events.push(...next.value.events);
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(events.map((_, i) => i + 1));
    expect(events).toHaveLength(count + 3);
    expect(endOf(events)).toMatchObject({ status: RunStatus.SUCCESS });
    await expectGone({ threadId, runId });
    emitter.gates.remove();
  });

  it("is gone when those who were attached have left without waiting for its end", async () => {
    const { threadId, runId, reader } = await kit.stream({ steps: ["a"] });
    await kit.gates.started("a");
    await reader.leave();
    await until(async () => (await storedThread({ threadId, runId }))?.watched_by?.length === 0);
    kit.gates.open();
    await expectGone({ threadId, runId });
  });

  it("leaves its thread, like any other, with KEEP", async () => {
    kit.gates.open();
    const { threadId, runId, told } = await kit.wait({ steps: ["a"] }, { onCompletion: OnCompletion.KEEP });
    expect(await told).toMatchObject({ status: RunStatus.SUCCESS, log: ["a"] });
    expect((await app.client.runs.getRun({ threadId, runId })).run!.status).toBe(RunStatus.SUCCESS);
    const again = await app.client.runs.waitRun({ create: { threadId, spec: kit.spec({ steps: ["b"] }) } });
    expect(fromPayload(again.values)).toMatchObject({ log: ["a", "b"] });
    await app.client.threads.deleteThread({ threadId });
    expect(await dump(app.db)).toEqual(before);
  });

  it("lets no other run onto its thread", async () => {
    const { threadId, runId } = await kit.create({ steps: ["a"] });
    const spec = kit.spec({});
    const error = await app.client.runs.createRun({ threadId, spec }).catch((one) => one);
    expect([Code[error.code], errorReason(error)]).toEqual(["InvalidArgument", "INVALID_FIELD"]);
    expect(error.rawMessage).toMatch(/^thread_id: thread .* is the temporary one of a stateless run/);
    expect((await app.client.runs.listRuns({ threadId })).runs).toHaveLength(1);
    kit.gates.open();
    await expectGone({ threadId, runId });
  });

  it("with an id that is taken leaves no thread behind", async () => {
    const plain = await createRunKit(app);
    const { runId } = await plain.start({ dir: kit.gates.dir, steps: ["a"] });
    const here = await dump(app.db);
    const create = () => app.client.runs.createRun({ runId, spec: kit.spec({}) }).catch(errorReason);
    expect(await Promise.all([create(), create()])).toEqual(["RUN_EXISTS", "RUN_EXISTS"]);
    expect(Object.keys((await dump(app.db)).threads!)).toEqual(Object.keys(here.threads!));
    await app.client.threads.deleteThread({ threadId: plain.threadId });
    plain.gates.remove();
  });

  it("of which the id is chosen twice at the same time exists once", async () => {
    const runId = randomUUID();
    const create = () => app.client.runs.createRun({ runId, spec: kit.spec({ steps: ["a"] }) });
    const results = await Promise.allSettled([create(), create(), create()]);
    const made = results.filter((one) => one.status === "fulfilled");
    expect(made).toHaveLength(1);
    kit.gates.open();
    await expectGone({ threadId: made[0]!.value.run!.threadId, runId });
    expect(kit.gates.steps()).toEqual(["a"]);
  });
});
