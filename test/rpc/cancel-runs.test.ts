import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type CancelRunsResponse, LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
/** How the server has looked for runs. */
const looks: string[] = [];
beforeAll(async () => {
  app = await startTestApp({
    decorate(parts) {
      const runs = { ...parts.stores.runs };
      for (const look of ["find", "tombstone", "findMany", "tombstones"] as const) {
        const read = runs[look] as (name: never) => Promise<never>;
        const counted = (name: never) => {
          looks.push(look);
          return read(name);
        };
        Object.assign(runs, { [look]: counted });
      }
      return { ...parts, stores: { ...parts.stores, runs } };
    },
  });
});
afterAll(() => app.close());

const byIds = (kit: RunKit, runIds: string[], more: object = {}) =>
  app.client.runs.cancelRuns({ target: { case: "runs", value: { threadId: kit.threadId, runIds } }, ...more });
const byFilter = (filter: { status: LiveRunStatus; threadId?: string }, more: object = {}) =>
  app.client.runs.cancelRuns({ target: { case: "filter", value: filter }, ...more });

const outcomes = ({ results }: CancelRunsResponse) => results.map(({ runId, outcome }) => [runId, outcome]);
const counts = (response: CancelRunsResponse) =>
  Object.fromEntries(response.counts.map(({ outcome, count }) => [outcome, count]));

/** A thread with one executing run and others behind it, oldest first. */
async function queue(length: number) {
  const kit = await createRunKit(app);
  const runIds: string[] = [];
  for (let i = 0; i < length; i += 1) runIds.push((await kit.start()).runId);
  await kit.gates.started("a");
  return { kit, runIds };
}

describe("CancelRuns by ids", () => {
  it("answers an outcome for each id, in their order; a bad one hides none", async () => {
    const { kit, runIds } = await queue(3);
    const other = await queue(1);
    const over = await createRunKit(app);
    over.gates.open();
    const [running, second, third] = runIds as [string, string, string];
    const unknown = randomUUID();
    const response = await byIds(kit, [unknown, third, other.runIds[0]!, running, second.toUpperCase()], {
      wait: true,
      reason: "tidying up",
    });
    expect(outcomes(response)).toEqual([
      [unknown, CancelOutcome.NOT_FOUND],
      [third, CancelOutcome.NEVER_STARTED],
      [other.runIds[0], CancelOutcome.NOT_FOUND],
      [running, CancelOutcome.STOPPED],
      [second, CancelOutcome.NEVER_STARTED],
    ]);
    expect(counts(response)).toEqual({
      [CancelOutcome.NOT_FOUND]: 2,
      [CancelOutcome.NEVER_STARTED]: 2,
      [CancelOutcome.STOPPED]: 1,
    });
    expect(response.more).toBe(false);
    for (const runId of runIds) {
      expect(await kit.get(runId)).toMatchObject({
        status: RunStatus.INTERRUPTED,
        cancellation: { reason: "tidying up", requestedBy: "client" },
      });
    }
    expect((await other.kit.get(other.runIds[0]!)).cancellation).toBeUndefined();
    // Stopping one never started the next.
    expect(kit.gates.steps()).toEqual(["a"]);

    const again = await byIds(kit, runIds, { wait: true });
    expect(again.results.map(({ outcome }) => outcome)).toEqual([
      ...[CancelOutcome.STOPPED, CancelOutcome.NEVER_STARTED, CancelOutcome.NEVER_STARTED],
    ]);
    for (const each of [kit, other.kit]) await finish(each);
    over.gates.remove();
  });

  it("looks for many ids together, whatever became of their runs", async () => {
    const { kit, runIds } = await queue(2);
    const rolledBack = (await kit.start()).runId;
    await byIds(kit, [rolledBack], { action: CancelAction.ROLLBACK, wait: true });
    const ids = [...Array.from({ length: 2500 }, () => randomUUID()), ...runIds, rolledBack];
    for (const validateOnly of [true, false]) {
      looks.length = 0;
      const response = await byIds(kit, ids, { action: CancelAction.ROLLBACK, validateOnly });
      expect(looks.filter((look) => look === "findMany" || look === "tombstones").length).toBeGreaterThanOrEqual(6);
      expect(looks.length).toBeLessThan(50);
      expect(counts(response)).toMatchObject({ [CancelOutcome.NOT_FOUND]: 2500 });
      expect(response.results.at(-1)).toMatchObject({ runId: rolledBack, outcome: CancelOutcome.NEVER_STARTED });
    }
    await expect.poll(() => kit.history()).toEqual([]);
    await finish(kit);
  });

  it("says of a run that ended otherwise what it ended as", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const { runId } = await kit.join((await kit.start()).runId);
    const { results } = await byIds(kit, [runId]);
    expect(results).toMatchObject([{ outcome: CancelOutcome.ALREADY_FINISHED, status: RunStatus.SUCCESS }]);
    await finish(kit);
  });

  it("without wait it answers what is known at once", async () => {
    const { kit, runIds } = await queue(2);
    const response = await byIds(kit, runIds);
    const [first, second] = response.results;
    expect([CancelOutcome.REQUESTED, CancelOutcome.STOPPED]).toContain(first!.outcome);
    expect(second).toMatchObject({ outcome: CancelOutcome.NEVER_STARTED, status: RunStatus.INTERRUPTED });
    expect((await kit.join(runIds[0]!)).status).toBe(RunStatus.INTERRUPTED);
    await finish(kit);
  });

  it("with ROLLBACK nothing of the runs is left", async () => {
    const { kit, runIds } = await queue(3);
    const response = await byIds(kit, runIds, { action: CancelAction.ROLLBACK, wait: true });
    expect(response.results.map(({ outcome }) => outcome)).toEqual([
      ...[CancelOutcome.STOPPED, CancelOutcome.NEVER_STARTED, CancelOutcome.NEVER_STARTED],
    ]);
    for (const runId of runIds) await expect(kit.get(runId)).rejects.toMatchObject({ code: Code.NotFound });
    expect(await kit.history()).toEqual([]);
    expect(kit.gates.steps()).toEqual(["a"]);
    await finish(kit);
  });
});

