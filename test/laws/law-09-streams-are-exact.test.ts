import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import {
  CancelAction,
  CancelOutcome,
  OnDisconnect,
  type Run,
  RunStatus,
  StreamMode,
} from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload, until as leaving } from "../../src/client/index.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { graceMs: 500 } });
});
afterAll(() => app.close());

const custom = { streamModes: [StreamMode.CUSTOM] };
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Reads the run's events in pieces: each call goes on after the last sequence seen and leaves after so many events. */
async function readInPieces(kit: RunKit, runId: string, pieces: readonly number[]): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for (const size of [...pieces, Number.POSITIVE_INFINITY]) {
    const afterSequence = events.at(-1)?.sequence ?? 0n;
    const request = { threadId: kit.threadId, runId, afterSequence };
    let left = size;
    for await (const message of leaving((signal) => kit.client.runs.joinRunStream(request, { signal }))) {
      const taken = message.events.slice(0, left);
      events.push(...taken);
      left -= taken.length;
      if (left === 0) break;
    }
    if (events.at(-1)?.event.case === "ended") return events;
  }
  throw new Error("the stream ended without its terminal event");
}

describe("law 9: sequence numbers", () => {
  it("have no gap and no repeat, wherever a reader leaves and comes back", async () => {
    const count = 300;
    const pieces = fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 8 });
    const property = fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 4 }), pieces, async (live, after) => {
      const kit = await createRunKit(app, "emitter");
      const { runId } = await kit.start({ count, padding: 10 }, custom);
      const reading = live.map((one) => readInPieces(kit, runId, one));
      await kit.gates.started("middle");
      kit.gates.open();
      const all = await Promise.all(reading);
      all.push(await readInPieces(kit, runId, after));
      for (const events of all) {
        // created, attempt_started, the outputs, ended
        expect(events.map(({ sequence }) => Number(sequence))).toEqual(upTo(count + 3));
        expect(events.flatMap(numberOf)).toEqual(upTo(count - 1, 0));
        expect(endOf(events)).toMatchObject({ status: RunStatus.SUCCESS });
      }
      kit.gates.remove();
    });
    await fc.assert(property, { numRuns: 5, endOnFailure: true });
  });

  it("are the same for a creator, a joiner, a late joiner and a slow one", async () => {
    const kit = await createRunKit(app, "emitter");
    const [threadId, runId, count] = [kit.threadId, randomUUID(), 5_000];
    const { runs } = kit.client;
    const spec = kit.spec({ count }, custom);
    const creator = readEvents((signal) => runs.streamRun({ create: { threadId, runId, spec } }, { signal }));
    await creator.received(1);
    const joiner = readEvents((signal) => runs.joinRunStream({ threadId, runId }, { signal }));
    // It reads nothing until the run is over; more is on its way to it than the server keeps in memory for a reader.
    const slow = runs.joinRunStream({ threadId, runId })[Symbol.asyncIterator]();
    const first = await slow.next();
    await kit.gates.started("middle");
    const late = readEvents((signal) => runs.joinRunStream({ threadId, runId }, { signal }));
    kit.gates.open();
    await kit.join(runId);
    const slowEvents = [...first.value!.events];
    for (let next = await slow.next(); !next.done; next = await slow.next()) slowEvents.push(...next.value.events);
    await Promise.all([creator.ended, joiner.ended, late.ended]);
    const expected = upTo(count + 3);
    for (const { events } of [creator, joiner, late, { events: slowEvents }]) {
      expect(events.map(({ sequence }) => Number(sequence))).toEqual(expected);
      expect(events.flatMap(numberOf)).toEqual(upTo(count - 1, 0));
    }
    kit.gates.remove();
  });

  it("increase without being contiguous when a reader asks for some modes only", async () => {
    const kit = await createRunKit(app, "emitter");
    const streamModes = [StreamMode.VALUES, StreamMode.CUSTOM, StreamMode.UPDATES];
    const { runId, threadId } = await kit.start({ count: 20 }, { streamModes });
    kit.gates.open();
    await kit.join(runId);
    const read = async (modes: StreamMode[], afterSequence = 0n) => {
      const request = { threadId, runId, streamModes: modes, afterSequence };
      const reader = readEvents((signal) => app.client.runs.joinRunStream(request, { signal }));
      expect(await reader.ended).toBeUndefined();
      return reader.events;
    };
    const all = await read([]);
    const filters: StreamMode[][] = [[StreamMode.UPDATES], [StreamMode.VALUES, StreamMode.CUSTOM], [StreamMode.DEBUG]];
    for (const modes of filters) {
      const wanted = all.filter(({ event }) => event.case !== "output" || modes.includes(event.value.mode));
      expect(await read(modes)).toEqual(wanted);
      const middle = all[Math.floor(all.length / 2)]!.sequence;
      expect(await read(modes, middle)).toEqual(wanted.filter(({ sequence }) => sequence > middle));
    }
    kit.gates.remove();
  });
});

