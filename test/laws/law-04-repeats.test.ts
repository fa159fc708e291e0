import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunErrorDetailSchema } from "../../gen/reins/v1/error_details_pb.ts";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const { INTERRUPT, ROLLBACK } = CancelAction;

describe("law 4: a repeated cancel", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { graceMs: 600_000 } });
  });
  afterAll(() => app.close());

  const cancel = (kit: RunKit, runId: string, action: CancelAction, reason = "") =>
    app.client.runs.cancelRun({ threadId: kit.threadId, runId, action, reason });

  /** A run that stops only when its gate is opened. */
  async function startDeaf() {
    const kit = await createRunKit(app);
    const { runId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    return { kit, runId };
  }

  it.each([
    ["INTERRUPT", INTERRUPT],
    ["ROLLBACK", ROLLBACK],
  ] as const)("%s answers the same while the run stops and afterwards", async (_, action) => {
    const { kit, runId } = await startDeaf();
    const first = await cancel(kit, runId, action, "first");
    const again = await cancel(kit, runId, action, "again");
    for (const answer of [first, again]) {
      expect(answer.outcome).toBe(CancelOutcome.REQUESTED);
      expect(answer.run!.cancellation).toMatchObject({ action, reason: "first" });
    }
    expect(again.run!.cancellation!.requestedAt).toEqual(first.run!.cancellation!.requestedAt);
    const waited = app.client.runs.cancelRun({ threadId: kit.threadId, runId, action, wait: true });
    kit.gates.open("a");
    const end = { outcome: CancelOutcome.STOPPED, run: { status: RunStatus.INTERRUPTED } };
    await expect(waited).resolves.toMatchObject(end);
    const over = await waited;
    for (let repeat = 0; repeat < 3; repeat += 1) await expect(cancel(kit, runId, action)).resolves.toEqual(over);
    kit.gates.remove();
  });

  it("upgrades from INTERRUPT to ROLLBACK as long as the run has not settled, for those who wait as well", async () => {
    const { kit, runId } = await startDeaf();
    const waiting = app.client.runs.cancelRun({ threadId: kit.threadId, runId, action: INTERRUPT, wait: true });
    expect((await cancel(kit, runId, INTERRUPT, "first")).outcome).toBe(CancelOutcome.REQUESTED);
    const upgraded = await cancel(kit, runId, ROLLBACK);
    expect(upgraded.run!.cancellation).toMatchObject({ action: ROLLBACK, outcome: CancelOutcome.REQUESTED });
    kit.gates.open("a");
    expect((await waiting).run!.cancellation).toMatchObject({ action: ROLLBACK, outcome: CancelOutcome.STOPPED });
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    expect((await kit.state()).values).toBeUndefined();
    kit.gates.remove();
  });

  it("of INTERRUPT leaves a ROLLBACK what it is", async () => {
    const { kit, runId } = await startDeaf();
    await cancel(kit, runId, ROLLBACK);
    const weaker = await cancel(kit, runId, INTERRUPT);
    expect(weaker.run!.cancellation).toMatchObject({ action: ROLLBACK, outcome: CancelOutcome.REQUESTED });
    const waiting = app.client.runs.cancelRun({ threadId: kit.threadId, runId, action: INTERRUPT, wait: true });
    kit.gates.open("a");
    expect((await waiting).run!.cancellation).toMatchObject({ action: ROLLBACK });
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    kit.gates.remove();
  });

  it.each([
    ["SUCCESS", RunStatus.SUCCESS, "gated", {}, [INTERRUPT, ROLLBACK]],
    ["ERROR", RunStatus.ERROR, "faulty", { fault: "throw" }, [INTERRUPT, ROLLBACK]],
    ["INTERRUPTED", RunStatus.INTERRUPTED, "gated", {}, [ROLLBACK]],
  ] as const)(
    "is refused with the status when the run ended as %s otherwise",
    async (_, status, graph, input, actions) => {
      const kit = await createRunKit(app, graph);
      const { runId } = await kit.start(input);
      if (status === RunStatus.INTERRUPTED) await cancel(kit, runId, INTERRUPT);
      kit.gates.open();
      expect((await kit.join(runId)).status).toBe(status);
      for (const action of actions) {
        const error = await cancel(kit, runId, action).then(
          () => expect.unreachable("the cancel must be refused"),
          (error: unknown) => ConnectError.from(error),
        );
        expect(error.code).toBe(Code.FailedPrecondition);
        expect(errorReason(error)).toBe("RUN_NOT_CANCELLABLE");
        expect(error.findDetails(RunErrorDetailSchema)).toMatchObject([{ runId, threadId: kit.threadId, status }]);
      }
      expect((await kit.get(runId)).status).toBe(status);
      kit.gates.remove();
    },
  );

  it("of a run that never was, or is another thread's, finds none", async () => {
    const { kit, runId } = await startDeaf();
    const stranger = await createRunKit(app);
    for (const action of [INTERRUPT, ROLLBACK]) {
      const error = await cancel(stranger, runId, action).catch((error: unknown) => ConnectError.from(error));
      expect(error).toMatchObject({ code: Code.NotFound });
    }
    expect((await kit.get(runId)).cancellation).toBeUndefined();
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
    stranger.gates.remove();
  });
});
