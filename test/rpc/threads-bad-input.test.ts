import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultMetadataBytes } from "../../src/domain/check-metadata.ts";
import { type Dump, dump } from "../support/dump.ts";
import { rawCall } from "../support/raw-call.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** A good request but for the change; the answer's code and reason, the field that is named, and a piece of the sentence. */
type Row = readonly [rpc: string, change: Fields, code: string, reason: string, field: string, says: RegExp];
type Fields = Record<string, unknown>;

const idle = randomUUID();
const busy = randomUUID();
const unknown = randomUUID();
/** Metadata of this size is there already. */
const half = "x".repeat(defaultMetadataBytes / 2);

const good: Record<string, Fields> = {
  CreateThread: {},
  GetThread: { threadId: idle },
  UpdateThread: { threadId: idle },
  SearchThreads: {},
  CountThreads: {},
  CopyThread: { threadId: idle },
  PruneThreads: { threadIds: [idle], strategy: "PRUNE_STRATEGY_KEEP_LATEST" },
  DeleteThread: { threadId: idle },
};
const rpcs = Object.keys(good);
const named = ["GetThread", "UpdateThread", "CopyThread", "DeleteThread"];
const formatted = ["GetThread", "UpdateThread", "SearchThreads", "CopyThread"];
const filtered = ["SearchThreads", "CountThreads"];

const invalid = (rpc: string, change: Fields, field: string, says: RegExp): Row =>
  [rpc, change, "invalid_argument", "INVALID_FIELD", field, says] as const;
const each = (some: readonly string[], change: Fields, field: string, says: RegExp): Row[] =>
  some.map((rpc) => invalid(rpc, change, field, says));

const uuid = /valid UUID/;
const struct = /Struct/;
const isText = /string/;
const formats = /PAYLOAD_FORMAT_VALUE, PAYLOAD_FORMAT_JSON/;
const sortings = /THREAD_SORT_BY_CREATED_AT, .*THREAD_SORT_BY_STATUS/;
const orders = /SORT_ORDER_ASCENDING, SORT_ORDER_DESCENDING/;
const strategies = /PRUNE_STRATEGY_DELETE, PRUNE_STRATEGY_KEEP_LATEST/;
const statuses = /THREAD_STATUS_IDLE, .*THREAD_STATUS_ERROR/;
const manyIds = Array.from({ length: 1001 }, () => randomUUID());
const manyFields = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, i]));
const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });

const missing: Row[] = [
  ...each(named, { threadId: "" }, "thread_id", uuid),
  ...each(named, { threadId: undefined }, "thread_id", uuid),
  invalid("PruneThreads", { threadIds: [] }, "thread_ids", /at least 1 item/),
  invalid("PruneThreads", { strategy: undefined }, "strategy", strategies),
  invalid("PruneThreads", { strategy: 0 }, "strategy", strategies),
];

const wrongType: Row[] = [
  ...each(rpcs, { nonsense: 1 }, "nonsense", /there is no such field; there are? \w+/),
  ...each(["CreateThread", ...named], { threadId: 7 }, "thread_id", isText),
  ...each(["CreateThread", ...named], { threadId: [idle] }, "thread_id", isText),
  ...each(["CreateThread", "UpdateThread"], { metadata: "a=b" }, "metadata", struct),
  ...each(["CreateThread", "UpdateThread"], { metadata: ["a"] }, "metadata", struct),
  ...each(["CreateThread", "UpdateThread"], { ttl: 5 }, "ttl", /Duration/),
  ...each(["CreateThread", "UpdateThread"], { ttl: "an hour" }, "ttl", /Duration/),
  ...each(formatted, { omitValues: "yes" }, "omit_values", /bool/),
  ...each(formatted, { payloadFormat: 1.5 }, "payload_format", formats),
  ...each(filtered, { filter: "all" }, "filter", /ThreadFilter/),
  ...each(filtered, { filter: { metadata: 1 } }, "filter.metadata", struct),
  ...each(filtered, { filter: { statuses: "THREAD_STATUS_IDLE" } }, "filter.statuses", /Array/),
  ...each(filtered, { filter: { threadIds: idle } }, "filter.thread_ids", /Array/),
  ...each(filtered, { filter: { threadIds: [1] } }, "filter.thread_ids", isText),
  ...each(filtered, { filter: { user: "x" } }, "filter.user", /no such field/),
  invalid("UpdateThread", { removeMetadata: "a" }, "remove_metadata", /Array/),
  invalid("UpdateThread", { removeMetadata: [1] }, "remove_metadata", isText),
  invalid("SearchThreads", { pageSize: "ten" }, "page_size", /int32/),
  invalid("SearchThreads", { pageToken: 1 }, "page_token", isText),
  invalid("CopyThread", { newThreadId: 1 }, "new_thread_id", isText),
  invalid("PruneThreads", { threadIds: idle }, "thread_ids", /Array/),
];