describe("law 9: a state that grows", () => {
  it("is told in every mode as it was to who was there, wherever a reader begins", async () => {
    const kit = await createRunKit(app);
    // Each event's text has most of the one before it.
    const steps = Array.from({ length: 12 }, (_, n) => `${n}-${"é😀x".repeat(15)}`);
    const streamModes = [StreamMode.VALUES, StreamMode.CHECKPOINTS, StreamMode.DEBUG, StreamMode.UPDATES];
    const [threadId, runId] = [kit.threadId, randomUUID()];
    const create = { threadId, runId, spec: kit.spec({ steps }, { streamModes }) };
    kit.gates.open();
    const creator = readEvents((signal) => kit.client.runs.streamRun({ create }, { signal }));
    expect(await creator.ended).toBeUndefined();
    const { events } = creator;
    expect(endOf(events)).toMatchObject({ status: RunStatus.SUCCESS });
    const states = events.flatMap(({ event }) => (event.case === "output" ? [fromPayload(event.value.data)] : []));
    expect(states.length).toBeGreaterThan(60);
    for (const { sequence } of events) {
      const joiner = readEvents((signal) =>
        kit.client.runs.joinRunStream({ threadId, runId, afterSequence: sequence }, { signal }),
      );
      expect(await joiner.ended).toBeUndefined();
      // Who has seen the terminal event gets it once more.
      const rest = events.filter((event) => event.sequence > sequence);
      expect(joiner.events).toEqual(rest.length > 0 ? rest : events.slice(-1));
    }
    kit.gates.remove();
  });
});

/** The number that the emitter wrote into a custom event. */
function numberOf({ event }: RunEvent): number[] {
  return event.case === "output" ? [(fromPayload(event.value.data) as { i: number }).i] : [];
}

