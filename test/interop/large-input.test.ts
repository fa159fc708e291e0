import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, type Run, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import {
  createGrpcJsClient,
  fromPayload,
  RunService,
  runEvents,
  ThreadService,
  toPayload,
} from "../../src/client/index.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let kit: RunKit;
beforeAll(async () => {
  app = await startTestApp();
  kit = await createRunKit(app);
});
afterAll(async () => {
  kit.gates.remove();
  await app.close();
});

/** Small parts of a spec, which every answer holds. */
const small = { streamModes: [StreamMode.UPDATES], metadata: { tag: "large" } };
const padding = (bytes: number) => ({ padding: "x".repeat(bytes) });

/** What a run may be given: more than a gRPC client takes by default, 4 MB. */
const large: [what: string, given: () => SpecInit][] = [
  ["input", () => kit.spec({ steps: ["a"], manners: padding(5_000_000) }, small)],
  [
    "settings",
    () =>
      kit.spec(
        { steps: ["a"] },
        { ...small, config: { configurable: toPayload(padding(2_500_000)) }, context: toPayload(padding(2_500_000)) },
      ),
  ],
  [
    "command",
    () => {
      const update = { dir: kit.gates.dir, steps: ["a"], done: 0, manners: padding(5_000_000) };
      return kit.spec(null, { ...small, command: { update: toPayload(update), goto: ["step"] } });
    },
  ],
];

function expectWithoutInput(run: Run | undefined, more = {}): void {
  const { input, command, config, context, ...rest } = run!.spec!;
  expect(rest).toMatchObject({ assistantId: "gated", ...small, ...more });
  expect({ input, command, config, context }).toEqual({});
}

describe("a client that takes 4 MB at most, and runs that were given more", () => {
  it.each(large)("creates, reads, lists, follows, waits for and cancels them: %s", async (_, given) => {
    const host = new URL(app.app.url).host;
    const runs = createGrpcJsClient(RunService, host);
    const threads = createGrpcJsClient(ThreadService, host);
    const { threadId } = (await threads.createThread({})).thread!;
    const name = { threadId, runId: randomUUID() };
    const omitValues = true;
    // A command needs a thread that has a state.
    kit.gates.open("z");
    await runs.waitRun({ create: { threadId, spec: kit.spec({ steps: ["z"] }, small) } });

    expectWithoutInput((await runs.createRun({ ...name, spec: given() })).run);
    expectWithoutInput((await runs.getRun(name)).run);
    for (const run of (await runs.listRuns({ threadId })).runs) expectWithoutInput(run);
    expectWithoutInput((await runs.joinRun({ ...name, omitValues, timeout: { nanos: 1_000_000 } })).run);
    for await (const { event } of runEvents((signal) => runs.joinRunStream(name, { signal }))) {
      if (event.case === "attemptStarted") break;
    }
    const { run: stopped } = await runs.cancelRun({ ...name, wait: true });
    expect(stopped!.status).toBe(RunStatus.INTERRUPTED);
    expectWithoutInput(stopped);
    expectWithoutInput((await runs.joinRun({ ...name, omitValues })).run);

    const other = { threadId, runId: randomUUID() };
    const waiting = runs.waitRun({ create: { ...other, spec: given() }, omitValues });
    const status = async () => (await runs.getRun(other).catch(() => undefined))?.run?.status;
    await expect.poll(status, { timeout: 20_000 }).toBe(RunStatus.RUNNING);
    // What is left of a rolled back run has no metadata either.
    for (const { run } of [
      await runs.cancelRun({ ...other, action: CancelAction.ROLLBACK, wait: true }),
      await waiting,
    ])
      expectWithoutInput(run, { metadata: {} });

    expect((await threads.getThread({ threadId, omitValues })).thread).toMatchObject({ threadId });
    expect((await threads.searchThreads({ filter: { threadIds: [threadId] }, omitValues })).threads).toHaveLength(1);
    expect((await threads.getThreadState({ threadId, omitValues })).state!.values).toBeUndefined();
    expect((await threads.listThreadHistory({ threadId, omitValues })).states.length).toBeGreaterThan(1);
    for (const client of [runs, threads]) client.close();
  });

  it("creates many at once, and is answered their names", async () => {
    const runs = createGrpcJsClient(RunService, new URL(app.app.url).host);
    const made = (await runs.batchCreateRuns({ runs: [{ spec: large[0]![1]() }] })).runs[0]!;
    expect([made.graphId, made.spec]).toEqual(["gated", undefined]);
    await runs.cancelRun({ threadId: made.threadId, runId: made.runId, wait: true });
    runs.close();
  });
});

describe("what a run was given", () => {
  it("is answered where it is asked for, by each RPC that answers runs", async () => {
    const { runs } = app.client;
    const { threadId } = (await app.client.threads.createThread({})).thread!;
    const configurable = toPayload({ user: "u" });
    const settings = { config: { tags: ["t"], recursionLimit: 9, configurable }, context: toPayload({ model: "m" }) };
    const given = (step: string) => kit.spec({ steps: [step] }, { ...small, ...settings });
    const create = (step: string) => ({ threadId, runId: randomUUID(), spec: given(step) });
    const includeInput = true;

    const answers: (Run | undefined)[] = [];
    kit.gates.open("z");
    const over = create("z");
    answers.push((await runs.waitRun({ create: over, includeInput })).run);
    answers.push((await runs.waitRun({ create: { ...create("z"), includeInput } })).run);
    answers.push((await runs.joinRun({ ...over, includeInput })).run);
    const live = create("a");
    answers.push((await runs.createRun({ ...live, includeInput })).run);
    answers.push((await runs.getRun({ ...live, includeInput })).run);
    answers.push((await runs.joinRun({ ...live, includeInput, timeout: { nanos: 1_000_000 } })).run);
    answers.push(...(await runs.listRuns({ threadId, includeInput })).runs);
    answers.push((await runs.cancelRun({ ...live, includeInput, wait: true })).run);
    const batch = [{ spec: given("z") }];
    answers.push(...(await runs.batchCreateRuns({ runs: batch, includeInput })).runs);
    answers.push(...(await runs.batchCreateRuns({ runs: batch.map((one) => ({ ...one, includeInput })) })).runs);

    expect(answers).toHaveLength(12);
    for (const run of answers) {
      const { input, config, context } = run!.spec!;
      expect(fromPayload(input)).toMatchObject({ steps: [expect.any(String)] });
      expect(config).toMatchObject({ tags: ["t"], recursionLimit: 9 });
      expect([config!.configurable, context].map(fromPayload)).toEqual([{ user: "u" }, { model: "m" }]);
    }
  });
});