const malformed: Row[] = [
  ...each(["CreateThread", ...named], { threadId: "mine" }, "thread_id", uuid),
  ...each(named, { threadId: `${idle}x` }, "thread_id", uuid),
  ...each(filtered, { filter: { threadIds: [idle, "x"] } }, "filter.thread_ids[1]", uuid),
  invalid("CopyThread", { newThreadId: "mine" }, "new_thread_id", uuid),
  invalid("PruneThreads", { threadIds: [idle, "x"] }, "thread_ids[1]", uuid),
  ...each(["CreateThread", "UpdateThread"], { metadata: { deep: { "a\0b": 1 } } }, "metadata", /NUL/),
  ...each(filtered, { filter: { metadata: { "a\0b": 1 } } }, "filter.metadata", /NUL/),
  ...each(filtered, { filter: { values: { list: [1] } } }, "filter.values", /"list" is a list; .*at most 256/),
  ...each(filtered, { filter: { values: { deep: { x: [] } } } }, "filter.values", /"deep.x" is a list/),
  ...["x", Buffer.from('["a","b","c"]').toString("base64url"), "////"].map(
    (pageToken): Row => [
      ...([
        "SearchThreads",
        { pageToken },
        "invalid_argument",
        "INVALID_PAGE_TOKEN",
        "page_token",
        /next_page_token/,
      ] as const),
    ],
  ),
];

const enums: Row[] = [
  ...each(formatted, { payloadFormat: 9 }, "payload_format", formats),
  ...each(formatted, { payloadFormat: "JSON" }, "payload_format", formats),
  ...each(filtered, { filter: { statuses: [0] } }, "filter.statuses[0]", statuses),
  ...each(filtered, { filter: { statuses: [1, 9] } }, "filter.statuses[1]", statuses),
  ...each(filtered, { filter: { statuses: ["idle"] } }, "filter.statuses", statuses),
  invalid("CreateThread", { ifExists: 5 }, "if_exists", /IF_EXISTS_RAISE, IF_EXISTS_DO_NOTHING/),
  invalid("CreateThread", { ifExists: "raise" }, "if_exists", /IF_EXISTS_RAISE, IF_EXISTS_DO_NOTHING/),
  invalid("SearchThreads", { sortBy: 5 }, "sort_by", sortings),
  invalid("SearchThreads", { sortBy: "created_at" }, "sort_by", sortings),
  invalid("SearchThreads", { sortOrder: 3 }, "sort_order", orders),
  invalid("SearchThreads", { sortOrder: "desc" }, "sort_order", orders),
  invalid("PruneThreads", { strategy: 3 }, "strategy", strategies),
  invalid("PruneThreads", { strategy: "delete" }, "strategy", strategies),
];

const outOfRange: Row[] = [
  invalid("CreateThread", { ttl: "0.999s" }, "ttl", /greater than or equal to 1s/),
  invalid("CreateThread", { ttl: "0s" }, "ttl", /greater than or equal to 1s/),
  invalid("UpdateThread", { ttl: "-1s" }, "ttl", /greater than or equal to 0s/),
  invalid("UpdateThread", { ttl: "0.5s" }, "ttl", /0, or from 1 s to 10 years/),
  ...each(["CreateThread", "UpdateThread"], { ttl: "315360001s" }, "ttl", /less than or equal to 315360000s/),
  invalid("SearchThreads", { pageSize: -1 }, "page_size", /greater than or equal to 0/),
  invalid("SearchThreads", { pageSize: 1001 }, "page_size", /less than or equal to 1000/),
  invalid("UpdateThread", { removeMetadata: [""] }, "remove_metadata[0]", /at least 1 character/),
];

