import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, OnDisconnect, RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { errorReason, fromPayload } from "../../src/client/index.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** Defects of other servers in what those see who wait for a run or read its events; see docs/defects.md. */
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ config: { graceMs: 500 } });
});
afterAll(() => app.close());

const follow = (kit: RunKit, runId: string, more: { afterSequence?: bigint; streamModes?: StreamMode[] } = {}) =>
  readEvents((signal) => app.client.runs.joinRunStream({ threadId: kit.threadId, runId, ...more }, { signal }));

const failure = (error: unknown) => [Code[(error as { code: Code }).code], errorReason(error)];

it("S13: join and join-stream of an unknown run are errors", async () => {
  const [kit, other] = [await createRunKit(app), await createRunKit(app)];
  other.gates.open();
  const { runId } = await other.start({ steps: ["a"] });
  await other.join(runId);
  for (const id of [crypto.randomUUID(), runId]) {
    expect(failure(await kit.join(id).catch((error) => error))).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    expect(failure(await follow(kit, id).ended)).toEqual(["NotFound", "RUN_NOT_FOUND"]);
  }
  for (const each of [kit, other]) each.gates.remove();
});

describe("the end", () => {
  it("S15: a late join answers that run's values, not the thread's newest; of a rolled back run those before it", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const first = await kit.start({ steps: ["a"] });
    await kit.join(first.runId);
    await kit.join((await kit.start({ steps: ["b"] })).runId);
    const late = await app.client.runs.joinRun({ threadId: kit.threadId, runId: first.runId });
    expect(fromPayload(late.values)).toMatchObject({ log: ["a"] });
    const third = await kit.start({ steps: ["c", "d"], manners: {} });
    kit.gates.close("all");
    kit.gates.open("c");
    await kit.gates.started("d");
    const joined = app.client.runs.joinRun({ threadId: kit.threadId, runId: third.runId });
    const rollback = { threadId: kit.threadId, runId: third.runId, action: CancelAction.ROLLBACK };
    await app.client.runs.cancelRun(rollback);
    expect(fromPayload((await joined).values)).toMatchObject({ log: ["a", "b"] });
    kit.gates.remove();
  });

  it.each([
    ["success", {}, RunStatus.SUCCESS],
    ["a timeout", { timeout: { nanos: 300_000_000 } }, RunStatus.TIMEOUT],
    ["a cancel", {}, RunStatus.INTERRUPTED],
  ] as const)("S16: of %s is an event that says so", async (how, spec, status) => {
    const kit = await createRunKit(app);
    const { runId } = await kit.start({ steps: ["a"] }, spec);
    await kit.gates.started("a");
    const reader = follow(kit, runId);
    await reader.received(1);
    if (how === "success") kit.gates.open();
    if (how === "a cancel") await app.client.runs.cancelRun({ threadId: kit.threadId, runId });
    expect(await reader.ended).toBeUndefined();
    expect(endOf(reader.events)).toMatchObject({ status });
    kit.gates.remove();
  });

  it("S17: sequence numbers never collide, and the events of a rolled back run cannot be read", async () => {
    const kit = await createRunKit(app, "emitter");
    kit.gates.open();
    const { runId } = await kit.start({ count: 500 }, { streamModes: [StreamMode.CUSTOM] });
    const whole = follow(kit, runId);
    expect(await whole.ended).toBeUndefined();
    expect(whole.sequences()).toEqual(whole.events.map((_, i) => i + 1));
    kit.gates.close("all");
    const second = await kit.start({ count: 10 }, { streamModes: [StreamMode.CUSTOM] });
    const rollback = { threadId: kit.threadId, runId: second.runId, action: CancelAction.ROLLBACK, wait: true };
    await app.client.runs.cancelRun(rollback);
    expect(failure(await follow(kit, second.runId).ended)).toEqual(["NotFound", "RUN_NOT_FOUND"]);
    kit.gates.remove();
  });
});

