import { once } from "node:events";
import http2 from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/gates.ts";
import { collect, createRestKit, readEvents, type SentEvent } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

const ids = (events: readonly SentEvent[]) => events.map(({ id }) => Number(id));
const names = (events: readonly SentEvent[]) => events.map(({ event }) => event);

/** The next events, as many as asked for. */
async function take(events: AsyncIterator<SentEvent>, count: number): Promise<SentEvent[]> {
  const taken: SentEvent[] = [];
  while (taken.length < count) {
    const { value, done } = await events.next();
    if (done) throw new Error(`the stream ended after ${taken.length} events`);
    taken.push(value);
  }
  return taken;
}

describe("POST /threads/{thread_id}/runs/stream", () => {
  it("begins with the run's name, numbers its events, and ends with its last output", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const { response, events } = await kit.rest.stream(`${kit.thread}/runs/stream`, kit.body({ steps: ["a"] }));
    const all = await collect(events);
    const [{ run_id: runId }] = (await kit.rest.get(`${kit.thread}/runs`)).body;
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      location: `${kit.thread}/runs/${runId}/stream`,
      "content-location": `${kit.thread}/runs/${runId}`,
    });
    expect(all[0]).toEqual({ event: "metadata", id: "1", data: { run_id: runId, attempt: 1 } });
    expect(new Set(names(all.slice(1)))).toEqual(new Set(["values"]));
    expect(all.at(-1)!.data).toMatchObject({ log: ["a"] });
    expect(ids(all)).toEqual(ids(all).toSorted((a, b) => a - b));
    expect(new Set(ids(all)).size).toBe(all.length);
    // Whoever comes back after the end is told no more, or the end where it is asked for.
    const path = `${kit.thread}/runs/${runId}/stream`;
    const comeBack = async (id: string, query = "") =>
      collect((await kit.rest.stream(path + query, undefined, { headers: { "last-event-id": id } })).events);
    expect(await comeBack(all.at(-1)!.id!)).toEqual([]);
    expect(await comeBack(all.at(-2)!.id!)).toEqual(all.slice(-1));
    const end = { event: "end", id: String(ids(all).at(-1)! + 1), data: { status: "success", cancellation: null } };
    expect(await comeBack("0", "?stream_end=always")).toEqual([...all, end]);
    expect(await comeBack(end.id, "?stream_end=always")).toEqual([end]);
    kit.gates.remove();
  });

  it("names the events of each mode, and of subgraphs, as LangGraph's server does", async () => {
    const kit = await createRestKit(app.app.url, "nested");
    kit.gates.open();
    const modes = ["updates", "tasks", "debug", "checkpoints", "custom"];
    const { events } = await kit.rest.stream(
      `${kit.thread}/runs/stream`,
      kit.body({}, { stream_mode: modes, stream_subgraphs: true }),
    );
    const seen = new Set(names(await collect(events)).map((name) => name.replace(/[0-9a-f-]{36}/g, "ID")));
    expect([...seen]).toEqual(
      expect.arrayContaining([
        "metadata",
        "updates",
        "updates|sub:ID",
        "tasks",
        "tasks|sub:ID",
        "debug",
        "checkpoints",
      ]),
    );
    // Of some of the graphs alone: the run's own, or a subgraph by the path of its namespace.
    const [{ run_id: runId }] = (await kit.rest.get(`${kit.thread}/runs`)).body;
    const of = async (...namespaces: string[]) => {
      const query = new URLSearchParams(namespaces.map((one) => ["namespace", one]));
      const headers = { "last-event-id": "-1" };
      const part = await kit.rest.stream(`${kit.thread}/runs/${runId}/stream?${query}`, undefined, { headers });
      return names(await collect(part.events)).map((name) => name.split("|").slice(1).join("|"));
    };
    const all = await of();
    const sub = all.find((name) => name !== "")!;
    expect(new Set(all)).toEqual(new Set(["", sub]));
    expect(new Set(await of(""))).toEqual(new Set([""]));
    expect((await of(sub)).filter((name) => name !== "")).toEqual(all.filter((name) => name === sub));
    expect(await of("", sub)).toEqual(all);
    expect(await of("nowhere")).toEqual([""]);
    kit.gates.remove();
  });

  it("ends with the error, or with the cancel and whoever asked for it", async () => {
    const faulty = await createRestKit(app.app.url, "faulty");
    const failing = await faulty.rest.stream(`${faulty.thread}/runs/stream`, faulty.body({ fault: "throw" }));
    const failed = await collect(failing.events);
    expect(failed.at(-1)).toMatchObject({
      event: "error",
      data: { error: "RangeError", message: "this step always fails" },
    });
    const kit = await createRestKit(app.app.url);
    expect(failed.filter(({ event }) => event === "end")).toEqual([]);
    const always = await faulty.rest.stream(
      `${faulty.thread}/runs/stream?stream_end=always`,
      faulty.body({ fault: "throw" }),
    );
    expect(always.response.headers.get("location")).toMatch(/\/stream\?stream_end=always$/);
    expect((await collect(always.events)).slice(-2)).toMatchObject([
      { event: "error", data: { error: "RangeError", message: "this step always fails" } },
      { event: "end", data: { status: "error", cancellation: null } },
    ]);
    expect((await faulty.rest.post(`${faulty.thread}/runs/stream?stream_end=never`, faulty.body({}))).status).toBe(422);
    for (const action of ["interrupt", "rollback"]) {
      const { events } = await kit.rest.stream(`${kit.thread}/runs/stream`, kit.body({ steps: [action] }));
      const [metadata] = await take(events, 1);
      await kit.gates.started(action);
      await kit.rest.post(`${kit.thread}/runs/${metadata!.data.run_id}/cancel?action=${action}`);
      const rest = await collect(events);
      expect(names(rest)).not.toContain("error");
      expect(rest.at(-1)).toMatchObject({
        event: "end",
        data: { status: "interrupted", cancellation: { action, requested_by: "client" } },
      });
    }
    for (const { gates } of [faulty, kit]) gates.remove();
  });

  it("keeps line breaks of data inside the data", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open();
    const evil = "x\r\n\r\nevent: end\r\ndata: {}\r\n\r\n\u2028";
    const { events } = await kit.rest.stream(
      `${kit.thread}/runs/stream`,
      kit.body({ steps: ["a"], manners: { [evil]: evil } }),
    );
    const all = await collect(events);
    expect(all.at(-1)!.data.manners).toEqual({ [evil]: evil });
    expect(names(all)).not.toContain("end");
    kit.gates.remove();
  });

  it("refuses before it begins, with a status", async () => {
    const kit = await createRestKit(app.app.url);
    const answer = await kit.rest.post(
      `${kit.thread}/runs/stream`,
      kit.body({}, { stream_mode: ["values", "nonsense"] }),
    );
    expect(answer.status).toBe(422);
    expect(answer.body.detail).toContain("stream_mode");
    expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
    kit.gates.remove();
  });

  it("shows that it goes on while nothing happens", async () => {
    const slow = await startTestApp({ config: { restBeatMs: 50 } });
    const kit = await createRestKit(slow.app.url);
    const response = await kit.rest.send("POST", `${kit.thread}/runs/stream`, kit.body({ steps: ["a"] }));
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!/(: heartbeat\r\n\r\n){2}$/.test(text)) text += (await reader.read()).value;
    kit.gates.open();
    for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
    expect(text).toMatch(/event: values\r\ndata: .*\r\nid: \d+\r\n\r\n(: heartbeat\r\n\r\n)*$/);
    kit.gates.remove();
    await slow.close();
  });
});

