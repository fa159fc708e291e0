import { randomUUID } from "node:crypto";
import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, CancelOutcome, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type CancelRunsResponse, type LiveRunFilterSchema, LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  // Three runs a call instead of ten thousand.
  app = await startTestApp({ config: { cancelLimit: 3, graceMs: 600_000 } });
});
afterAll(() => app.close());

type Filter = Omit<MessageInitShape<typeof LiveRunFilterSchema>, "$typeName">;
const byFilter = (filter: Filter, more: object = {}) =>
  app.client.runs.cancelRuns({ target: { case: "filter", value: { status: LiveRunStatus.ALL, ...filter } }, ...more });
const byIds = (kit: RunKit, runIds: string[], more: object = {}) =>
  app.client.runs.cancelRuns({ target: { case: "runs", value: { threadId: kit.threadId, runIds } }, ...more });
const ids = ({ results }: CancelRunsResponse) => results.map(({ runId }) => runId);
const outcomes = ({ results }: CancelRunsResponse) => results.map(({ outcome, status }) => [outcome, status]);

/** A thread with one executing run and others behind it, oldest first. */
async function queue(metadata: readonly JsonObject[]) {
  const kit = await createRunKit(app);
  const runs: Run[] = [];
  for (const one of metadata) runs.push(await kit.start({ manners: { a: "deaf" } }, { metadata: one }));
  await kit.gates.started("a");
  return { kit, runs, runIds: runs.map(({ runId }) => runId) };
}

async function finish(kit: RunKit) {
  kit.gates.open();
  await app.client.threads.deleteThread({ threadId: kit.threadId });
  kit.gates.remove();
}

describe("CancelRuns: what a filter asks for", () => {
  it("metadata: the same fields with the same values as in ListRuns", async () => {
    const { kit, runIds } = await queue([
      { user: "a", level: 1 },
      { user: "b", level: 1, tags: ["x", "y"] },
      { user: "a", level: 2 },
      { user: null },
    ]);
    const { threadId } = kit;
    const searches: JsonObject[] = [
      { user: "a" },
      { user: "a", level: 2 },
      { user: null },
      { tags: ["x", "y"] },
      { tag: 1 },
    ];
    for (const metadata of searches) {
      const listed = (await app.client.runs.listRuns({ threadId, metadata })).runs.map(({ runId }) => runId);
      expect(ids(await byFilter({ threadId, metadata }, { validateOnly: true }))).toEqual(listed);
    }
    const hit = await byFilter({ threadId, metadata: { user: "a", level: 2 } }, { wait: true });
    expect(ids(hit)).toEqual([runIds[2]]);
    expect(hit.results).toMatchObject([{ outcome: CancelOutcome.NEVER_STARTED, status: RunStatus.INTERRUPTED }]);
    for (const at of [0, 1, 3]) expect((await kit.get(runIds[at]!)).cancellation).toBeUndefined();
    await finish(kit);
  });

  it("created_before: strictly, to the millisecond and below", async () => {
    const { kit, runs, runIds } = await queue([{}, {}]);
    const { threadId } = kit;
    const at = timestampMs(runs[1]!.createdAt!);
    expect(at).toBeGreaterThan(timestampMs(runs[0]!.createdAt!));
    const createdBefore = (createdBefore: Timestamp) => byFilter({ threadId, createdBefore }, { validateOnly: true });
    expect(ids(await createdBefore(timestampFromMs(at)))).toEqual([runIds[0]]);
    const justAfter = timestampFromMs(at);
    justAfter.nanos += 1;
    expect(ids(await createdBefore(justAfter))).toEqual(runIds.toReversed());
    const cancelled = await byFilter({ threadId, createdBefore: timestampFromMs(at) });
    expect(ids(cancelled)).toEqual([runIds[0]]);
    expect((await kit.get(runIds[1]!)).cancellation).toBeUndefined();
    await finish(kit);
  });
});

