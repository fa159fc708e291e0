import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { ThreadStatus } from "../../gen/reins/v1/thread_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import type { Manner } from "../agents/gate.ts";
import { type Moment, moments, picture, type StagedRun, stageRun } from "./cancel-moments.ts";
import { until } from "./gates.ts";
import { createHoldPoints } from "./hold-points.ts";
import { attachWatchers, type Learned, learned, type RunWatchers } from "./run-watchers.ts";
import { startTestApp, type TestApp } from "./test-app.ts";
import { traces } from "./traces.ts";

const actions = { interrupt: CancelAction.INTERRUPT, rollback: CancelAction.ROLLBACK };

const cases = moments.flatMap((moment) =>
  (["interrupt", "rollback"] as const).flatMap((action) =>
    ([true, false] as const).map((waiters) => ({ moment, action, waiters })),
  ),
);

/** The steps of a run of "branches" that comes to its end. */
const wholeRun = ["begin", "one", "side", "two"];

/** Cancels at every moment, with both actions, with and without waiters, on nodes of one manner. */
export function testCancels(manner: Manner): void {
  describe(`a cancel of a run with ${manner} nodes`, () => {
    const points = createHoldPoints();
    let app: TestApp;
    beforeAll(async () => {
      app = await startTestApp({ config: { graceMs: 500 }, decorate: points.decorate });
    });
    afterAll(() => app.close());

    it.each(cases)("$moment.name: $action, waiters: $waiters", async ({ moment, action: named, waiters }) => {
      const action = actions[named];
      const staged = await stageRun(app, points, manner);
      const { kit, runId } = staged;
      try {
        await moment.reach(staged);
        const watchers = waiters
          ? await attachWatchers(kit.client, { threadId: kit.threadId, runId }, () => points.lookups(runId))
          : undefined;
        const end = await cancel(staged, moment, action, watchers, () => points.release(runId));
        if (moment.isQueued) await staged.endEarlier();
        const lastSigns = signs(staged);
        await expectEnd(staged, moment, action, end, watchers);
        if (end.action === CancelAction.ROLLBACK) await expectNothingLeft(app, staged);
        await expectNextRun(staged, moment, action);
        expect(signs(staged), "nothing of the run has run since its end was told").toEqual(lastSigns);
      } finally {
        points.release(runId);
        kit.gates.remove();
        staged.gates.remove();
      }
    });
  });
}

/** Cancels, lets go what holds the run, and answers how it ended. */
async function cancel(
  staged: StagedRun,
  moment: Moment,
  action: CancelAction,
  watchers: RunWatchers | undefined,
  letGo: () => void,
): Promise<Learned> {
  const { kit, runId, manner } = staged;
  const name = { threadId: kit.threadId, runId };
  const wait = watchers !== undefined;
  const answer = kit.client.runs.cancelRun({ ...name, action, wait, reason: "enough" });
  if (moment.outcome(manner) === undefined) {
    await expectRefused(answer);
    letGo();
    return learned(await kit.join(runId));
  }
  if (moment.waits) {
    await until(async () => (await kit.get(runId)).cancellation !== undefined);
    expect(await kit.get(runId)).toMatchObject({
      status: RunStatus.RUNNING,
      cancellation: { action, reason: "enough", outcome: CancelOutcome.REQUESTED },
    });
    if (!wait) expect((await answer).outcome).toBe(CancelOutcome.REQUESTED);
  }
  const answered = moment.waits && wait ? undefined : await answer;
  letGo();
  if (answered !== undefined && answered.outcome !== CancelOutcome.REQUESTED) {
    expect(answered.outcome).toBe(answered.run!.cancellation!.outcome);
  }
  if (wait) return learned((await answer).run!);
  await until(() => isOver(staged, action));
  // Only who joins, or waits, hears of an end when its thread knows of it too.
  if (action === CancelAction.INTERRUPT) await kit.join(runId);
  // Repeating it is how a caller who did not wait learns the outcome.
  return learned((await kit.client.runs.cancelRun({ ...name, action })).run!);
}

async function isOver({ kit, runId }: StagedRun, action: CancelAction): Promise<boolean> {
  try {
    const { status } = await kit.get(runId);
    return action === CancelAction.INTERRUPT && status === RunStatus.INTERRUPTED;
  } catch (error) {
    return action === CancelAction.ROLLBACK && ConnectError.from(error).code === Code.NotFound;
  }
}

async function expectRefused(answer: Promise<unknown>): Promise<void> {
  const error = await answer.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(errorReason(error)).toBe("RUN_NOT_CANCELLABLE");
  expect(ConnectError.from(error).code).toBe(Code.FailedPrecondition);
}

/** The outcome is the expected one, everybody has learned the same, and the run's record says so or is gone. */
async function expectEnd(
  { kit, runId, manner }: StagedRun,
  moment: Moment,
  action: CancelAction,
  end: Learned,
  watchers: RunWatchers | undefined,
): Promise<void> {
  const outcome = moment.outcome(manner);
  const cancelled: Learned = { status: RunStatus.INTERRUPTED, action, reason: "enough", outcome };
  const finished: Learned = { status: RunStatus.SUCCESS, action: undefined, reason: undefined, outcome: undefined };
  expect(end).toEqual(outcome === undefined ? finished : cancelled);
  for (const one of (await watchers?.ended()) ?? []) expect(one).toEqual(end);
  if (outcome !== undefined && action === CancelAction.ROLLBACK) {
    await expect(kit.get(runId)).rejects.toThrow(/no run/);
    return;
  }
  const run = await kit.get(runId);
  expect(learned(run)).toEqual(end);
  expect(run.startedAt !== undefined).toBe(moment.starts);
  if (moment.starts) expect(run.endCheckpointId).toBe((await kit.state()).checkpoint!.checkpointId);
  expect(run.attempt).toBe(moment.starts ? 1 : 0);
}

/** The thread is what it was before the run, and all that is left of the run is its last record. */
async function expectNothingLeft(app: TestApp, { kit, runId, gates, before }: StagedRun): Promise<void> {
  expect(await picture(kit)).toEqual(before());
  expect(await traces(app.db, runId)).toEqual([`tombstones/${runId}`]);
  // What it was given is in no collection, not even in its last record.
  expect(await traces(app.db, gates.dir)).toEqual([]);
}

/** The thread is at rest as it should be, and the next run starts at once and goes on from there. */
async function expectNextRun({ kit, runId }: StagedRun, moment: Moment, action: CancelAction): Promise<void> {
  const isRolledBack = moment.outcome("polite") !== undefined && action === CancelAction.ROLLBACK;
  const log = [...wholeRun, ...(isRolledBack ? [] : moment.kept)].sort();
  const state = await kit.state();
  expect([...((state.values as { log: string[] }).log ?? [])].sort()).toEqual(log);
  expect((await kit.thread()).status).toBe(state.next.length > 0 ? ThreadStatus.INTERRUPTED : ThreadStatus.IDLE);
  if (isRolledBack || !moment.starts) expect(state.next).toEqual([]);
  const { runs } = await kit.client.runs.listRuns({ threadId: kit.threadId });
  expect(runs.some((run) => run.runId === runId)).toBe(!isRolledBack);
  const next = await kit.start();
  expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
  const values = (await kit.state()).values as { log: string[] };
  expect([...values.log].sort()).toEqual([...log, ...wholeRun].sort());
}

/** Everything that the run's steps have left outside the server. */
function signs({ gates }: StagedRun) {
  // From now on no gate holds a step that is still under way.
  gates.open();
  return { beats: gates.beats(), steps: gates.steps(), done: ["one", "two", "side"].filter(gates.isDone) };
}
