import { expect, it } from "vitest";
import { createHeartbeat, type HeartbeatParts } from "../../../src/worker/heartbeat.ts";

it("a lease that cannot be adopted keeps no other from being adopted, and no cancel from being carried out", async () => {
  const adopted: string[] = [];
  const cancelled: string[] = [];
  const failed: unknown[] = [];
  const failure = new Error("this one cannot be adopted");
  const thread = (threadId: string, more = {}) => ({
    owner: "",
    threadId,
    at: 0,
    lane: { entries: [{ run: `run of ${threadId}`, lease: { server: "me", token: threadId }, ...more }] },
  });
  const cancel = { action: "interrupt", reason: "" };
  const heartbeat = createHeartbeat({
    lanes: { headedBy: async () => [thread("first"), thread("second"), thread("third", { cancel })] },
    clock: { set: () => undefined, renewed: () => undefined },
    self: () => ({ id: "me", ended: new AbortController().signal }),
    executing: { attempts: new Map(), knows: ({ token }: { token: string }) => token === "third" },
    holds: new Set(),
    cancelStored: ({ run }: { run: { threadId: string } }) => void cancelled.push(run.threadId),
    host: { renewed: () => undefined, pids: [] },
    leaseMs: 600_000,
    beat: async () => new Date(),
    async adoptUnknownLease({ threadId }: { threadId: string }) {
      if (threadId === "first") throw failure;
      adopted.push(threadId);
    },
    monotonicMs: () => 0,
    onError: (error: unknown) => void failed.push(error),
  } as unknown as HeartbeatParts);
  await heartbeat.beat();
  await heartbeat.stop();
  expect([adopted, cancelled, failed]).toEqual([["second"], ["third"], [failure]]);
});