describe("CancelRuns: more runs than one call takes", () => {
  it("goes on where it ended, newest first, until nothing is left", async () => {
    const { kit, runIds } = await queue(Array.from({ length: 8 }, () => ({})));
    const { threadId } = kit;
    const pages: CancelRunsResponse[] = [];
    for (let pageToken = ""; pages.length === 0 || pageToken; pageToken = pages.at(-1)!.nextPageToken) {
      pages.push(await byFilter({ threadId }, { pageToken }));
    }
    expect(pages.map((page) => [page.results.length, page.more, page.nextPageToken !== ""])).toEqual([
      [3, true, true],
      [3, true, true],
      [2, false, false],
    ]);
    expect(pages.flatMap(ids)).toEqual(runIds.toReversed());
    expect(kit.gates.steps()).toEqual(["a"]);
    await finish(kit);
  });

  it("exactly as many as one call takes: no token", async () => {
    const { kit } = await queue([{}, {}, {}]);
    const page = await byFilter({ threadId: kit.threadId }, { validateOnly: true });
    expect([page.results.length, page.more, page.nextPageToken]).toEqual([3, false, ""]);
    await finish(kit);
  });

  it("a call by ids takes all of them", async () => {
    const { kit, runIds } = await queue([{}, {}, {}, {}, {}]);
    expect((await byIds(kit, runIds)).results).toHaveLength(5);
    await finish(kit);
  });
});

describe("CancelRuns: validate_only", () => {
  it("answers what would be done, and changes nothing", async () => {
    const over = await createRunKit(app);
    over.gates.open();
    const success = (await over.join((await over.start()).runId)).runId;
    const { kit, runIds } = await queue([{}, {}, {}]);
    const { threadId } = kit;
    const [running, gone, pending] = runIds as [string, string, string];
    await byIds(kit, [gone], { action: CancelAction.ROLLBACK, wait: true });
    const unknown = randomUUID();
    const stored = () => databaseDigest(app.db, { exceptEventsOf: running });
    const before = await stored();
    const { NEVER_STARTED, NOT_FOUND, REQUESTED, ALREADY_FINISHED } = CancelOutcome;
    const { PENDING, RUNNING, SUCCESS, INTERRUPTED, UNSPECIFIED } = RunStatus;
    const more = { validateOnly: true, wait: true };
    const all = await byFilter({ threadId }, more);
    expect([ids(all), outcomes(all)]).toEqual([
      [pending, running],
      [
        [NEVER_STARTED, PENDING],
        [REQUESTED, RUNNING],
      ],
    ]);
    expect(all.counts.map(({ count }) => count)).toEqual([1, 1]);
    expect(outcomes(await byIds(kit, [unknown, gone, pending, success, running], more))).toEqual([
      [NOT_FOUND, UNSPECIFIED],
      [NOT_FOUND, UNSPECIFIED],
      [NEVER_STARTED, PENDING],
      [NOT_FOUND, UNSPECIFIED],
      [REQUESTED, RUNNING],
    ]);
    const rolledBack = await byIds(kit, [gone], { ...more, action: CancelAction.ROLLBACK });
    expect(outcomes(rolledBack)).toEqual([[NEVER_STARTED, INTERRUPTED]]);
    expect(outcomes(await byIds(over, [success], more))).toEqual([[ALREADY_FINISHED, SUCCESS]]);
    expect(await stored()).toEqual(before);

    // What it says is what the call itself then answers.
    const really = await byIds(kit, [unknown, gone, pending, running]);
    expect(really.results.map(({ outcome }) => outcome)).toEqual([NOT_FOUND, NOT_FOUND, NEVER_STARTED, REQUESTED]);
    const again = await byIds(kit, [pending, running], more);
    expect(outcomes(again)).toEqual([
      [NEVER_STARTED, INTERRUPTED],
      [REQUESTED, RUNNING],
    ]);
    await finish(kit);
    await finish(over);
  });
});
