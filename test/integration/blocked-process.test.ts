import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { AppParts } from "../../src/app.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
import { createBarrier } from "../support/barrier.ts";
import { isAlive, until } from "../support/gates.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("a run that blocks the only process", () => {
  let app: TestApp;
  let host: AttemptHost;
  beforeAll(async () => {
    const decorate = (parts: AppParts) => {
      host = parts.host;
      return parts;
    };
    app = await startTestApp({ config: { children: 1, slotsPerChild: 4 }, decorate });
  });
  afterAll(() => app.close());

  it.each(["gated", "dedicated"])("does not keep runs of other threads from starting (%s)", async (graph) => {
    const computing = await createRunKit(app);
    const run = await computing.start({ manners: { a: "busy" } });
    const pid = await computing.gates.started("a");
    // It is known to be blocked when another process has taken its place: all slots are free again.
    await until(() => host.freeSlots === 4);
    const other = await createRunKit(app, graph);
    other.gates.open();
    expect((await other.join((await other.start({})).runId)).status).toBe(RunStatus.SUCCESS);
    expect(isAlive(pid)).toBe(true);
    expect(computing.gates.isDone("a")).toBe(false);
    const { threadId } = computing;
    const answer = await computing.client.runs.cancelRun({ threadId, runId: run.runId, wait: true });
    expect(answer.outcome).toBe(CancelOutcome.KILLED);
    other.gates.remove();
    computing.gates.remove();
  });
});

describe("a run for whose own process it is too early", () => {
  let app: TestApp;
  /** Until it is open no process starts for one run alone. */
  let pause = createBarrier();
  let isOver = false;
  let asked = 0;

  beforeAll(async () => {
    const decorate = (parts: AppParts): AppParts => {
      const place: AttemptHost["place"] = (spec, hooks, options) => {
        asked += 1;
        return isOver ? parts.host.place(spec, hooks, options) : undefined;
      };
      const untilStart = () => (isOver ? undefined : pause.pass());
      return {
        ...parts,
        host: Object.create(parts.host, { place: { value: place }, untilStart: { value: untilStart } }),
      };
    };
    app = await startTestApp({ decorate });
  });
  afterAll(() => app.close());

  it("waits for it under its lease, and is stopped there", async () => {
    const kit = await createRunKit(app, "dedicated");
    kit.gates.open();
    const { threadId } = kit;
    const stopped = await kit.start({});
    await pause.reached;
    const answer = await kit.client.runs.cancelRun({ threadId, runId: stopped.runId, wait: true });
    expect(answer.run!.status).toBe(RunStatus.INTERRUPTED);
    pause.open();
    pause = createBarrier();
    asked = 0;
    const { runId } = await kit.start({});
    await pause.reached;
    expect(asked).toBe(1);
    isOver = true;
    pause.open();
    expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS, attempt: 1 });
    expect(asked).toBe(2);
    kit.gates.remove();
  });
});
