import { randomUUID } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { errorReason } from "../../src/client/index.ts";
import { readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { leavers, watchingCalls } from "../support/leavers.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { cancelledByLeaving, running } from "../support/watched-runs.ts";

const { CANCEL, CANCEL_IF_LAST, CONTINUE } = OnDisconnect;

describe("law 11: CANCEL_IF_LAST cancels when no watcher is left", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp();
  });
  afterAll(() => app.close());

  const watches = (runId: string, more: object = {}) =>
    app.db.collection("watches").countDocuments({ run_id: runId, ...more });
  const read = (name: { threadId: string; runId: string }, onDisconnect: OnDisconnect) =>
    readEvents((signal) => app.client.runs.joinRunStream({ ...name, onDisconnect }, { signal }));
  /** A reader with CANCEL_IF_LAST that has left while another watches. */
  async function leftBehind(name: { threadId: string; runId: string }) {
    const reader = read(name, CANCEL_IF_LAST);
    await reader.received(1);
    await reader.leave();
    await until(async () => (await watches(name.runId, { left: true })) === 1);
  }
  async function expectCancelled(kit: RunKit, runId: string) {
    await until(async () => (await kit.get(runId)).status === RunStatus.INTERRUPTED);
    expect((await kit.get(runId)).cancellation).toMatchObject(cancelledByLeaving);
    await until(async () => (await watches(runId)) === 0);
    kit.gates.remove();
  }
  async function expectLives(kit: RunKit, runId: string) {
    // Another run's only watcher leaves later on the same server, and that is acted upon.
    const other = await running(app);
    const reader = read(other.name, CANCEL_IF_LAST);
    await reader.received(1);
    await reader.leave();
    await expectCancelled(other.kit, other.runId);
    expect((await kit.get(runId)).cancellation).toBeUndefined();
  }

  const ways = ["grpc-js, cancelled", "connect-node Connect over HTTP/1.1, aborted", "HTTP/2, TCP reset"];
  it.each(ways)("the only one leaves: at once, whatever it calls; %s", async (way) => {
    await Promise.all(
      watchingCalls.map(async (call) => {
        const kit = await createRunKit(app);
        const isJoin = call === "joinRun" || call === "joinRunStream";
        const { threadId } = kit;
        const runId = isJoin ? (await kit.start()).runId : randomUUID();
        const spec = { assistantId: "gated", input: { value: { dir: kit.gates.dir } } };
        const onDisconnect = "ON_DISCONNECT_CANCEL_IF_LAST";
        const request: JsonObject = isJoin
          ? { threadId, runId, onDisconnect }
          : { create: { threadId, runId, spec }, onDisconnect };
        const leaver = leavers[way]!(app.app.url, call, request);
        await kit.gates.started("a");
        await until(async () => (await watches(runId)) === 1);
        await leaver.leave();
        await expectCancelled(kit, runId);
      }),
    );
  });

  it.each([
    ["a reader with CONTINUE leaves", CONTINUE],
    ["a reader with CANCEL_IF_LAST leaves", CANCEL_IF_LAST],
    ["a reader with CANCEL leaves", CANCEL],
  ] as const)("somebody is still there: only when %s, too", async (_, onDisconnect) => {
    const { kit, runId, name } = await running(app);
    const other = read(name, onDisconnect);
    await other.received(1);
    await leftBehind(name);
    await expectLives(kit, runId);
    await other.leave();
    await expectCancelled(kit, runId);
  });

  it("two that may leave are there: the first changes nothing, the second cancels", async () => {
    const { kit, runId, name } = await running(app);
    const others = [read(name, CONTINUE), read(name, CONTINUE)];
    for (const other of others) await other.received(1);
    await leftBehind(name);
    await others[0]!.leave();
    await expectLives(kit, runId);
    await others[1]!.leave();
    await expectCancelled(kit, runId);
  });

  it("many leave at the same time: it is cancelled, and no watch is left", async () => {
    const { kit, runId, name } = await running(app);
    const readers = Array.from({ length: 6 }, (_, i) => read(name, i % 2 ? CANCEL_IF_LAST : CONTINUE));
    for (const reader of readers) await reader.received(1);
    await Promise.all(readers.map((reader) => reader.leave()));
    await expectCancelled(kit, runId);
  });

  it("the last one departs by its deadline, or with its answer that the run is not over: that leaves nobody, too", async () => {
    for (const depart of [
      (name: object) => app.client.runs.joinRun({ ...name, timeout: { seconds: 1n } }),
      (name: object) => app.client.runs.joinRun({ ...name }, { timeoutMs: 1000 }).catch((error) => error),
    ]) {
      const { kit, runId, name } = await running(app);
      const departed = depart(name);
      await leftBehind(name);
      expect((await kit.get(runId)).cancellation).toBeUndefined();
      const answer = await departed;
      if (answer instanceof ConnectError) expect(answer.code).toBe(Code.DeadlineExceeded);
      await expectCancelled(kit, runId);
    }
  });

  it("a deadline is no disconnect, nor is the run's own end", async () => {
    const { kit, runId, name } = await running(app);
    const request = { ...name, onDisconnect: CANCEL_IF_LAST };
    const error = await app.client.runs.joinRun(request, { timeoutMs: 700 }).catch((one) => ConnectError.from(one));
    expect((error as ConnectError).code).toBe(Code.DeadlineExceeded);
    const timedOut = await app.client.runs.joinRun({ ...request, timeout: { nanos: 50_000_000 } });
    expect(timedOut.run!.status).toBe(RunStatus.RUNNING);
    await until(async () => (await watches(runId)) === 0);
    await expectLives(kit, runId);

    const other = read(name, CANCEL_IF_LAST);
    await other.received(1);
    await leftBehind(name);
    kit.gates.open();
    expect(await other.ended).toBeUndefined();
    const over = await kit.get(runId);
    expect([over.status, over.cancellation]).toEqual([RunStatus.SUCCESS, undefined]);
    await until(async () => (await watches(runId)) === 0);
    kit.gates.remove();
  });

  it("a value that is none is refused, and changes nothing", async () => {
    const { kit, runId, name } = await running(app);
    const refused = await app.client.runs.joinRun({ ...name, onDisconnect: 4 as OnDisconnect }).catch((one) => one);
    expect([ConnectError.from(refused).code, errorReason(refused)]).toEqual([Code.InvalidArgument, "INVALID_FIELD"]);
    expect(refused.message).toContain("on_disconnect");
    expect(await watches(runId)).toBe(0);
    kit.gates.open();
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    kit.gates.remove();
  });
});