const tooLarge: Row[] = [
  ...each(["CreateThread", "UpdateThread"], { metadata: manyFields }, "metadata", /1001 fields; at most 1000/),
  ...each(["CreateThread", "UpdateThread"], { metadata: deep(31) as Fields }, "metadata", /deeper than 30 levels/),
  ...each(filtered, { filter: { metadata: manyFields } }, "filter.metadata", /1001 fields; at most 1000/),
  ...each(filtered, { filter: { values: deep(31) } }, "filter.values", /deeper than 30 levels/),
  ...each(filtered, { filter: { values: { text: "x".repeat(257) } } }, "filter.values", /"text" is a longer text/),
  ...each(filtered, { filter: { threadIds: manyIds } }, "filter.thread_ids", /no more than 1000 item/),
  invalid("UpdateThread", { removeMetadata: manyIds }, "remove_metadata", /no more than 1000 item/),
  invalid("SearchThreads", { pageToken: "x".repeat(1001) }, "page_token", /at most 1000 characters/),
  invalid("PruneThreads", { threadIds: manyIds }, "thread_ids", /no more than 1000 item/),
  ...["CreateThread", "UpdateThread"].map((rpc): Row => {
    const metadata = { text: half + half };
    return [
      rpc,
      { metadata },
      "resource_exhausted",
      "INPUT_TOO_LARGE",
      "metadata",
      new RegExp(String(defaultMetadataBytes)),
    ];
  }),
  // Together with what is there.
  ["UpdateThread", { metadata: { more: half } }, "resource_exhausted", "INPUT_TOO_LARGE", "metadata", /bytes of JSON/],
  invalid(
    "UpdateThread",
    { metadata: Object.fromEntries(Object.entries(manyFields).slice(2)) },
    "metadata",
    /1001 fields/,
  ),
];

const contradictory: Row[] = [
  invalid(
    "UpdateThread",
    { metadata: { a: 1, b: 2 }, removeMetadata: ["b"] },
    "remove_metadata",
    /"b" is also in metadata/,
  ),
  invalid("UpdateThread", { removeMetadata: ["a", "a"] }, "remove_metadata", /unique/),
  ...each(filtered, { filter: { threadIds: [idle, idle] } }, "filter.thread_ids", /unique/),
  ...each(filtered, { filter: { statuses: [1, 1] } }, "filter.statuses", /unique/),
  invalid("PruneThreads", { threadIds: [idle, idle] }, "thread_ids", /unique/),
];

const foreign: Row[] = [
  ...named.map(
    (rpc): Row => [rpc, { threadId: unknown }, "not_found", "THREAD_NOT_FOUND", "thread_id", new RegExp(unknown)],
  ),
  ["CopyThread", { threadId: unknown, newThreadId: idle }, "not_found", "THREAD_NOT_FOUND", "thread_id", /no thread/],
  ["CopyThread", { newThreadId: idle }, "already_exists", "THREAD_EXISTS", "new_thread_id", new RegExp(idle)],
  [
    "CopyThread",
    { newThreadId: busy.toUpperCase() },
    "already_exists",
    "THREAD_EXISTS",
    "new_thread_id",
    new RegExp(busy),
  ],
  ["CopyThread", { threadId: busy }, "aborted", "THREAD_BUSY", "thread_id", /busy with run [-0-9a-f]{36}/],
  ["CreateThread", { threadId: idle }, "already_exists", "THREAD_EXISTS", "thread_id", new RegExp(idle)],
  ["CreateThread", { threadId: busy, ifExists: 1 }, "already_exists", "THREAD_EXISTS", "thread_id", new RegExp(busy)],
];

