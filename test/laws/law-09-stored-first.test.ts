import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Run, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import type { NewChunk } from "../../src/domain/run/run-events.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

interface Chunk {
  readonly events: object[];
  readonly run_id: string;
  readonly first: number;
  readonly last: number;
}

let app: TestApp;
/** Closed in front of the store of the next output, if there is one. */
let barrier: Barrier | undefined;
beforeAll(async () => {
  const beforeInsert = async (chunk: unknown) => {
    if ((chunk as NewChunk).events.some(({ kind }) => kind === "output")) await barrier?.pass();
  };
  app = await startTestApp({
    decorate: (parts) => {
      const events = around(parts.stores.events, "insert", { before: beforeInsert });
      return { ...parts, stores: { ...parts.stores, events } };
    },
  });
});
afterAll(() => app.close());
afterEach(() => {
  // What a test has left before it would hold up all others.
  barrier?.open();
  barrier = undefined;
});

const custom = { streamModes: [StreamMode.CUSTOM] };
const chunks = () => app.db.collection<Chunk>("run_events");
const runEvents = (kit: RunKit, runId: string, afterSequence = 0) => {
  const request = { threadId: kit.threadId, runId, afterSequence: BigInt(afterSequence) };
  return readEvents((signal) => kit.client.runs.joinRunStream(request, { signal }));
};

describe("law 9: an event is delivered only when it is stored", () => {
  it("nothing is delivered in front of the store", async () => {
    const kit = await createRunKit(app, "emitter");
    barrier = createBarrier();
    const { runId } = await kit.start({ count: 10 }, custom);
    const readers = [runEvents(kit, runId), runEvents(kit, runId)];
    await barrier.reached;
    await Promise.all(readers.map((reader) => reader.received(1)));
    // Those who come now begin with the log.
    readers.push(runEvents(kit, runId), runEvents(kit, runId));
    await Promise.all(readers.map((reader) => reader.received(1)));
    // The attempt's event is stored before the output, or together with it where that comes soon.
    for (const { events } of readers)
      expect(["created", "created attemptStarted"]).toContain(events.map(({ event }) => event.case).join(" "));
    barrier.open();
    kit.gates.open();
    for (const reader of readers) {
      expect(await reader.ended).toBeUndefined();
      expect(reader.events).toHaveLength(13);
    }
    kit.gates.remove();
  });

  it("what is delivered is in the database at that moment, the run's end included", async () => {
    const kit = await createRunKit(app, "emitter");
    const { runId, threadId } = await kit.start({ count: 400 }, custom);
    kit.gates.open();
    const missing: bigint[] = [];
    let status: RunStatus | undefined;
    for await (const { events } of app.client.runs.joinRunStream({ threadId, runId })) {
      const last = events.at(-1)!;
      if (last.event.case === "ended") status = (await kit.get(runId)).status;
      const stored = events.findLast(({ event }) => event.case === "output" || event.case === "attemptStarted");
      if (!stored) continue;
      const at = Number(stored.sequence);
      if (!(await chunks().findOne({ run_id: runId, first: { $lte: at }, last: { $gte: at } })))
        missing.push(stored.sequence);
    }
    expect(missing).toEqual([]);
    expect(status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });
});

describe("law 9: a sequence that cannot be had is OUT_OF_RANGE, never silence", () => {
  const outOfRange = async (reader: ReturnType<typeof runEvents>, says: RegExp) => {
    const error = await reader.ended;
    expect(error).toMatchObject({ code: Code.OutOfRange, rawMessage: expect.stringMatching(says) });
    expect(errorReason(error)).toBe("SEQUENCE_OUT_OF_RANGE");
  };
  /** A run of which 13 events are there, and a 14th when it is over: the terminal one. */
  async function emitting(isOver: boolean): Promise<{ kit: RunKit; run: Run }> {
    const kit = await createRunKit(app, "emitter");
    const run = await kit.start({ count: isOver ? 11 : 22 }, custom);
    await kit.gates.started("middle");
    if (isOver) {
      kit.gates.open();
      await kit.join(run.runId);
    } else await until(async () => (await chunks().countDocuments({ run_id: run.runId, last: 13 })) === 1);
    return { kit, run };
  }
  const finish = async (kit: RunKit) => {
    kit.gates.open();
    await until(async () => (await kit.thread()).status === 1);
    kit.gates.remove();
  };

  it.each([false, true])("not yet reached (run over: %s)", async (isOver) => {
    const { kit, run } = await emitting(isOver);
    const newest = isOver ? 14 : 13;
    for (const after of [newest + 1, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      await outOfRange(runEvents(kit, run.runId, after), new RegExp(`use 0 to ${newest}$`));
    }
    const last = runEvents(kit, run.runId, 13);
    if (!isOver) kit.gates.open();
    expect(await last.ended).toBeUndefined();
    expect(last.sequences()[0]).toBe(14);
    expect(endOf(last.events)).toMatchObject({ status: RunStatus.SUCCESS });
    await finish(kit);
  });

  it.each([false, true])("no longer kept (run over: %s)", async (isOver) => {
    const { kit, run } = await emitting(isOver);
    const [kept] = await chunks()
      .find({ run_id: run.runId, last: { $gt: 2 } })
      .sort({ last: -1 })
      .toArray();
    // Only its last event is left: how many events a chunk has depends on how fast they came.
    const { _id, last, events } = kept!;
    await chunks().updateOne({ _id }, { $set: { first: last, events: events.slice(-1) } });
    await chunks().deleteMany({ run_id: run.runId, last: { $lt: last } });
    for (const after of [0, 1, last! - 2]) {
      await outOfRange(runEvents(kit, run.runId, after), /no longer kept/);
    }
    const rest = runEvents(kit, run.runId, last! - 1);
    if (!isOver) kit.gates.open();
    expect(await rest.ended).toBeUndefined();
    expect(rest.sequences()[0]).toBe(last);
    await finish(kit);
  });

  it("all of it gone", async () => {
    const { kit, run } = await emitting(true);
    await chunks().deleteMany({ run_id: run.runId });
    await outOfRange(runEvents(kit, run.runId, 0), /no longer kept; use after_sequence 13/);
    const end = runEvents(kit, run.runId, 13);
    expect(await end.ended).toBeUndefined();
    expect(end.sequences()).toEqual([14]);
    await finish(kit);
  });
});
