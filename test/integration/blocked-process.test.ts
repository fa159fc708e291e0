import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { AppParts } from "../../src/app.ts";
import type { AttemptHost } from "../../src/worker/attempt-host.ts";
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