describe("law 9: the first and the last event", () => {
  it("the first names the run, at once, also while the run is pending", async () => {
    const kit = await createRunKit(app);
    const [threadId, runId] = [kit.threadId, randomUUID()];
    const { runId: before } = await kit.start();
    const create = { threadId, runId, spec: kit.spec({}) };
    const reader = readEvents((signal) => kit.client.runs.streamRun({ create }, { signal }));
    await reader.received(1);
    expect(reader.events).toMatchObject([
      { sequence: 1n, event: { case: "created", value: { runId, threadId, graphId: "gated" } } },
    ]);
    expect((await kit.get(runId)).status).toBe(RunStatus.PENDING);
    expect(reader.events).toHaveLength(1);
    kit.gates.open();
    expect(await reader.ended).toBeUndefined();
    expect(reader.events[1]!.event).toMatchObject({ case: "attemptStarted", value: { attempt: 1 } });
    expect((await kit.get(before)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });

  type Cause = (kit: RunKit, name: { threadId: string; runId: string }) => unknown;
  const cancel =
    (action: CancelAction): Cause =>
    (kit, name) =>
      kit.client.runs.cancelRun({ ...name, action, reason: "no longer needed" });
  const leave: Cause = async (kit, name) => {
    const request = { ...name, onDisconnect: OnDisconnect.CANCEL };
    const leaver = readEvents((signal) => kit.client.runs.joinRunStream(request, { signal }));
    await leaver.received(1);
    await leaver.leave();
  };
  const ends: [string, Cause, object, object][] = [
    ["success", (kit) => kit.gates.open(), {}, { status: RunStatus.SUCCESS }],
    [
      "a failed node",
      () => {},
      { assistantId: "faulty" },
      { status: RunStatus.ERROR, error: { name: "RangeError", message: "this step always fails" } },
    ],
    [
      "its time over",
      () => {},
      { timeout: { nanos: 800_000_000 } },
      { status: RunStatus.TIMEOUT, error: { name: "TimeoutError" } },
    ],
    [
      "a client's interrupt",
      cancel(CancelAction.INTERRUPT),
      {},
      cancelled(CancelAction.INTERRUPT, "client", "no longer needed"),
    ],
    [
      "a client's rollback",
      cancel(CancelAction.ROLLBACK),
      {},
      cancelled(CancelAction.ROLLBACK, "client", "no longer needed"),
    ],
    ["a leaver", leave, {}, cancelled(CancelAction.INTERRUPT, "disconnect", "client disconnected")],
  ];

  function cancelled(action: CancelAction, requestedBy: string, reason: string) {
    const cancellation = { action, requestedBy, reason, outcome: CancelOutcome.STOPPED };
    return { status: RunStatus.INTERRUPTED, cancellation };
  }

  it.each(ends)(
    "exactly one terminal event says how the run ended and agrees with it: %s",
    async (_, cause, spec, end) => {
      const kit = await createRunKit(app);
      const run = await kit.start({ fault: "throw" }, spec);
      const name = { threadId: kit.threadId, runId: run.runId };
      const joined = kit.client.runs.joinRun(name);
      const readers = [1, 2].map(() => readEvents((signal) => kit.client.runs.joinRunStream(name, { signal })));
      if (run.graphId === "gated") await kit.gates.started("a");
      await cause(kit, name);
      const { run: over } = await joined;
      for (const reader of readers) {
        expect(await reader.ended).toBeUndefined();
        expect(reader.sequences()).toEqual(upTo(reader.events.length));
        expect(endOf(reader.events)).toMatchObject(end);
        agrees(endOf(reader.events)!, over!);
      }
      expect(readers[0]!.events).toEqual(readers[1]!.events);
      const stored = await kit.get(run.runId).catch(() => undefined);
      if (stored) agrees(endOf(readers[0]!.events)!, stored);
      await tellsItsEndAgain(kit, name, readers[0]!.events.at(-1)!);
      kit.gates.remove();
    },
  );

  /** A tail from the terminal event's own number, and one from beyond it. */
  async function tellsItsEndAgain(kit: RunKit, name: { threadId: string; runId: string }, end: RunEvent) {
    const tailAfter = (afterSequence: bigint) =>
      readEvents((signal) => kit.client.runs.joinRunStream({ ...name, afterSequence }, { signal }));
    const [again, beyond] = [tailAfter(end.sequence), tailAfter(end.sequence + 1n)];
    const gone = errorReason(await kit.get(name.runId).catch((error) => error)) === "RUN_NOT_FOUND";
    expect(errorReason(await again.ended)).toBe(gone ? "RUN_NOT_FOUND" : undefined);
    expect(again.events).toEqual(gone ? [] : [end]);
    expect(errorReason(await beyond.ended)).toBe(gone ? "RUN_NOT_FOUND" : "SEQUENCE_OUT_OF_RANGE");
    expect(beyond.events).toEqual([]);
  }

  it("a run that never started has two events", async () => {
    const kit = await createRunKit(app);
    const [running, waiting] = [await kit.start(), await kit.start()];
    const name = { threadId: kit.threadId, runId: waiting.runId };
    const reader = readEvents((signal) => kit.client.runs.joinRunStream(name, { signal }));
    await reader.received(1);
    await kit.client.runs.cancelRun(name);
    expect(await reader.ended).toBeUndefined();
    expect(reader.sequences()).toEqual([1, 2]);
    expect(endOf(reader.events)?.cancellation).toMatchObject({ outcome: CancelOutcome.NEVER_STARTED });
    await tellsItsEndAgain(kit, name, reader.events[1]!);
    kit.gates.open();
    await kit.join(running.runId);
    kit.gates.remove();
  });

  function agrees(end: NonNullable<ReturnType<typeof endOf>>, { status, cancellation, error }: Run) {
    expect([end.status, end.cancellation, end.error]).toEqual([status, cancellation, error]);
  }
});
