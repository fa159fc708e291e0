import { beforeEach, describe, expect, it } from "vitest";
import { createStoredCancels, type StoredCancels } from "../../../src/nudges/stored-cancels.ts";
import { decideAs } from "../../support/decide-as.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";

const wish = { action: "interrupt", reason: "enough", by: "client" } as const;

describe("stored cancels of what executes here", () => {
  let lanes: ReturnType<typeof createMemoryLanes>;
  let self: string;
  let here: boolean;
  let stopped: string[];
  let cancels: StoredCancels;
  const name = (id: string) => ({ owner: "", threadId: id, runId: id });

  beforeEach(async () => {
    [lanes, self, here, stopped] = [createMemoryLanes(), "me", true, []];
    cancels = createStoredCancels({
      lanes,
      self: () => self,
      mayExecuteHere: () => here,
      stop: ({ run, server, action, reason }) => stopped.push(`${run.runId} ${server} ${action} ${reason}`),
    });
    await execute("me", "cancelled");
    await execute("me", "living");
    await execute("another", "elsewhere");
    for (const id of ["cancelled", "elsewhere"])
      await decideAs("another", lanes)(name(id), { kind: "requestCancel", runs: [id], wish });
  });

  /** Each run on a thread of its own. */
  async function execute(server: string, id: string): Promise<void> {
    const origin = { ...name(id), journal: "journal", createdAt: Date.now() };
    const born = { origin, kept: { metadata: {} } };
    await decideAs(server, lanes)(name(id), { kind: "enter", run: id, strategy: "enqueue", next: `of ${id}` }, born);
  }

  it("stop the runs that are asked about, and no others", async () => {
    await cancels.lookAt(["cancelled", "living", "elsewhere", "gone"].map(name));
    expect(stopped).toEqual(["cancelled me interrupt enough"]);
  });

  it("stop all that this server executes", async () => {
    await cancels.lookAtAll();
    expect(stopped).toEqual(["cancelled me interrupt enough"]);
  });

  it("are nothing to a server that has begun anew", async () => {
    self = "reborn";
    await cancels.lookAt([name("cancelled")]);
    await cancels.lookAtAll();
    expect(stopped).toEqual([]);
  });

  it("are not looked for of runs that cannot execute here", async () => {
    here = false;
    await cancels.lookAt([name("cancelled")]);
    expect(stopped).toEqual([]);
  });
});
