import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { errorInfo } from "../../src/client/index.ts";
import { databaseDigest } from "../support/database-digest.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let kit: RunKit;
let live: string;
let pageToken: string;
let listToken: string;
let before: Record<string, string>;

const digest = () => databaseDigest(app.db, { exceptEventsOf: live });

beforeAll(async () => {
  app = await startTestApp({ config: { cancelLimit: 1, leaseMs: 600_000 } });
  kit = await createRunKit(app);
  live = (await kit.start()).runId;
  await kit.start();
  await kit.gates.started("a");
  pageToken = (await filtered({}, { validateOnly: true })).nextPageToken;
  listToken = (await app.client.runs.listRuns({ pageSize: 1 })).nextPageToken;
  before = await digest();
});
afterAll(async () => {
  await app.close();
  kit.gates.remove();
});

const call = (request: object) => app.client.runs.cancelRuns(request as never);
const filtered = (filter: object, more: object = {}) =>
  call({ target: { case: "filter", value: { status: LiveRunStatus.ALL, ...filter } }, ...more });
const byIds = (value: object, more: object = {}) => call({ target: { case: "runs", value }, ...more });
const id = randomUUID();
const threadId = randomUUID();
const invalid = "INVALID_FIELD";
const badToken = "INVALID_PAGE_TOKEN";

/** What is wrong: the call, the reason, the field at fault, and what the sentence says. */
const table: Record<string, [() => Promise<unknown>, string, string, RegExp]> = {
  "no target": [() => call({}), invalid, "target", /target/],
  "no ids": [() => byIds({ threadId, runIds: [] }), invalid, "runs.run_ids", /at least 1/],
  "an id that is none": [() => byIds({ threadId, runIds: ["x"] }), invalid, "runs.run_ids[0]", /UUID/i],
  "the same id twice": [() => byIds({ threadId, runIds: [id, id] }), invalid, "runs.run_ids", /unique/],
  "too many ids": [
    () => byIds({ threadId, runIds: Array.from({ length: 10_001 }, () => randomUUID()) }),
    ...([invalid, "runs.run_ids", /10000/] as const),
  ],
  "ids without a thread": [() => byIds({ runIds: [id] }), invalid, "runs.thread_id", /UUID/i],
  "a thread id that is none": [() => byIds({ threadId: "x", runIds: [id] }), invalid, "runs.thread_id", /UUID/i],
  "a filter without a status": [() => filtered({ status: 0 }), invalid, "filter.status", /status/],
  "an unknown status": [() => filtered({ status: 9 }), invalid, "filter.status", /status/],
  "a filter with a thread id that is none": [() => filtered({ threadId: "x" }), invalid, "filter.thread_id", /UUID/i],
  "metadata with too many fields": [
    () => filtered({ metadata: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, i])) }),
    ...([invalid, "filter.metadata", /1001 fields; at most 1000/] as const),
  ],
  "a time that is none": [
    () => filtered({ createdBefore: { seconds: 10n ** 15n, nanos: 0 } }),
    ...([invalid, "filter.created_before", /year/] as const),
  ],
  "an unknown action": [() => filtered({}, { action: 7 }), invalid, "action", /action/],
  "a wait of less than nothing": [
    () => filtered({}, { wait: true, waitTimeout: { seconds: -1n } }),
    ...([invalid, "wait_timeout", /wait_timeout/] as const),
  ],
  "a reason without end": [() => filtered({}, { reason: "x".repeat(1001) }), invalid, "reason", /1000/],
  "a token without end": [() => filtered({}, { pageToken: "x".repeat(1001) }), invalid, "page_token", /1000/],
  "a token that is none": [() => filtered({}, { pageToken: "x" }), badToken, "page_token", /next_page_token/],
  "a token of another filter": [
    () => filtered({ status: LiveRunStatus.PENDING }, { pageToken }),
    ...([badToken, "page_token", /same filters/] as const),
  ],
  "a token of other metadata": [
    () => filtered({ metadata: { a: 1 } }, { pageToken }),
    ...([badToken, "page_token", /same filters/] as const),
  ],
  "a token of ListRuns": [
    () => filtered({}, { pageToken: listToken }),
    ...([badToken, "page_token", /same filters/] as const),
  ],
  "a token with ids": [
    () => byIds({ threadId: kit.threadId, runIds: [live] }, { pageToken }),
    ...([invalid, "page_token", /filter only/] as const),
  ],
};

describe("CancelRuns: bad input is answered and changes nothing", () => {
  it.each(Object.keys(table))("%s", async (what) => {
    const [attempt, reason, field, says] = table[what]!;
    const error = await attempt().then(
      () => undefined,
      (one: unknown) => one,
    );
    const info = errorInfo(error);
    expect([ConnectError.from(error).code, info?.reason]).toEqual([Code.InvalidArgument, reason]);
    expect(info!.metadata.field).toBe(field);
    expect((error as Error).message).toMatch(says);
    expect(await digest()).toEqual(before);
  });

  it("ids of runs that are not there, or of another thread, are answered one by one", async () => {
    const other = (await app.client.threads.createThread({})).thread!.threadId;
    const now = await digest();
    for (const name of [
      { threadId: other, runIds: [live] },
      { threadId: randomUUID(), runIds: [live] },
      { threadId: kit.threadId, runIds: [randomUUID()] },
    ]) {
      const { results, counts } = await byIds(name, { wait: true });
      const outcome = CancelOutcome.NOT_FOUND;
      expect(results).toMatchObject([{ runId: name.runIds[0], outcome, status: RunStatus.UNSPECIFIED }]);
      expect(counts).toMatchObject([{ outcome, count: 1 }]);
    }
    expect((await filtered({ threadId: randomUUID() })).results).toEqual([]);
    expect(await digest()).toEqual(now);
    await app.client.threads.deleteThread({ threadId: other });
    before = await digest();
  });
});
