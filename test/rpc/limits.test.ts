import { Code, type ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { errorInfo } from "../../src/client/index.ts";
import { dump } from "../support/dump.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const inAnHour: SpecInit = { after: { seconds: 3600n } };

describe("limits", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { maxThreadRuns: 3, maxLiveRuns: 8, maxMetadataBytes: 100 } });
  });
  afterAll(() => app.close());

  /** The call is refused with these words, and nothing is stored. */
  async function refused(call: () => Promise<unknown>, reason: string, sentence: string, metadata: object) {
    const before = await dump(app.db);
    const error = (await call().catch((caught: unknown) => caught)) as ConnectError;
    expect([Code[error.code], errorInfo(error)?.reason]).toEqual(["ResourceExhausted", reason]);
    expect(error.rawMessage).toBe(sentence);
    expect(errorInfo(error)!.metadata).toEqual(metadata);
    expect(await dump(app.db)).toEqual(before);
  }

  /** What was counted before other runs were over is counted again after a while. */
  async function onceThereIsRoom(start: () => Promise<Run>): Promise<Run> {
    const started: Run[] = [];
    await until(async () => {
      const run = await start().catch((error: unknown) => {
        expect(errorInfo(error)?.reason).toBe("TOO_MANY_RUNS");
      });
      if (run) started.push(run);
      return started.length > 0;
    });
    return started[0]!;
  }

  const cancelAll = ({ threadId }: { threadId: string }) =>
    app.client.runs.cancelRuns({
      target: { case: "filter", value: { threadId, status: LiveRunStatus.ALL } },
      wait: true,
    });

  it("live runs of a thread", async () => {
    const kit = await createRunKit(app);
    // Nothing of it executes, so that nothing changes by itself; a delayed run is live too.
    for (let i = 0; i < 3; i += 1) await kit.start({}, inAnHour);
    const sentence = `thread ${kit.threadId} has 3 live runs, the most that it may have; wait until some are over, or cancel some`;
    const metadata = { limit: "3", thread_id: kit.threadId };
    await refused(() => kit.start({}, inAnHour), "TOO_MANY_RUNS", sentence, metadata);
    const create = { threadId: kit.threadId, requestId: "refused", spec: kit.spec({}, inAnHour) };
    await refused(() => app.client.runs.waitRun({ create }), "TOO_MANY_RUNS", sentence, metadata);
    const { runId } = (await app.client.runs.listRuns({ threadId: kit.threadId })).runs[0]!;
    await app.client.runs.cancelRun({ threadId: kit.threadId, runId });
    expect((await kit.start({}, inAnHour)).status).toBe(RunStatus.PENDING);
    await cancelAll(kit);
    kit.gates.remove();
  });

  it("live runs of a thread, one of which executes", async () => {
    const kit = await createRunKit(app);
    const runs = [];
    for (const step of ["a", "b", "c"]) runs.push(await kit.start({ steps: [step] }));
    await kit.gates.started("a");
    const error = await kit.start().catch((caught: unknown) => caught);
    expect(errorInfo(error)).toMatchObject({ reason: "TOO_MANY_RUNS", metadata: { limit: "3" } });
    kit.gates.open("a");
    await kit.join(runs[0]!.runId);
    runs.push(await kit.start({ steps: ["d"] }));
    kit.gates.open();
    for (const { runId } of runs) expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    expect(kit.gates.steps()).toEqual(["a", "b", "c", "d"]);
    kit.gates.remove();
  });

  it("live runs in the whole queue", async () => {
    const kits: RunKit[] = [];
    for (let i = 0; i < 4; i += 1) kits.push(await createRunKit(app));
    for (const kit of kits) for (const _ of [1, 2]) await onceThereIsRoom(() => kit.start({}, inAnHour));
    const free = await createRunKit(app);
    const sentence = "the queue has 8 live runs, the most that it may have; wait until some are over, or cancel some";
    await refused(() => free.start(), "TOO_MANY_RUNS", sentence, { limit: "8" });
    await cancelAll(kits[0]!);
    free.gates.open();
    const accepted = await onceThereIsRoom(() => free.start());
    expect((await free.join(accepted.runId)).status).toBe(RunStatus.SUCCESS);
    for (const kit of kits) await cancelAll(kit);
    for (const kit of [...kits, free]) kit.gates.remove();
  });

  it("refused runs take up no room", async () => {
    const kit = await createRunKit(app);
    for (const _ of [1, 2, 3]) await onceThereIsRoom(() => kit.start({}, inAnHour));
    const other = await createRunKit(app);
    for (let i = 0; i < 20; i += 1)
      expect(errorInfo(await kit.start({}, inAnHour).catch((e) => e))?.metadata.limit).toBe("3");
    expect((await other.start({}, inAnHour)).status).toBe(RunStatus.PENDING);
    for (const each of [kit, other]) await cancelAll(each);
    for (const each of [kit, other]) each.gates.remove();
  });

  it("metadata of a run and of a thread", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    // With its quotes, braces and name: {"a":"..."}.
    const fits = { a: "x".repeat(92) };
    const tooLarge = { a: "x".repeat(93) };
    const words = (field: string) => `${field}: it has 101 bytes of JSON; at most 100 are allowed`;
    const details = (field: string) => ({ field, limit_bytes: "100" });
    await refused(
      () => kit.start({}, { metadata: tooLarge }),
      ...(["INPUT_TOO_LARGE", words("spec.metadata")] as const),
      details("spec.metadata"),
    );
    await refused(
      () => app.client.threads.createThread({ metadata: tooLarge }),
      ...(["INPUT_TOO_LARGE", words("metadata")] as const),
      details("metadata"),
    );
    expect((await app.client.threads.createThread({ metadata: fits })).thread!.metadata).toEqual(fits);
    const run = await onceThereIsRoom(() => kit.start({}, { metadata: fits }));
    expect((await kit.join(run.runId)).spec!.metadata).toEqual(fits);
    kit.gates.remove();
  });
});