describe("law 11: CANCEL_IF_LAST and the service's own drain", () => {
  it("cancels nothing", async () => {
    const app = await startTestApp({ config: { drainMs: 50 } });
    const { kit, name } = await running(app);
    const readers = [CANCEL_IF_LAST, CONTINUE].map((onDisconnect) =>
      readEvents((signal) => app.client.runs.joinRunStream({ ...name, onDisconnect }, { signal })),
    );
    for (const reader of readers) await reader.received(1);
    // One that has left its wish behind.
    const gone = readEvents((signal) =>
      app.client.runs.joinRunStream({ ...name, onDisconnect: CANCEL_IF_LAST }, { signal }),
    );
    await gone.received(1);
    await gone.leave();
    const left = () => app.db.collection("watches").countDocuments({ left: true });
    await until(async () => (await left()) === 1);
    const next = await app.restart();
    for (const reader of readers) expect(ConnectError.from(await reader.ended).code).toBe(Code.Unavailable);
    kit.gates.open();
    const { run } = await next.client.runs.joinRun(name);
    expect([run!.status, run!.cancellation]).toEqual([RunStatus.SUCCESS, undefined]);
    expect(await next.db.collection("watches").countDocuments()).toBe(0);
    kit.gates.remove();
    await next.close();
  });
});
