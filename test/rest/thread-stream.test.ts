import { Client } from "@langchain/langgraph-sdk";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { toPayload } from "../../src/client/index.ts";
import { createRestKit, type RestKit, type SentEvent } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

describe("GET /threads/{thread_id}/stream", () => {
  const leavers: (() => void)[] = [];
  afterEach(() => {
    for (const leave of leavers.splice(0)) leave();
  });

  async function createKit(graph?: string): Promise<RestKit> {
    const kit = await createRestKit(app.app.url, graph);
    leavers.push(kit.gates.remove);
    return kit;
  }

  async function open(kit: RestKit, { last, query = "" }: { last?: string; query?: string } = {}) {
    const headers: Record<string, string> = last === undefined ? {} : { "last-event-id": last };
    const stream = await kit.rest.stream(`${kit.thread}/stream${query}`, undefined, { headers });
    leavers.push(stream.leave);
    return stream;
  }

  /** The events until some are enough. */
  async function takeUntil(events: AsyncIterator<SentEvent>, isEnough: (taken: SentEvent[]) => boolean) {
    const taken: SentEvent[] = [];
    while (!isEnough(taken)) {
      const { value, done } = await events.next();
      if (done) throw new Error(`the stream ended after ${taken.length} events`);
      taken.push(value);
    }
    return taken;
  }
  const isDone = ({ event, data }: SentEvent) => event === "metadata" && data.status === "run_done";
  const runsDone = (count: number) => (taken: SentEvent[]) => taken.filter(isDone).length === count;

  it("tells one run after the other, also of other clients, and goes on", async () => {
    const kit = await createKit();
    kit.gates.open();
    const { response, events } = await open(kit);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("location")).toBe(`${kit.thread}/stream`);

    const first = await kit.start({ steps: ["a"] });
    const told = await takeUntil(events, runsDone(1));
    expect(told[0]).toMatchObject({ event: "metadata", data: { run_id: first, attempt: 1 } });
    expect(told.at(-1)!.data).toEqual({
      status: "run_done",
      run_id: first,
      run_status: "success",
      cancellation: null,
    });
    expect(told.at(-2)).toMatchObject({ event: "values", data: { log: ["a"] } });

    const spec = { assistantId: "gated", input: toPayload({ dir: kit.gates.dir, steps: ["b"] }) };
    const { run } = await app.client.runs.createRun({ threadId: kit.threadId, spec });
    const others = await takeUntil(events, runsDone(1));
    expect(others[0]!.data.run_id).toBe(run!.runId);
    expect(others.at(-2)!.data.log).toEqual(["a", "b"]);
  });

  it("tells runs in the order in which they begin", async () => {
    const kit = await createKit();
    const { events } = await open(kit);
    const delayed = await kit.start({ steps: ["late"] }, { after_seconds: 1 });
    const first = await kit.start({ steps: ["a"] });
    const second = await kit.start({ steps: ["b"] });
    kit.gates.open();
    const told = await takeUntil(events, runsDone(3));
    const begun = told.filter(({ event, data }) => event === "metadata" && !data.status).map(({ data }) => data.run_id);
    expect(begun.indexOf(second)).toBe(begun.indexOf(first) + 1);
    expect(new Set(begun)).toEqual(new Set([first, second, delayed]));
    expect(told.filter(isDone).map(({ data }) => data.run_id)).toEqual(begun);
  });

  it("goes on exactly after each of its events", async () => {
    const kit = await createKit();
    kit.gates.open();
    for (const step of ["a", "b"]) await kit.reaches(await kit.start({ steps: [step] }), "success");
    const all = await takeUntil((await open(kit, { last: "-1" })).events, runsDone(2));
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    for (const [place, { id }] of all.slice(0, -1).entries()) {
      const { events, leave } = await open(kit, { last: id! });
      const rest = await takeUntil(events, (taken) => taken.length === all.length - place - 1);
      expect(rest).toEqual(all.slice(place + 1));
      leave();
    }
    // Behind the last one is what comes next.
    const { events } = await open(kit, { last: all.at(-1)!.id! });
    const next = await kit.start({ steps: ["c"] });
    expect((await takeUntil(events, (taken) => taken.length === 1))[0]!.data.run_id).toBe(next);
  });

  it("begins with what comes, without an id", async () => {
    const kit = await createKit();
    kit.gates.open("a");
    kit.gates.open("b");
    await kit.reaches(await kit.start({ steps: ["a"] }), "success");
    const under = await kit.start({ steps: ["b", "c"] });
    await kit.gates.started("c");
    // The output of b comes before, and must not come now.
    const earlier = await open(kit, { last: "-1" });
    await takeUntil(earlier.events, (taken) => {
      const { event, data, id } = taken.at(-1) ?? {};
      return event === "values" && data.done === 1 && id!.includes(under);
    });
    const { events } = await open(kit);
    kit.gates.open("c");
    const told = await takeUntil(events, runsDone(1));
    expect(told.flatMap(({ event, data }) => (event === "values" ? [data.done] : []))).toEqual([2]);
    expect(told.at(-1)!.data.run_id).toBe(under);
  });

  it("leaves the output out in the mode lifecycle", async () => {
    const kit = await createKit();
    kit.gates.open();
    const { events } = await open(kit, { query: "?stream_modes=lifecycle" });
    await kit.start({ steps: ["a"] });
    const told = await takeUntil(events, runsDone(1));
    expect(told.map(({ event }) => event)).toEqual(["metadata", "metadata"]);
  });

  it("tells why a run failed, how one was cancelled, and that one was rolled back", async () => {
    const kit = await createKit("faulty");
    const { events } = await open(kit);
    await kit.start({ fault: "throw" });
    const failed = await takeUntil(events, runsDone(1));
    expect(failed.at(-2)).toMatchObject({
      event: "error",
      data: { error: "RangeError", message: "this step always fails" },
    });
    expect(failed.at(-1)!.data.run_status).toBe("error");
    for (const action of ["interrupt", "rollback"]) {
      const run = await kit.start({ fault: "none" });
      await kit.gates.started("fail");
      expect((await kit.rest.post(`${kit.thread}/runs/${run}/cancel?action=${action}`)).status).toBe(202);
      const end = (await takeUntil(events, runsDone(1))).at(-1)!;
      expect(end.data).toMatchObject({ run_id: run, run_status: "interrupted", cancellation: { action } });
      await expect.poll(async () => (await kit.current()).status).not.toBe("busy");
    }
    kit.gates.open();
    const next = await kit.start({ fault: "none" });
    expect((await takeUntil(events, runsDone(1))).at(-1)!.data).toMatchObject({ run_id: next, run_status: "success" });
  });

  it("is what the SDK's threads.joinStream reads", async () => {
    const kit = await createKit();
    kit.gates.open();
    const run = await kit.start({ steps: ["a"] });
    await kit.reaches(run, "success");
    const leave = new AbortController();
    const names: string[] = [];
    const client = new Client({ apiUrl: app.app.url });
    const options = { lastEventId: "-1", streamMode: "run_modes" as const, signal: leave.signal };
    for await (const { event, data } of client.threads.joinStream(kit.threadId, options)) {
      names.push(event);
      if ((data as { status?: string }).status !== "run_done") continue;
      leave.abort();
      break;
    }
    expect(names).toEqual(["metadata", "values", "values", "values", "metadata"]);
  });

  it("refuses what it does not know", async () => {
    const kit = await createKit();
    const get = (path: string, last?: string) =>
      kit.rest.get(path, last === undefined ? {} : { headers: { "last-event-id": last } });
    expect(await get(`/threads/${crypto.randomUUID()}/stream`)).toMatchObject({ status: 404 });
    expect(await get("/threads/zzz/stream")).toMatchObject({ status: 422 });
    expect(await get(`${kit.thread}/stream?stream_modes=zzz`)).toMatchObject({ status: 422 });
    expect(await get(`${kit.thread}/stream`, "zzz")).toMatchObject({ status: 422 });
  });

  it("is cut off when the thread goes", async () => {
    const kit = await createKit();
    const { events } = await open(kit);
    expect((await kit.rest.delete(kit.thread)).status).toBe(204);
    await expect(events.next()).rejects.toThrow();
  });

  it("is broken off when the server ends", async () => {
    const ending = await startTestApp({ config: { drainMs: 50 } });
    const kit = await createRestKit(ending.app.url);
    leavers.push(kit.gates.remove);
    const { events } = await open(kit);
    const broken = expect(events.next()).rejects.toThrow();
    await ending.close();
    await broken;
  });
});
