import { describe, expect, it, vi } from "vitest";
import type { FinishRun } from "../../../src/domain/finish-run.ts";
import type { RunStore } from "../../../src/domain/ports.ts";
import type { Run } from "../../../src/domain/run.ts";
import { createSettle } from "../../../src/worker/settle.ts";

const run = {
  owner: "",
  runId: "run",
  threadId: "thread",
  lostAttempts: 0,
  lease: { token: "token" },
} as unknown as Run;
const away = new Error("the database is away");
const refused = new RangeError("the document is too large");

function settling(parts: { finish?: RunStore["finish"]; finishRun?: FinishRun["finishRun"]; now?: Partial<Run> }) {
  const finish = vi.fn(parts.finish ?? (async (name) => ({ ...run, ...name, phase: "over" }) as Run));
  const finishRun = vi.fn(parts.finishRun ?? (async (one: Run) => one));
  const find = async () => ({ ...run, ...parts.now });
  const settle = createSettle({
    runs: { finish, find } as unknown as RunStore,
    finish: { finishRun } as unknown as FinishRun,
    handedBack: () => {},
    dropped: () => {},
    isPassing: (error) => error === away,
  });
  return { finish, finishRun, settle: () => settle(run, "token", { kind: "success" }, { lastSequence: 3 }) };
}

describe("an outcome that the database refuses", () => {
  it("ends the run with an error that says so", async () => {
    const { finish, finishRun, settle } = settling({
      finish: async (name, _, { status }) => {
        if (status === "success") throw refused;
        return { ...run, ...name, status, phase: "over" } as Run;
      },
    });
    await settle();
    expect(finish.mock.lastCall).toMatchObject([
      {},
      "token",
      { status: "error", error: { name: "OutcomeNotStoredError" } },
    ]);
    expect(finishRun).toHaveBeenCalledOnce();
  });

  it("stays what it is when it was something else that was refused", async () => {
    let tries = 0;
    const { finish, settle } = settling({
      finish: async (name) => {
        tries += 1;
        if (tries === 1) throw refused;
        return { ...run, ...name, phase: "over" } as Run;
      },
    });
    await settle();
    expect(finish.mock.calls.map(([, , { status }]) => status)).toEqual(["success", "success"]);
  });

  it("a run that is over is finished without the state that it reported", async () => {
    const over = { ...run, phase: "over", cleanupPending: true } as Run;
    const { finishRun, settle } = settling({
      now: over,
      finishRun: async (one) => {
        if (!one.cleanupPending) throw refused;
        return one;
      },
    });
    await settle();
    expect(finishRun.mock.lastCall).toEqual([over]);
  });

  it("waits for a database that is away", async () => {
    const { finish, settle } = settling({ finish: () => Promise.reject(away) });
    await expect(settle()).rejects.toBe(away);
    expect(finish).toHaveBeenCalledOnce();
  });
});