describe("GET /threads/{thread_id}/runs/{run_id}/stream", () => {
  /** A run that has put out half of its events and waits. */
  async function halfway(count = 200) {
    const kit = await createRestKit(app.app.url, "emitter");
    const runId = await kit.start({ count }, { stream_mode: ["custom"] });
    await kit.gates.started("middle");
    const path = `${kit.thread}/runs/${runId}/stream`;
    const from = (id: string, query = "") =>
      kit.rest.stream(path + query, undefined, { headers: { "last-event-id": id } });
    // What it has put out before the gate may still be on its way to the database.
    const { events, leave } = await from("0");
    for await (const { event, data } of events) if (event === "custom" && data.i === count / 2 - 1) break;
    leave();
    return { kit, runId, path, from };
  }
  const numbers = (events: readonly SentEvent[]) =>
    events.filter(({ event }) => event === "custom").map(({ data }) => data.i as number);
  const counted = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

  it("with Last-Event-ID goes on exactly after that event, whichever it is, also after the end", async () => {
    const { kit, runId, from } = await halfway();
    kit.gates.open();
    await kit.rest.get(`${kit.thread}/runs/${runId}/join`);
    for (const query of ["", "?stream_end=always"]) {
      const all = await collect((await from("0", query)).events);
      expect(numbers(all)).toEqual(counted(0, 200));
      expect(await collect((await from("-1", query)).events)).toEqual(all);
      for (const place of [0, 1, 77, 150, all.length - 2]) {
        expect(await collect((await from(all[place]!.id!, query)).events)).toEqual(all.slice(place + 1));
      }
      const last = await collect((await from(all.at(-1)!.id!, query)).events);
      expect(last).toEqual(query === "" ? [] : all.slice(-1));
    }
    kit.gates.remove();
  });

  it("without it begins now, and its first event has the number to come back with", async () => {
    const { kit, path, from } = await halfway();
    const live = await kit.rest.stream(path);
    const [metadata] = await take(live.events, 1);
    kit.gates.open();
    const rest = await collect(live.events);
    expect(numbers(rest)).toEqual(counted(100, 200));
    expect(await collect((await from(metadata!.id!)).events)).toEqual(rest);
    kit.gates.remove();
  });

  it("loses and doubles nothing over many readers that leave and come back", async () => {
    const { kit, from } = await halfway(1000);
    const seen: SentEvent[] = [];
    setTimeout(() => kit.gates.open(), 20);
    for (let last = "0"; seen.at(-1)?.event !== "end"; last = seen.at(-1)!.id!) {
      const { events, leave } = await from(last, "?stream_end=always");
      for await (const event of events) {
        seen.push(event);
        if (seen.length % 37 === 0) break;
      }
      leave();
    }
    expect(numbers(seen)).toEqual(counted(0, 1000));
    kit.gates.remove();
  });

  it("gives every reader every event", async () => {
    const { kit, from } = await halfway();
    const readers = await Promise.all([from("0"), from("0"), from("0")]);
    kit.gates.open();
    const [one, ...others] = await Promise.all(readers.map(({ events }) => collect(events)));
    expect(numbers(one!)).toEqual(counted(0, 200));
    for (const other of others) expect(other).toEqual(one);
    kit.gates.remove();
  });

  it.each([
    "?stream_mode=updates",
    "?stream_mode=custom&stream_mode=updates",
    '?stream_mode=["updates"]',
    "?stream_mode=updates,custom",
  ])("sends only output of the modes that are asked for (%s)", async (query) => {
    const kit = await createRestKit(app.app.url, "emitter");
    kit.gates.open();
    const runId = await kit.start({ count: 2 }, { stream_mode: ["custom", "updates", "values"] });
    const { events } = await kit.rest.stream(`${kit.thread}/runs/${runId}/stream${query}`, undefined, {
      headers: { "last-event-id": "0" },
    });
    const seen = new Set(names(await collect(events)));
    expect(seen).toEqual(new Set(["metadata", "updates", ...(query.includes("custom") ? ["custom"] : [])]));
    kit.gates.remove();
  });

  it.each(["zzz", "1.5", "-2", "99999", "1e3"])("refuses %s for a Last-Event-ID", async (id) => {
    const { kit, runId, from } = await halfway();
    const { response } = await from(id);
    expect(response.status).toBe(422);
    expect(await response.json()).toEqual({ detail: expect.stringMatching(/^Last-Event-ID /) });
    expect(await kit.status(runId)).toBe("running");
    await kit.finish(runId);
  });

  it("refuses an event that is no longer kept before it begins, and still has the end", async () => {
    const { kit, runId, from } = await halfway();
    await kit.finish(runId);
    const all = await collect((await from("0", "?stream_end=always")).events);
    await app.db.collection("run_events").deleteMany({ run_id: runId });
    for (const id of ["-1", "0", "1", "77", String(Number(all.at(-1)!.id) - 2)]) {
      const { response } = await from(id);
      const answer = [response.status, await response.json()];
      expect(answer).toEqual([422, { detail: expect.stringMatching(/no longer kept; use Last-Event-ID \d+ to get/) }]);
    }
    const last = String(Number(all.at(-1)!.id) - 1);
    expect(await collect((await from(last, "?stream_end=always")).events)).toEqual(all.slice(-1));
  });

  it("ends with an error, and not by being cut off, when what it is to send is lost on the way", async () => {
    const { kit, runId, from } = await halfway();
    await until(async () => (await app.db.collection("run_events").countDocuments({ run_id: runId, last: 102 })) === 1);
    const lost = { run_id: runId, last: { $lt: 102 } };
    await app.db.collection("run_events").deleteMany(lost);
    const { response, events } = await from("1");
    expect(response.status).toBe(200);
    expect(await collect(events)).toEqual([
      {
        event: "error",
        id: undefined,
        data: { error: "SEQUENCE_OUT_OF_RANGE", message: expect.stringContaining("no longer kept") },
      },
    ]);
    await kit.finish(runId);
  });

  it("is broken off when the server ends, so that its reader comes back for the rest", async () => {
    const ending = await startTestApp({ config: { drainMs: 50 } });
    const kit = await createRestKit(ending.app.url, "emitter");
    const { events } = await kit.rest.stream(
      `${kit.thread}/runs/stream`,
      kit.body({ count: 20 }, { stream_mode: "custom" }),
    );
    const seen = await take(events, 11);
    const broken = expect(collect(events)).rejects.toThrow();
    const next = await ending.restart();
    await broken;
    kit.gates.open();
    const path = `${kit.thread}/runs/${seen[0]!.data.run_id}/stream`;
    const again = await fetch(`${next.app.url}${path}`, { headers: { "last-event-id": seen.at(-1)!.id! } });
    const rest = await collect(readEvents(again));
    expect(new Set(numbers([...seen, ...rest]))).toEqual(new Set(counted(0, 20)));
    kit.gates.remove();
    await next.close();
  });

  it.each(["HTTP/1.1", "HTTP/2"])(
    "is broken off by a failure that is not for clients to see, over %s",
    async (protocol) => {
      const failing = await startTestApp({
        decorate(parts) {
          const from = () => Promise.reject(new Error("not for clients"));
          return { ...parts, stores: { ...parts.stores, events: { ...parts.stores.events, from } } };
        },
      });
      const kit = await createRestKit(failing.app.url);
      const runId = await kit.start({ steps: ["a"] });
      const path = `${kit.thread}/runs/${runId}/stream`;
      if (protocol === "HTTP/1.1") {
        const { response, events } = await kit.rest.stream(path, undefined, { headers: { "last-event-id": "0" } });
        expect(response.status).toBe(200);
        await expect(collect(events)).rejects.toThrow();
      } else {
        const session = http2.connect(failing.app.url);
        const stream = session.request({ ":path": path, "last-event-id": "0" });
        const [head] = await once(stream, "response");
        expect(head[":status"]).toBe(200);
        const ended = once(stream.resume(), "close");
        await expect(ended).rejects.toMatchObject({ message: expect.stringContaining("INTERNAL_ERROR") });
        session.close();
      }
      await kit.finish(runId);
      await failing.close();
    },
  );

  it("is cut off in a wait as well, which can be joined at its location", async () => {
    const ending = await startTestApp({ config: { drainMs: 50 } });
    const kit = await createRestKit(ending.app.url);
    const response = await kit.rest.send("POST", `${kit.thread}/runs/wait`, kit.body({ steps: ["a"] }));
    const cutOff = expect(response.text()).rejects.toThrow();
    await kit.gates.started("a");
    const next = await ending.restart();
    await cutOff;
    kit.gates.open();
    const joined = await fetch(`${next.app.url}${response.headers.get("location")}`);
    expect(await joined.json()).toMatchObject({ log: ["a"] });
    kit.gates.remove();
    await next.close();
  });

  it("holds back a reader that does not read, and loses nothing for it", async () => {
    const kit = await createRestKit(app.app.url, "emitter");
    kit.gates.open();
    const { response, events } = await kit.rest.stream(
      `${kit.thread}/runs/stream`,
      kit.body({ count: 400, padding: 50_000 }, { stream_mode: "custom" }),
    );
    expect(response.status).toBe(200);
    const [{ run_id: runId }] = (await kit.rest.get(`${kit.thread}/runs`)).body;
    await until(async () => (await kit.status(runId)) === "success");
    expect(numbers(await collect(events))).toEqual(counted(0, 400));
    kit.gates.remove();
  });
});