describe("several readers", () => {
  it("J4: two joiners both see every event", async () => {
    const kit = await createRunKit(app, "emitter");
    const { runId } = await kit.start({ count: 200 }, { streamModes: [StreamMode.CUSTOM] });
    await kit.gates.started("middle");
    const readers = [follow(kit, runId), follow(kit, runId)];
    await Promise.all(readers.map((reader) => reader.received(2)));
    kit.gates.open();
    for (const reader of readers) expect(await reader.ended).toBeUndefined();
    const numbers = readers.map((reader) =>
      reader.events.flatMap(({ event }) =>
        event.case === "output" ? [(fromPayload(event.value.data) as { i: number }).i] : [],
      ),
    );
    expect(numbers[0]).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(numbers[1]).toEqual(numbers[0]);
    kit.gates.remove();
  });

  it("J5: join-stream with stream_modes gets these modes only", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const { runId } = await kit.start({}, { streamModes: [StreamMode.VALUES, StreamMode.UPDATES] });
    const reader = follow(kit, runId, { streamModes: [StreamMode.UPDATES] });
    expect(await reader.ended).toBeUndefined();
    const modes = reader.events.flatMap(({ event }) => (event.case === "output" ? [event.value.mode] : []));
    expect(new Set(modes)).toEqual(new Set([StreamMode.UPDATES]));
    kit.gates.remove();
  });

  it.each(["wait", "stream", "join"] as const)("J3: on_disconnect counts for %s", async (call) => {
    const kit = await createRunKit(app);
    const runId = crypto.randomUUID();
    const leaving = new AbortController();
    const [onDisconnect, { signal }] = [OnDisconnect.CANCEL, leaving];
    const create = { threadId: kit.threadId, runId, spec: kit.spec({ steps: ["a"] }) };
    if (call === "join") await app.client.runs.createRun(create);
    const watching =
      call === "wait"
        ? app.client.runs.waitRun({ create, onDisconnect }, { signal })
        : call === "join"
          ? app.client.runs.joinRun({ threadId: kit.threadId, runId, onDisconnect }, { signal })
          : readEvents((own) =>
              app.client.runs.streamRun({ create, onDisconnect }, { signal: AbortSignal.any([own, signal]) }),
            ).ended;
    await kit.gates.started("a");
    // A joiner is attached when its watch is stored.
    await until(async () => (await app.db.collection("watches").countDocuments({ run_id: runId })) === 1);
    leaving.abort();
    await Promise.resolve(watching).catch(() => undefined);
    expect((await kit.join(runId)).cancellation).toMatchObject({ requestedBy: "disconnect" });
    kit.gates.remove();
  });
});

it("B5: a tail from a sequence that is no longer kept is an error, never silence", async () => {
  const kit = await createRunKit(app, "emitter");
  kit.gates.open();
  const { runId } = await kit.start({ count: 300 }, { streamModes: [StreamMode.CUSTOM] });
  await kit.join(runId);
  await app.db.collection("run_events").deleteMany({ run_id: runId, first: { $lt: 100 } });
  expect(failure(await follow(kit, runId, { afterSequence: 3n }).ended)).toEqual([
    "OutOfRange",
    "SEQUENCE_OUT_OF_RANGE",
  ]);
  kit.gates.remove();
});

it("B6: a reader that comes back gets the rest of the subgraphs' events, no more and no less", async () => {
  const kit = await createRunKit(app, "nested");
  const { runId } = await kit.start({}, { streamModes: [StreamMode.UPDATES], streamSubgraphs: true });
  await kit.gates.started("one");
  kit.gates.open("one");
  await kit.gates.started("two");
  const first = follow(kit, runId);
  // The created and the attempt's event, and what the subgraph's first step put out.
  await until(() => first.events.some(({ event }) => event.case === "output" && event.value.namespace.length > 0));
  await first.leave();
  kit.gates.open();
  const rest = follow(kit, runId, { afterSequence: first.events.at(-1)!.sequence });
  expect(await rest.ended).toBeUndefined();
  const whole = follow(kit, runId);
  await whole.ended;
  expect([...first.sequences(), ...rest.sequences()]).toEqual(whole.sequences());
  expect(whole.sequences()).toEqual(whole.events.map((_, i) => i + 1));
  expect(rest.events.some(({ event }) => event.case === "output" && event.value.namespace.length > 0)).toBe(true);
  kit.gates.remove();
});
