import { afterAll, beforeAll, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { LiveRunStatus } from "../../gen/reins/v1/run_service_pb.ts";
import { createRunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  // No poll helps: another thread's run starts at once or never.
  app = await startTestApp({ config: { slotsPerChild: 2, leaseMs: 200_000, pollMs: 60_000 } });
});
afterAll(() => app.close());

it("a thread with 50 waiting runs, and one with 50 delayed ones, delay no other thread", async () => {
  const [busy, delayed] = [await createRunKit(app), await createRunKit(app)];
  const first = await busy.start({ steps: ["a"] });
  await busy.gates.started("a");
  for (let i = 0; i < 50; i += 1) {
    await Promise.all([busy.start({ steps: [`w${i}`] }), delayed.start({}, { after: { seconds: 3600n } })]);
  }
  for (let i = 0; i < 3; i += 1) {
    const other = await createRunKit(app);
    other.gates.open();
    // The last has the delayed runs' thread to itself.
    const kit = i < 2 ? other : delayed;
    const run = await kit.start({ dir: other.gates.dir, steps: ["x"] });
    expect((await kit.join(run.runId)).status).toBe(RunStatus.SUCCESS);
    other.gates.remove();
  }
  expect(busy.gates.spans()).toEqual(["begin a"]);
  for (const { threadId } of [busy, delayed]) {
    const filter = { threadId, status: LiveRunStatus.ALL };
    const { results } = await app.client.runs.cancelRuns({ target: { case: "filter", value: filter }, wait: true });
    expect(results.length).toBeGreaterThanOrEqual(50);
  }
  expect(busy.gates.steps()).toEqual(["a"]);
  expect((await busy.join(first.runId)).status).toBe(RunStatus.INTERRUPTED);
  for (const each of [busy, delayed]) each.gates.remove();
});
