import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { type App, startApp } from "../../src/app.ts";
import { createReinsClient, fromPayload, type ReinsClient } from "../../src/client/index.ts";
import { schemaVersion } from "../../src/storage/migrations/migrations.ts";
import { silentLog, type TestDatabase, testDatabase } from "../support/engine.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { loadRecorded, type Recorded, recordedGraphs } from "../support/recorded-database.ts";
import { createRestClient, type RestClient } from "../support/rest-kit.ts";
import { testConfig } from "../support/test-app.ts";
import { startWebhookReceiver, type WebhookReceiver } from "../support/webhook-receiver.ts";

/**
 * A database that a server of an older version has left when it was killed, with live and finished runs in it, and a server of today on it.
 * The tests stand in their order: what is over is read before the rest goes on. `test/fixtures/README.md` says what is in it.
 */
describe.each([4])("a database of schema version %d", (version) => {
  let database: TestDatabase;
  let recorded: Recorded;
  let webhooks: WebhookReceiver;
  let gates: string;
  let app: App;
  let rest: RestClient;
  let client: ReinsClient;

  beforeAll(async () => {
    database = await testDatabase();
    webhooks = await startWebhookReceiver();
    recorded = await loadRecorded(database.db, version, new URL(webhooks.url("/")).host);
    gates = mkdtempSync(join(tmpdir(), "reins-gates-"));
    const config = testConfig(database, { configFile: fileURLToPath(recordedGraphs), leaseMs: 3_000 });
    const childEnv = { ...config.childEnv, FIXTURE_GATES: gates };
    app = await startApp({ ...config, childEnv }, { log: silentLog, progress: () => {} });
    rest = createRestClient(app.url);
    client = createReinsClient({ baseUrl: app.url });
  });
  afterAll(async () => {
    await app?.stop();
    await webhooks.close();
    await database.close();
    rmSync(gates, { recursive: true, force: true });
  });

  const open = (gate: string) => writeFileSync(join(gates, gate), "");
  const atThread = (story: string) => `/threads/${recorded.over[story]!.thread}`;
  const wordsOf = async (threadId: string): Promise<string[]> =>
    (await rest.get(`/threads/${threadId}/state`)).body.values.words;
  async function ended({ thread, run }: { readonly thread: string; readonly run: string }) {
    const { run: last } = await client.runs.joinRun({ threadId: thread, runId: run });
    return { status: last!.status, attempt: last!.attempt };
  }
  /** A run on a thread that has been there, to its end. */
  async function run(threadId: string, body: object): Promise<string> {
    const created = await rest.post(`/threads/${threadId}/runs`, { assistant_id: "steps", ...body });
    expect([created.status, created.text]).toEqual([200, expect.any(String)]);
    return created.body.run_id;
  }

  it("is of today's version when the server serves", async () => {
    expect(await database.db.collection("meta").find().toArray()).toEqual([{ _id: "schema", version: schemaVersion }]);
  });

  it("answers about all that is over, to the byte, what the server of then answered", async () => {
    expect(recorded.answers.length).toBeGreaterThan(90);
    for (const { path, body, after, status, text } of recorded.answers) {
      const headers: Record<string, string> = after === undefined ? {} : { "last-event-id": after };
      const answer = await (body === undefined ? rest.get(path, { headers }) : rest.post(path, body, { headers }));
      expect({ path, status: answer.status, text: asOfThen(answer.text) }).toEqual({ path, status, text });
    }
  });

  it("gives what was running to a second attempt, which goes on where the first one was, and lets what waited begin", async () => {
    const { running, pending, afterLarge, delayed, batch, stateless } = recorded.live;
    const ends = Promise.all([running, afterLarge, stateless, batch, pending, delayed].map((one) => ended(one!)));
    for (const gate of ["running", "large", "batch", "stateless"]) open(gate);
    const again = { status: RunStatus.SUCCESS, attempt: 2 };
    const first = { status: RunStatus.SUCCESS, attempt: 1 };
    expect(await ends).toEqual([again, again, again, again, first, first]);
    expect(await wordsOf(running!.thread)).toEqual(["one", "running", "two", "three"]);
    const { values } = (await rest.get(`/threads/${afterLarge!.thread}/state`)).body;
    expect(values.words).toEqual(["90000", "small", "95000", "more", "again", "large", "100000"]);
    expect(values.given).toBe("more ".repeat(4000));
    expect(values.large).toMatch(/^0 is not 0; 7919 is not 104729; .{99900}/);
  });

  it("tells the events of both attempts in one order", async () => {
    const { thread, run } = recorded.live.running!;
    const reader = readEvents((signal) => client.runs.joinRunStream({ threadId: thread, runId: run }, { signal }));
    expect(await reader.ended).toBeUndefined();
    expect(reader.sequences()).toEqual(reader.events.map((_, place) => place + 1));
    const events = reader.events.map(({ event }) => event);
    const begins = events.flatMap((event) => (event.case === "attemptStarted" ? [event.value.attempt] : []));
    expect(begins).toEqual([1, 2]);
    const custom = events.flatMap((event) =>
      event.case === "output" && event.value.name === "custom" ? [event.value] : [],
    );
    const doing = custom.map(({ data }) => (fromPayload(data) as { doing: string }).doing);
    // What the first attempt did is told once: the second one went on behind it.
    expect(doing).toEqual(["say:one", "wait:running", "say:two"]);
  });

  it("stops what was to be stopped", async () => {
    expect(await ended(recorded.live.stopping!)).toEqual({ status: RunStatus.INTERRUPTED, attempt: 1 });
    expect(await wordsOf(recorded.live.stopping!.thread)).toEqual(["one"]);
  });

  it.each([
    ["question", "Ada", ["hello", "name=Ada", "bye"]],
    ["inner question", "yes", ["hello", "heard inner:ask", "inner=yes", "bye"]],
  ])("takes the answer to a %s that had been asked", async (story, resume, words) => {
    const { thread } = recorded.over[story]!;
    const answering = await run(thread, { command: { resume }, strict_resume: true });
    expect(await ended({ thread, run: answering })).toEqual({ status: RunStatus.SUCCESS, attempt: 1 });
    expect(await wordsOf(thread)).toEqual(words);
  });

  it.each(["sync", "async", "exit"])("rolls a run back on an old thread of durability %s", async (story) => {
    const { thread } = recorded.over[story]!;
    const read = async () => [
      (await rest.get(`/threads/${thread}/state?subgraphs=true`)).text,
      (await rest.get(`/threads/${thread}/history?limit=1000`)).text,
    ];
    const before = await read();
    const gate = `back-${story}`;
    const live = await run(thread, { input: { steps: ["say:gone", `wait:${gate}`] }, durability: story });
    await until(async () => (await rest.get(`/threads/${thread}/runs/${live}`)).body.status === "running");
    await rest.post(`/threads/${thread}/runs/${live}/cancel?wait=true&action=rollback`);
    expect(await read()).toEqual(before);
    // And goes on from there.
    const next = await run(thread, { input: { steps: ["say:six"] }, durability: story });
    expect(await ended({ thread, run: next })).toMatchObject({ status: RunStatus.SUCCESS });
    expect((await wordsOf(thread)).slice(-3)).toEqual(["four", "five", "six"]);
  });

  it("copies an old thread, and deletes a run of it", async () => {
    const { thread, runs } = recorded.over.large!;
    const copy = (await rest.post(`/threads/${thread}/copy`, {})).body.thread_id;
    expect(await wordsOf(copy)).toEqual(await wordsOf(thread));
    expect((await rest.delete(`/threads/${thread}/runs/${runs[0]}`)).status).toBe(204);
    expect(await wordsOf(thread)).toEqual(await wordsOf(copy));
    expect((await rest.delete(`/threads/${copy}`)).status).toBe(204);
  });

  it("calls the webhooks that had still to be called", async () => {
    const calls = await webhooks.called("/webhook", 2);
    const called = calls.map(({ body }) => body.run_id);
    expect(called).toContain(recorded.over["called back"]!.runs[0]);
    expect(called).toContain(recorded.live.stateless!.run);
  });

  it("knows a request that comes once more", async () => {
    const { thread, request, steps, run } = recorded.repeated;
    const again = await rest.post(`/threads/${thread}/runs`, {
      assistant_id: "steps",
      input: { steps, given: "" },
      stream_mode: ["values", "updates", "custom"],
      request_id: request,
    });
    expect([again.status, again.body.run_id]).toEqual([200, run]);
  });

  it("removes what has been kept long enough, and threads with all that they have", async () => {
    const { db } = database;
    const past = new Date(1);
    await db.collection("runs").updateMany({ phase: "over" }, { $set: { expire_at: past, events_expire_at: past } });
    await until(async () => (await db.collection("runs").countDocuments()) === 0);
    expect((await rest.get(atThread("sync"))).status).toBe(200);
    for (const { thread } of [...Object.values(recorded.over), ...Object.values(recorded.live)]) {
      expect([204, 404]).toContain((await rest.delete(`/threads/${thread}`)).status);
    }
    // What is left keeps ids occupied for a day, and holds nothing.
    await until(async () => (await db.collection("threads").countDocuments({ removed_at: { $exists: false } })) === 0);
    const holding = ["checkpoints", "writes", "segments"].map((field) => ({ [field]: { $exists: true } }));
    await until(async () => (await db.collection("checkpoints").countDocuments({ $or: holding })) === 0);
    expect(await db.collection("run_events").countDocuments({ gate: false })).toBe(0);
    for (const name of ["run_specs", "thread_states"]) expect(await db.collection(name).find().toArray()).toEqual([]);
  });
});

/** Without the one field that has come since. */
const asOfThen = (text: string): string => text.replaceAll(/,"webhook(?:_d|D)elivery":\{[^}]*\}/g, "");
