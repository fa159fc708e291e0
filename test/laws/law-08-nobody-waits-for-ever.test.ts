import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelAction, OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import type { RunName } from "../../src/domain/run/run.ts";
import { around } from "../support/barrier.ts";
import { endOf, readEvents } from "../support/event-reader.ts";
import { until } from "../support/gates.ts";
import { createRunKit, type RunKit, type SpecInit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** One way in which a run ends: what it is started with, and what the test does when all are waiting. */
interface Ending {
  readonly status: RunStatus;
  readonly input?: object;
  readonly spec?: SpecInit;
  /** The step to wait for before `end`. */
  readonly step?: string;
  /** Takes its time: only with one kind of creator. */
  readonly isSlow?: boolean;
  readonly end: (kit: RunKit, runId: string) => unknown;
}

const endings: Record<string, Ending> = {
  success: { status: RunStatus.SUCCESS, end: (kit) => kit.gates.open() },
  error: {
    status: RunStatus.ERROR,
    input: { fault: "throw" },
    spec: { assistantId: "faulty" },
    step: "",
    end: () => {},
  },
  timeout: { status: RunStatus.TIMEOUT, spec: { timeout: { seconds: 1n } }, end: () => {} },
  "crashes of its process": {
    status: RunStatus.ERROR,
    isSlow: true,
    input: { fault: "exit" },
    spec: { assistantId: "faulty" },
    step: "",
    end: () => {},
  },
  interrupt: {
    status: RunStatus.INTERRUPTED,
    end: (kit, runId) => kit.client.runs.cancelRun({ threadId: kit.threadId, runId }),
  },
  "interrupt of a deaf node": {
    status: RunStatus.INTERRUPTED,
    input: { manners: { a: "deaf" } },
    end: (kit, runId) => kit.client.runs.cancelRun({ threadId: kit.threadId, runId }),
  },
  rollback: {
    status: RunStatus.INTERRUPTED,
    end: (kit, runId) => kit.client.runs.cancelRun({ threadId: kit.threadId, runId, action: CancelAction.ROLLBACK }),
  },
  "deletion of the run": {
    status: RunStatus.INTERRUPTED,
    end: (kit, runId) => kit.client.runs.deleteRun({ threadId: kit.threadId, runId }),
  },
  "deletion of the thread": {
    status: RunStatus.INTERRUPTED,
    end: (kit) => kit.client.threads.deleteThread({ threadId: kit.threadId }),
  },
};

/** What all of them come to; fails when one of them waits for ever. */
async function answers<T>(waiting: readonly Promise<T>[]): Promise<T[]> {
  let left = waiting.length;
  for (const one of waiting) void one.catch(() => undefined).then(() => (left -= 1));
  await until(() => left === 0, 45_000);
  return Promise.all(waiting);
}

describe("law 8: nobody waits for ever", () => {
  let app: TestApp;
  /** Runs that somebody in the server waits for, at each look for their ends; those that execute there are not looked for. */
  let looks: string[][] = [];

  beforeAll(async () => {
    app = await startTestApp({
      config: { pollMs: 50, graceMs: 500 },
      decorate: (parts) => {
        const before = (names: unknown) => looks.push((names as RunName[]).map((name) => name.runId));
        return { ...parts, stores: { ...parts.stores, runs: around(parts.stores.runs, "findMany", { before }) } };
      },
    });
  });
  afterAll(() => app.close());

  /** Every kind of caller that waits for a run; the first two create it. */
  function watchers(kit: RunKit, kind: "wait" | "stream", spec: SpecInit, runId: string) {
    const onDisconnect = OnDisconnect.CANCEL;
    const name = { threadId: kit.threadId, runId };
    const { runs } = kit.client;
    const create = { ...name, spec };
    const created = {
      wait: () => runs.waitRun({ create, onDisconnect }).then(({ run }) => run!),
      stream: () => readEvents((signal) => runs.streamRun({ create, onDisconnect }, { signal })),
    }[kind]();
    const attach = () => ({
      join: runs.joinRun({ ...name, onDisconnect }).then(({ run }) => run!),
      stream: readEvents((signal) => runs.joinRunStream({ ...name, onDisconnect }, { signal })),
    });
    return { created, attach };
  }

  it.each(Object.entries(endings))("%s ends every wait, join and stream", async (_, ending) => {
    for (const kind of ending.isSlow ? (["stream"] as const) : (["wait", "stream"] as const)) {
      const kit = await createRunKit(app);
      const runId = randomUUID();
      const { created, attach } = watchers(kit, kind, kit.spec(ending.input ?? {}, ending.spec), runId);
      await until(async () => kit.get(runId).then(Boolean, notFound));
      const [first, second] = [attach(), attach()];
      await first.stream.received(1);
      if (ending.step !== "") await kit.gates.started("a");
      const done = ending.end(kit, runId);

      const runs = await answers([first.join, second.join, ...(created instanceof Promise ? [created] : [])]);
      for (const run of runs) expect(run).toMatchObject({ runId, status: ending.status });
      const readers = [first.stream, second.stream, ...(created instanceof Promise ? [] : [created])];
      const errors = await answers(readers.map(({ ended }) => ended));
      for (const [i, reader] of readers.entries()) {
        expect(errors[i]).toBeUndefined();
        expect(endOf(reader.events)).toMatchObject({ status: ending.status });
      }
      await done;
      kit.gates.remove();
    }
  });

  it("a cancel that waits ends with the run, and so do those that only joined it", async () => {
    const kit = await createRunKit(app);
    const { runId, threadId } = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const cancels = [1, 2, 3].map(() => kit.client.runs.cancelRun({ threadId, runId, wait: true }));
    const many = kit.client.runs.cancelRuns({
      target: { case: "runs", value: { threadId, runIds: [runId] } },
      wait: true,
    });
    for (const { run } of await Promise.all(cancels)) expect(run!.status).toBe(RunStatus.INTERRUPTED);
    expect((await many).results).toMatchObject([{ runId, status: RunStatus.INTERRUPTED }]);
    kit.gates.remove();
  });

  it("a bulk cancel that waits is not ended by the deletion of one of its runs", async () => {
    const [kit, other] = [await createRunKit(app), await createRunKit(app)];
    const gone = await kit.start({ manners: { a: "deaf" } });
    const kept = await other.start({ manners: { a: "deaf" } });
    await Promise.all([kit.gates.started("a"), other.gates.started("a")]);
    const waiting = app.client.runs.cancelRuns({
      target: { case: "filter", value: { status: LiveRunStatus.ALL } },
      wait: true,
    });
    await until(async () => (await kit.get(gone.runId)).cancellation !== undefined);
    await app.client.threads.deleteThread({ threadId: kit.threadId });
    const { results } = await waiting;
    expect(results.map((result) => result.runId).sort()).toEqual([gone.runId, kept.runId].sort());
    for (const each of [kit, other]) each.gates.remove();
  });

  it("a run that is over ends its waits at once", async () => {
    const kit = await createRunKit(app);
    kit.gates.open();
    const { runId, threadId } = await kit.join((await kit.start()).runId);
    expect((await kit.join(runId)).status).toBe(RunStatus.SUCCESS);
    const reader = readEvents((signal) => kit.client.runs.joinRunStream({ threadId, runId }, { signal }));
    expect(await reader.ended).toBeUndefined();
    expect(endOf(reader.events)).toMatchObject({ status: RunStatus.SUCCESS });
    kit.gates.remove();
  });

  it("callers that leave free what they hold", async () => {
    const kit = await createRunKit(app);
    const { runId, threadId } = await waitingRun(kit);
    const abort = new AbortController();
    const { runs } = kit.client;
    const leaving = [
      runs.joinRun({ threadId, runId }, { signal: abort.signal }),
      runs.joinRun({ threadId, runId, timeout: { seconds: 3600n } }, { signal: abort.signal }),
      readEvents((signal) =>
        runs.joinRunStream({ threadId, runId }, { signal: AbortSignal.any([signal, abort.signal]) }),
      ).ended,
    ];
    await until(() => looks.at(-1)?.includes(runId) ?? false);
    abort.abort();
    for (const outcome of await Promise.allSettled(leaving)) {
      const error = outcome.status === "rejected" ? outcome.reason : outcome.value;
      expect(error).toMatchObject({ code: Code.Canceled });
    }
    await nobodyWaits();
    expect((await kit.get(runId)).status).toBe(RunStatus.PENDING);
    kit.gates.open();
    await kit.join(runId);
    kit.gates.remove();
  });

  /** One that waits for another to be over. */
  async function waitingRun(kit: RunKit) {
    await kit.start();
    return kit.start();
  }

  /** The server looks for the end of one new run, and of no other. */
  async function nobodyWaits() {
    const kit = await createRunKit(app);
    const { runId } = await waitingRun(kit);
    const joined = kit.join(runId);
    const alone = () => looks.length >= 3 && looks.slice(-3).every((names) => names.join() === runId);
    await until(() => alone());
    kit.gates.open();
    await joined;
    kit.gates.remove();
  }

  it("nothing is left of any of them", async () => {
    looks = [];
    await nobodyWaits();
    await until(async () => (await app.db.collection("watches").countDocuments()) === 0);
  });
});

const notFound = (error: unknown): false => {
  if (error instanceof ConnectError && error.code === Code.NotFound) return false;
  throw error;
};
