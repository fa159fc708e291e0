import { describe, expect, it } from "vitest";
import type { Run } from "../../../src/domain/run/run.ts";
import type { EventChunk, WholeEvent } from "../../../src/domain/run/run-events.ts";
import { createEventHub } from "../../../src/stream/event-hub.ts";
import { createEventLog } from "../../../src/stream/event-log.ts";
import { type NumberedEvent, tail } from "../../../src/stream/tail.ts";

const run = { owner: "", threadId: "thread", runId: "run", phase: "running" } as Run;
const over: Run = { ...run, phase: "over", lastSequence: 3 };
const output = (json: string): WholeEvent => ({ kind: "output", mode: "custom", name: "custom", namespace: [], json });
const chunk = (first: number, ...json: string[]): EventChunk => ({
  first,
  last: first + json.length - 1,
  events: json.map(output),
});

/** A reader that has been there since before the run was created; its looks at the database, and what it has yielded. */
function reader(log: EventChunk[] = [], ended?: () => Run | undefined) {
  let followed = 0;
  const hub = createEventHub(() => {
    followed += 1;
    return () => {
      followed -= 1;
    };
  });
  const looks: string[] = [];
  const events = tail(
    {
      hub,
      events: { head: async () => ({ chunk: 0, last: 1 }) },
      openLog: createEventLog({
        async from(_, sequence) {
          looks.push(`from ${sequence}`);
          return log.filter(({ last }) => last >= sequence);
        },
      }),
      async ended() {
        looks.push("run");
        return ended?.();
      },
      isRemoved: async () => false,
      whileAway: (what) => what(),
    },
    { run, afterSequence: 0, modes: [], signal: AbortSignal.timeout(30_000), feed: hub.open(run) },
  );
  async function all() {
    const seen: ReturnType<typeof told>[] = [];
    for await (const batch of events) seen.push(...batch.map(told));
    return seen;
  }
  return { hub, looks, events, all, followed: () => followed };
}
const told = (event: NumberedEvent) => [event.sequence, event.kind === "output" ? event.json : event.kind];

describe("a reader that was there before the run", () => {
  it("needs no look at the database when all of it comes to its server", async () => {
    const { hub, looks, all, followed } = reader();
    expect(followed()).toBe(1);
    hub.publish(run, chunk(2, "1"));
    hub.publish(run, chunk(3, "2"));
    hub.end(over);
    expect(await all()).toEqual([
      [1, "created"],
      [2, "1"],
      [3, "2"],
      [4, "ended"],
    ]);
    expect([looks, followed()]).toEqual([[], 0]);
  });

  it("finds in the log what went by, also when the end has come", async () => {
    const { hub, all } = reader([chunk(2, "1"), chunk(3, "2")], () => over);
    hub.publish(run, chunk(3, "2"));
    hub.end(over);
    expect((await all()).map(([sequence]) => sequence)).toEqual([1, 2, 3, 4]);
  });

  it("looks into the log at once when more came than it keeps in mind", async () => {
    const many = Array.from({ length: 300 }, (_, n) => chunk(n + 2, String(n)));
    const { hub, all } = reader(many, () => ({ ...over, lastSequence: 301 }));
    for (const one of many) hub.publish(run, one);
    hub.end({ ...over, lastSequence: 301 });
    expect((await all()).map(([sequence]) => sequence)).toEqual(Array.from({ length: 302 }, (_, n) => n + 1));
  });

  it("finds in the log the run that another server executes, whenever it is told to look", async () => {
    const log: EventChunk[] = [];
    let end: Run | undefined;
    const { hub, looks, events } = reader(log, () => end);
    const next = async () => (await events.next()).value?.map(told);
    expect(await next()).toEqual([[1, "created"]]);
    log.push(chunk(2, "1", "2"));
    const outputs = next();
    hub.refresh(run);
    expect(await outputs).toEqual([
      [2, "1"],
      [3, "2"],
    ]);
    const ended = next();
    end = over;
    hub.refresh(run);
    expect(await ended).toEqual([[4, "ended"]]);
    expect(looks).toContain("from 4");
  });
});

describe("a reader that comes to a run that is over", () => {
  function late(log: EventChunk[], afterSequence: number, isRemoved = false) {
    const looks: string[] = [];
    const events = tail(
      {
        hub: createEventHub(),
        events: { head: async () => ({ chunk: 0, last: 1 }) },
        openLog: createEventLog({
          async from(_, sequence) {
            looks.push(`from ${sequence}`);
            return log.filter(({ last }) => last >= sequence);
          },
        }),
        ended: async () => over,
        isRemoved: async () => isRemoved,
        whileAway: (what) => what(),
      },
      { run: over, afterSequence, modes: [], signal: AbortSignal.timeout(30_000) },
    );
    return { looks, events };
  }

  it.each([
    { after: 0, log: [] },
    { after: 2, log: [] },
    { after: 0, log: [chunk(3, "2")] },
  ])("is told before anything else that events after $after are no longer kept", async ({ after, log }) => {
    await expect(late(log, after).events.next()).rejects.toMatchObject({
      reason: "SEQUENCE_OUT_OF_RANGE",
      metadata: { last_sequence: "3" },
    });
  });

  it.each([3, 4])("gets the terminal event, which is the fourth, after event %s", async (after) => {
    const seen: unknown[] = [];
    for await (const batch of late([], after).events) seen.push(...batch.map(told));
    expect(seen).toEqual([[4, "ended"]]);
  });

  it("is told that nothing comes after the terminal event", async () => {
    await expect(late([chunk(2, "1", "2")], 5).events.next()).rejects.toMatchObject({
      reason: "SEQUENCE_OUT_OF_RANGE",
      message: expect.stringContaining("use 0 to 4"),
      metadata: { last_sequence: "4" },
    });
  });

  it("gets the end alone of a run whose events were removed on purpose", async () => {
    const { events } = late([], 0, true);
    expect((await events.next()).value!.map(told)).toEqual([[1, "created"]]);
    expect((await events.next()).value!.map(told)).toEqual([[2, "ended"]]);
  });

  it("has its events read once", async () => {
    const { looks, events } = late([chunk(2, "1", "2")], 0);
    const seen: unknown[] = [];
    for await (const batch of events) seen.push(...batch.map(told));
    expect(seen).toEqual([
      [1, "created"],
      [2, "1"],
      [3, "2"],
      [4, "ended"],
    ]);
    expect(looks).toEqual(["from 2", "from 4"]);
  });
});
