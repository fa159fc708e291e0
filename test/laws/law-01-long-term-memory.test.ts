import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CancelOutcome, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { Act } from "../agents/remembering.ts";
import { isAlive, until } from "../support/gates.ts";
import { createItemHolder } from "../support/item-holder.ts";
import { createRunKit, type RunKit } from "../support/run-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const configFile = fileURLToPath(new URL("../agents/remembering.json", import.meta.url));

describe("law 1: what a stopped run has put into the long-term memory", () => {
  const holder = createItemHolder();
  let app: TestApp;
  let kit: RunKit;

  beforeAll(async () => {
    app = await startTestApp({ config: { configFile, graceMs: 500 }, decorate: holder.decorate });
    kit = await createRunKit(app, "remembering");
  });
  afterAll(async () => {
    kit.gates.remove();
    await app.close();
  });

  const count = () => app.db.collection("items").countDocuments();
  const cancel = (runId: string) => kit.client.runs.cancelRun({ threadId: kit.threadId, runId, wait: true });

  it("was all there before the stop was answered, also of a node that goes on until it is killed", async () => {
    const flood: Act = { do: "flood", namespace: ["flood"] };
    const { runId } = await kit.start({ acts: [flood] });
    await until(async () => (await count()) > 20);
    expect((await cancel(runId)).outcome).toBe(CancelOutcome.KILLED);
    const [atEnd, landed] = [await count(), holder.landed.length];
    expect(landed).toBe(atEnd);
    // What comes later has its time to come: another run, from its start to its end.
    const next = await kit.start({ acts: [{ do: "put", namespace: ["next"], key: "k", value: {} }] });
    expect((await kit.join(next.runId)).status).toBe(RunStatus.SUCCESS);
    expect(await count()).toBe(atEnd + 1);
    expect(holder.landed.slice(landed).map(({ key }) => key)).toEqual(["k"]);
  });

  it("is waited for when it is on its way to the database", async () => {
    const held = holder.hold();
    const acts: Act[] = [
      { do: "gate", step: "a" },
      { do: "put", namespace: ["held"], key: "k", value: {} },
    ];
    kit.gates.open("a");
    const { runId } = await kit.start({ acts });
    const pid = await kit.gates.started("a");
    const { item, release } = await held;
    expect(item.namespace).toEqual(["held"]);
    let answered = false;
    const cancelling = cancel(runId).finally(() => {
      answered = true;
    });
    // Its process is killed in the end, and another run has the time to come and go.
    await until(() => !isAlive(pid));
    const other = await createRunKit(app, "remembering");
    expect(await other.start({ acts: [] }).then(({ runId: id }) => other.join(id))).toMatchObject({
      status: RunStatus.SUCCESS,
    });
    other.gates.remove();
    expect(answered).toBe(false);
    expect((await kit.get(runId)).status).toBe(RunStatus.RUNNING);
    expect(await app.db.collection("items").countDocuments({ path: "held." })).toBe(0);
    release();
    expect((await cancelling).outcome).toBe(CancelOutcome.KILLED);
    expect(await app.db.collection("items").countDocuments({ path: "held." })).toBe(1);
  });
});