describe("CancelRuns by filter", () => {
  it("hits the live runs that match, newest first, and no others", async () => {
    const [one, two] = [await queue(3), await queue(2)];
    const { threadId } = one.kit;
    const pending = await byFilter({ status: LiveRunStatus.PENDING, threadId }, { wait: true });
    expect(outcomes(pending)).toEqual(
      one.runIds
        .slice(1)
        .reverse()
        .map((id) => [id, CancelOutcome.NEVER_STARTED]),
    );
    const running = await byFilter({ status: LiveRunStatus.RUNNING, threadId }, { wait: true });
    expect(outcomes(running)).toEqual([[one.runIds[0], CancelOutcome.STOPPED]]);
    expect((await byFilter({ status: LiveRunStatus.ALL, threadId })).results).toEqual([]);

    const all = await byFilter({ status: LiveRunStatus.ALL }, { wait: true });
    expect(outcomes(all)).toEqual([
      [two.runIds[1], CancelOutcome.NEVER_STARTED],
      [two.runIds[0], CancelOutcome.STOPPED],
    ]);
    expect(counts(all)).toEqual({ [CancelOutcome.NEVER_STARTED]: 1, [CancelOutcome.STOPPED]: 1 });
    for (const { kit } of [one, two]) {
      expect(kit.gates.steps()).toEqual(["a"]);
      await finish(kit);
    }
  });

  it("stops a whole queue without starting any of it", async () => {
    const { kit, runIds } = await queue(40);
    const { threadId } = kit;
    const response = await byFilter({ status: LiveRunStatus.ALL, threadId }, { wait: true });
    expect(response.results.map(({ runId }) => runId)).toEqual(runIds.toReversed());
    expect(counts(response)).toEqual({ [CancelOutcome.NEVER_STARTED]: 39, [CancelOutcome.STOPPED]: 1 });
    expect(kit.gates.steps()).toEqual(["a"]);
    kit.gates.open();
    expect((await kit.join((await kit.start()).runId)).status).toBe(RunStatus.SUCCESS);
    await finish(kit);
  });
});

async function finish(kit: RunKit) {
  await app.client.threads.deleteThread({ threadId: kit.threadId });
  kit.gates.remove();
}