describe("threads: bad input is answered with what is wrong and changes nothing", () => {
  let app: TestApp;
  let kit: RunKit;
  let finished: string;
  let live: string;
  let before: Dump;
  const stored = () => dump(app.db, { exceptEventsOf: live });

  beforeAll(async () => {
    app = await startTestApp();
    kit = await createRunKit(app);
    const { threads, runs } = app.client;
    await threads.createThread({ threadId: idle, metadata: { text: half, n: 1 } });
    await threads.createThread({ threadId: busy, metadata: { n: 1 } });
    kit.gates.open("a");
    finished = (await runs.createRun({ threadId: idle, spec: kit.spec({ steps: ["a"] }) })).run!.runId;
    await runs.joinRun({ threadId: idle, runId: finished });
    live = (await runs.createRun({ threadId: busy, spec: kit.spec({ steps: ["b"] }) })).run!.runId;
    await kit.gates.started("b");
    expect((await runs.getRun({ threadId: busy, runId: live })).run!.endedAt).toBeUndefined();
    before = await stored();
  }, 60_000);
  afterAll(async () => {
    kit.gates.open();
    await app.client.threads.deleteThread({ threadId: busy });
    kit.gates.remove();
    await app.close();
  });

  const kinds = { missing, wrongType, malformed, enums, outOfRange, tooLarge, contradictory, foreign };
  describe.each(Object.entries(kinds))("%s", (_, rows) => {
    it.each(rows.map((row) => [`${row[0]} ${JSON.stringify(row[1]).slice(0, 80)}`, row] as const))(
      "%s",
      async (_, [rpc, change, code, reason, field, says]) => {
        const answer = await rawCall(app.app.url, rpc, { ...good[rpc], ...change });
        expect(answer).toMatchObject({ code, message: expect.stringMatching(says) });
        expect(answer.message.slice(0, 2000)).toContain(`${field}: `);
        expect(answer.infos).toMatchObject([{ domain: "reins", reason }]);
        if (code === "invalid_argument") expect(answer.infos[0]!.metadata).toEqual({ field });
        expect(await stored()).toEqual(before);
      },
    );
  });

  it.each(filtered)("%s by values that are no object", async (rpc) => {
    // The transport says what they are not, and names the first field of that kind.
    const answer = await rawCall(app.app.url, rpc, { filter: { values: [1] } });
    expect(answer).toMatchObject({ code: "invalid_argument", infos: [{ domain: "reins", reason: "INVALID_FIELD" }] });
    expect(answer.message).toMatch(struct);
  });

  it("a run's id is no thread's", async () => {
    for (const rpc of named) {
      const answer = await rawCall(app.app.url, rpc, { threadId: finished });
      expect(answer).toMatchObject({ code: "not_found", infos: [{ reason: "THREAD_NOT_FOUND" }] });
    }
    for (const strategy of [1, 2]) {
      const { json } = await rawCall(app.app.url, "PruneThreads", { threadIds: [finished, unknown], strategy });
      expect(json).toEqual({});
    }
    for (const rpc of filtered) {
      const { json } = await rawCall(app.app.url, rpc, { filter: { threadIds: [finished] } });
      expect(json).toEqual(rpc === "SearchThreads" ? {} : expect.toBeOneOf([{}, { count: "0" }]));
    }
    expect(await stored()).toEqual(before);
  });

  it("a page token of another filter, order or kind of list", async () => {
    const call = (body: Fields) => rawCall(app.app.url, "SearchThreads", { pageSize: 1, omitValues: true, ...body });
    const first = (await call({})).json as { nextPageToken: string };
    const { nextPageToken: pageToken } = first;
    expect(pageToken).toMatch(/^[\w-]+$/);
    const ofRuns = (await rawCall(app.app.url, "ListRuns", { pageSize: 1 })).json as { nextPageToken: string };
    const changes: Fields[] = [
      { pageToken, sortOrder: "SORT_ORDER_ASCENDING" },
      { pageToken, sortBy: "THREAD_SORT_BY_STATUS" },
      { pageToken, sortBy: "THREAD_SORT_BY_UPDATED_AT" },
      { pageToken, filter: { metadata: { n: 1 } } },
      { pageToken, filter: { statuses: [1] } },
      { pageToken: `${pageToken.slice(0, -4)}AAAA` },
      { pageToken: ofRuns.nextPageToken },
    ];
    for (const change of changes) {
      const answer = await call(change);
      expect([change, answer]).toMatchObject([change, { code: "invalid_argument" }]);
      expect(answer.infos).toMatchObject([{ reason: "INVALID_PAGE_TOKEN", metadata: { field: "page_token" } }]);
    }
    // Saying what is meant anyway is the same query.
    expect((await call({ pageToken, sortOrder: "SORT_ORDER_DESCENDING", filter: {} })).code).toBe("ok");
  });

  it.each(rpcs)("%s with what is no JSON object", async (rpc) => {
    for (const body of ["", "{", "[]", '"x"', "null"]) {
      const answer = await rawCall(app.app.url, rpc, body);
      expect(answer).toMatchObject({ code: "invalid_argument", infos: [{ domain: "reins" }] });
    }
    expect(await stored()).toEqual(before);
  });
});
