import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { errorInfo, LiveRunStatus, RunStatus } from "../../src/client/index.ts";
import { type KeyedApp, startKeyedApp } from "../support/keyed-app.ts";
import { createRunKit } from "../support/run-kit.ts";

let app: KeyedApp;
beforeAll(async () => {
  const owners = {
    live: { live_runs: 2 },
    executing: { executing: 1 },
    streams: { streams: 1 },
    requests: { requests_per_second: 3 },
  };
  app = await startKeyedApp({ limits: { owners } }, { config: { children: 1, maxChildren: 4, slotsPerChild: 4 } });
});
afterAll(() => app.close());

const kitFor = async (owner: string) => createRunKit({ client: await app.clientFor(owner) });
const limited = (reason: string) => (error: unknown) => {
  expect(error).toMatchObject({ code: Code.ResourceExhausted });
  expect(errorInfo(error)).toMatchObject({ reason });
  return true;
};

describe("limits of an owner", () => {
  it("of live runs: one more is refused until one is over, and nobody else notices", async () => {
    const [kit, other] = [await kitFor("live"), await kitFor("other")];
    const first = await kit.start({ steps: ["a"] });
    await kit.start({ steps: ["b"] });
    await expect(kit.start({})).rejects.toSatisfy(limited("TOO_MANY_RUNS"));
    for (const _ of [1, 2, 3]) await other.start({});
    kit.gates.open("a");
    await kit.join(first.runId);
    await vi.waitFor(() => kit.start({ steps: ["b"] }), { timeout: 20_000, interval: 50 });
    kit.gates.open("b");
    for (const each of [kit, other]) each.gates.remove();
  });

  it("of runs that execute: the next begins when one is over", async () => {
    const kit = await kitFor("executing");
    const second = await createRunKit({ client: kit.client });
    const first = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const waits = await second.start({ steps: ["b"] });
    expect((await second.get(waits.runId)).status).toBe(RunStatus.PENDING);
    kit.gates.open("a");
    await kit.join(first.runId);
    await second.gates.started("b");
    second.gates.open("b");
    expect((await second.join(waits.runId)).status).toBe(RunStatus.SUCCESS);
    for (const each of [kit, second]) each.gates.remove();
  });

  it("of calls that stream or wait, over gRPC and HTTP, until one ends", async () => {
    const kit = await kitFor("streams");
    const run = await kit.start({ steps: ["a"] });
    await kit.gates.started("a");
    const leaving = new AbortController();
    const name = { threadId: kit.threadId, runId: run.runId };
    const reading = kit.client.runs.joinRunStream(name, { signal: leaving.signal })[Symbol.asyncIterator]();
    await reading.next();
    await expect(kit.client.runs.joinRun(name)).rejects.toSatisfy(limited("RATE_LIMITED"));
    const url = `${app.app.url}/threads/${kit.threadId}/runs/${run.runId}/join`;
    const answer = await fetch(url, { headers: { "x-api-key": await app.key("streams") } });
    expect({ status: answer.status, retryAfter: answer.headers.get("retry-after") }).toEqual({
      status: 429,
      retryAfter: "1",
    });
    leaving.abort();
    await expect(reading.next()).rejects.toThrow();
    kit.gates.open("a");
    await vi.waitFor(() => kit.join(run.runId), { timeout: 20_000, interval: 50 });
    kit.gates.remove();
  });

  it("of requests: 429 with the time after which to come back", async () => {
    const headers = { "x-api-key": await app.key("requests") };
    const url = `${app.app.url}/threads/${crypto.randomUUID()}`;
    const answers = await Promise.all(Array.from({ length: 10 }, () => fetch(url, { headers })));
    const refused = answers.filter(({ status }) => status === 429);
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(3);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]!.headers.get("retry-after")).toBe("1");
    expect(await refused[0]!.json()).toMatchObject({ detail: expect.stringContaining("3 requests a second") });
    const other = await fetch(url, { headers: { "x-api-key": await app.key("nobody else's") } });
    expect(other.status).toBe(404);
  });
});

describe("many runs of one owner", () => {
  it("keep another one from neither executing nor being found", async () => {
    const [busy, quiet] = [await createRunKit({ client: await app.clientFor("busy") }), await kitFor("quiet")];
    // Ten times as many as there are slots, each on a thread of its own, and all wait for the gate.
    const create = { spec: { ...busy.spec({ steps: ["a"] }) } };
    await busy.client.runs.batchCreateRuns({ runs: Array.from({ length: 40 }, () => create) });
    await busy.gates.started("a");
    const run = await quiet.start({ steps: ["b"] });
    quiet.gates.open("b");
    expect((await quiet.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    const { counts } = await busy.client.runs.cancelRuns({
      target: { case: "filter", value: { status: LiveRunStatus.ALL } },
      wait: true,
    });
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(40);
    for (const each of [busy, quiet]) each.gates.remove();
  });
});
