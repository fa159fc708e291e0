import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Nudge } from "../../../src/domain/nudge.ts";
import type { StoredThread } from "../../../src/domain/ports.ts";
import type { Run } from "../../../src/domain/run/run.ts";
import { createFollowedRuns, type FollowedRuns, soonMs } from "../../../src/nudges/followed-runs.ts";

const name = (runId: string) => ({ owner: "", threadId: "thread", runId });
/** A record, and the server that executes the run. */
type Stored = Run & { readonly server?: string };
const at = (server: string, runId = "run") => ({ ...name(runId), phase: "running", server }) as Stored;
const waiting = { ...name("run"), phase: "waiting" } as Run;
const over = { ...name("run"), phase: "over" } as Run;
const [everyMs, renewMs] = [5_000, 20_000];

describe("runs that are followed here", () => {
  let stored: Map<string, Stored>;
  let chunks: Map<string, number>;
  let queries: string[];
  let others: string[];
  let here: Set<string>;
  let sent: [to: string, nudge: Nudge][];
  let told: string[];
  let self: string;
  let followed: FollowedRuns;

  beforeEach(() => {
    vi.useFakeTimers();
    [stored, chunks, queries, others] = [new Map(), new Map(), [], ["one", "two"]];
    [here, sent, told, self] = [new Set(), [], [], "self"];
    followed = createFollowedRuns({
      runs: {
        async findMany(names) {
          queries.push("runs");
          return names.flatMap(({ runId }) => stored.get(runId) ?? []);
        },
      },
      lanes: {
        async readMany(threads) {
          queries.push("lanes");
          const entries = [...stored.values()].map(({ runId, server }) => ({
            run: runId,
            lease: server && { server },
          }));
          return threads.map((origin) => ({ origin, control: { lane: { entries } } }) as unknown as StoredThread);
        },
      },
      events: {
        async head({ runId }) {
          queries.push("head");
          return { chunk: chunks.get(runId) ?? 0, last: 1 };
        },
        async withChunk(asked) {
          queries.push("chunks");
          return asked.filter(({ run, chunk }) => (chunks.get(run.runId) ?? 0) > chunk).map(({ run }) => run);
        },
      },
      self: () => self,
      others: () => others,
      executesHere: ({ runId }) => here.has(runId),
      send: (to, nudge) => sent.push([to, nudge]),
      published: ({ runId }) => told.push(`events ${runId}`),
      ended: ({ runId }) => told.push(`ended ${runId}`),
      everyMs,
      renewMs,
      monotonicMs: () => performance.now(),
      onError(error) {
        throw error;
      },
    });
  });
  afterEach(() => {
    followed.stop();
    vi.useRealTimers();
  });

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const kinds = () => sent.splice(0).map(([to, { kind }]) => `${kind} ${to}`);

  it("need not ask a server that was asked for the end with a cancel, unless they read as well", async () => {
    stored.set("run", at("one"));
    followed.askedToTellOf(name("run"), "one");
    const leave = followed.follow(name("run"), "end");
    await vi.advanceTimersByTimeAsync(soonMs);
    expect([queries, sent]).toEqual([[], []]);
    followed.follow(name("run"), "events");
    await vi.advanceTimersByTimeAsync(soonMs);
    expect(sent).toEqual([["one", { kind: "follow", run: name("run"), follower: "self", events: true }]]);
    leave();
    // Another name is known to nobody.
    followed.askedToTellOf(name("other"), "one");
    stored.set("other", at("one", "other"));
    self = "anew";
    followed.follow(name("other"), "end");
    await vi.advanceTimersByTimeAsync(soonMs);
    expect(sent.slice(1)).toEqual([["one", { kind: "follow", run: name("other"), follower: "anew", events: false }]]);
  });

  it("are asked about once, however many follow, at the server that executes them", async () => {
    stored.set("run", at("two"));
    for (let n = 0; n < 10; n++) followed.follow(name("run"), "events");
    await pass(soonMs);
    expect(sent).toEqual([["two", { kind: "follow", run: name("run"), follower: "self", events: true }]]);
    expect(queries).toEqual(["lanes"]);
  });

  it("are asked about once more when somebody reads what was only waited for", async () => {
    stored.set("run", at("two"));
    followed.follow(name("run"), "end");
    await pass(soonMs);
    followed.follow(name("run"), "events");
    await pass(soonMs);
    expect(sent.map(([, nudge]) => "events" in nudge && nudge.events)).toEqual([false, true]);
  });

  it("are asked about everywhere while they wait", async () => {
    stored.set("run", waiting);
    followed.follow(name("run"), "end");
    await pass(soonMs);
    expect(kinds()).toEqual(["expect one", "expect two"]);
  });

  it("cost nothing while they execute here", async () => {
    here.add("run");
    followed.follow(name("run"), "events");
    await pass(10 * everyMs);
    expect([queries, sent, told]).toEqual([[], [], []]);
    expect(followed.size).toBe(0);
  });

  it("are asked about nowhere when there is no other server", async () => {
    others = [];
    stored.set("run", waiting);
    followed.follow(name("run"), "end");
    await pass(soonMs);
    expect([queries, sent]).toEqual([[], []]);
  });

  it("are found at the server that has taken them over, and asked about again in time", async () => {
    stored.set("run", at("one"));
    followed.follow(name("run"), "end");
    await pass(everyMs);
    expect(kinds()).toEqual(["follow one"]);
    stored.set("run", at("two"));
    await pass(everyMs);
    expect(kinds()).toEqual(["follow two"]);
    await pass(renewMs + everyMs);
    expect(kinds()).toEqual(["follow two"]);
  });

  it("are asked about again under another name once this server has one", async () => {
    stored.set("run", at("one"));
    followed.follow(name("run"), "end");
    await pass(everyMs);
    self = "reborn";
    await pass(everyMs);
    expect(sent.map(([, nudge]) => "follower" in nudge && nudge.follower)).toEqual(["self", "reborn"]);
  });

  it("are looked at all together, and found to be over, gone or grown though nobody told", async () => {
    const ids = Array.from({ length: 50 }, (_, n) => String(n));
    for (const id of ids) stored.set(id, at("one", id));
    for (const id of ids) followed.follow(name(id), "events");
    await pass(everyMs);
    [queries, told] = [[], []];
    await pass(everyMs);
    expect([queries, told]).toEqual([["runs", "lanes", "chunks"], []]);
    chunks.set("7", 3);
    stored.set("8", { ...over, runId: "8" });
    stored.delete("9");
    await pass(everyMs);
    expect(told.toSorted()).toEqual(["ended 8", "ended 9", "events 7"]);
  });

  it("are looked at again when the first look has shown that something of theirs may have gone by", async () => {
    stored.set("run", at("one"));
    followed.follow(name("run"), "events");
    await pass(everyMs);
    expect(told).toEqual(["events run"]);
  });

  it("are forgotten with the last who follows", async () => {
    stored.set("run", at("one"));
    const [reader, waiter] = [followed.follow(name("run"), "events"), followed.follow(name("run"), "end")];
    reader();
    reader();
    expect(followed.size).toBe(1);
    waiter();
    expect(followed.size).toBe(0);
    await pass(2 * everyMs);
    expect([queries, sent]).toEqual([[], []]);
  });
});
