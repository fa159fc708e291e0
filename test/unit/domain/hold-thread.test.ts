import { expect, it } from "vitest";
import { createHoldThread } from "../../../src/domain/hold-thread.ts";
import type { Act, Wish } from "../../../src/domain/thread/act.ts";
import { decideAs } from "../../support/decide-as.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";

const name = { owner: "", threadId: "thread" };

it("what was read of a thread that is being removed is not taken for whole, also while the hold stands", async () => {
  const lanes = createMemoryLanes();
  const decide = decideAs("me", lanes);
  const born = { origin: { ...name, journal: "journal", createdAt: 1 }, kept: { metadata: {} } };
  await decide(name, { kind: "change", metadata: { put: { a: 1 }, remove: [] } }, born);
  const decideOn = (_: unknown, wish: Wish) => decide(name, wish as Parameters<typeof decide>[1]);
  const holdThread = createHoldThread({
    act: { act: decideOn, decide: decideOn } as unknown as Act,
    lanes,
    holds: new Set(),
    isAlive: () => true,
    isTransient: () => false,
  });
  const done: string[] = [];
  const copying = holdThread(name, { kind: "copy" }, async ({ confirm }) => {
    await confirm();
    done.push("read");
    const wish = { action: "interrupt", reason: "thread deleted", by: "client" } as const;
    await decide(name, { kind: "change", remove: { when: "stop", wish } });
    done.push("removing");
    await confirm();
    done.push("copied");
  });
  await expect(copying).rejects.toMatchObject({ reason: "THREAD_NOT_FOUND" });
  expect(done).toEqual(["read", "removing"]);
});
