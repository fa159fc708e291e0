import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { Durability } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { type CommandProxy, startCommandProxy } from "../support/command-proxy.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
let proxy: CommandProxy;
beforeAll(async () => {
  proxy = await startCommandProxy(inject("engine").uri);
  // Nothing is looked for by itself meanwhile.
  app = await startTestApp({ config: { mongodbUri: proxy.uri, pollMs: 600_000, leaseMs: 600_000 } });
  for (const _ of [1, 2]) await threeSteps(await createRunKit(app));
});
afterAll(async () => {
  await app.close();
  await proxy.close();
});

/** The commands from the creation of a run to the moment at which its caller was told of its end. */
async function threeSteps(on: RunKit): Promise<{ once: string[]; many: Record<string, number> }> {
  on.gates.open();
  proxy.taken();
  const spec = on.spec({ steps: ["a", "b"] }, { durability: Durability.ASYNC });
  const { run } = await app.client.runs.waitRun({ create: { threadId: on.threadId, spec } });
  const all = proxy.taken();
  // Whoever is told of an end reads the same everywhere.
  expect(await on.get(run!.runId)).toEqual(run);
  const isOutput = (command: string) => /^(insert (run_events|checkpoints)|update runs)$/.test(command);
  const many = Map.groupBy(all.filter(isOutput), (command) => command);
  return {
    once: all.filter((command) => !isOutput(command)),
    many: Object.fromEntries([...many].map(([command, sent]) => [command, sent.length])),
  };
}

describe("a run of three steps, alone on its server", () => {
  /** What stores its output and its checkpoints gathers what there is, and is called once more where others keep the machine busy. */
  const atMost = {
    "insert run_events": 3,
    "insert checkpoints": 2,
    // That it is over, and before that, unless it is over soon, that it runs.
    "update runs": 2,
  };
  const runs = 10;

  /** Each costs these once, and the least of them no more in all than was promised. */
  async function expectCost(commands: readonly string[], least: number, thread: () => Promise<RunKit>): Promise<void> {
    const totals: number[] = [];
    for (let n = 0; n < runs; n += 1) {
      const { once, many } = await threeSteps(await thread());
      expect(once.toSorted()).toEqual(commands.toSorted());
      for (const [command, most] of Object.entries(atMost)) {
        expect(many[command], command).toBeGreaterThanOrEqual(1);
        expect(many[command], command).toBeLessThanOrEqual(most);
      }
      totals.push(once.length + Object.values(many).reduce((sum, sent) => sum + sent, 0));
    }
    expect(Math.min(...totals)).toBeLessThanOrEqual(least);
  }

  // Its record, its entry with its claim, and its end; besides its output, and that its record says so.
  const each = ["insert runs", "update threads", "update threads"];

  it("costs at most eight commands when it is its thread's first: an empty journal need not be looked at", async () => {
    await expectCost(each, 8, () => createRunKit(app));
  });

  it("costs at most eight as well when it is a later one: the server knows where it has left the journal", async () => {
    const kit = await createRunKit(app);
    await threeSteps(kit);
    await expectCost(each, 8, async () => kit);
  });

  it("looks at the journal where others than attempts may have written: its end, and what belongs to the newest checkpoint", async () => {
    const kit = await createRunKit(app);
    await threeSteps(kit);
    const looks = ["find checkpoints", "find checkpoints"];
    await expectCost([...each, ...looks], 10, async () => {
      await app.client.threads.updateThreadState({ threadId: kit.threadId, values: toPayload({ log: ["edited"] }) });
      return kit;
    });
    expect(JSON.stringify((await kit.state()).values)).toContain("edited");
  });
});
