import { describe, expect, it } from "vitest";
import { createHoldThread } from "../../../src/domain/hold-thread.ts";
import type { Act, Acted, Wish } from "../../../src/domain/thread/act.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";
import { decideAs } from "../../support/decide-as.ts";
import { createMemoryLanes } from "../../support/memory-lanes.ts";

const name = { owner: "", threadId: "thread" };

describe("a hold", () => {
  const away = new Error("the database is away");

  /** Holds a thread for the work; answers what was decided about it. */
  async function hold(work: () => Promise<unknown>) {
    const decided: string[] = [];
    const holds = new Set<string>();
    const decide = async (_: unknown, { kind }: { kind: string }) => {
      decided.push(kind);
      const control = newControl({ threadId: "thread", rev: "rev", metadata: {} }, 1);
      return { origin: { ...name, journal: "journal", createdAt: 1 }, control } as Acted;
    };
    const holdThread = createHoldThread({
      act: { decide, act: decide } as never,
      lanes: { read: async () => undefined },
      holds,
      isAlive: () => true,
      isTransient: (error) => error === away,
    });
    const result = await holdThread(name, { kind: "edit" }, work).catch((error: unknown) => error);
    return { decided, result, isHeldHere: holds.size > 0 };
  }

  it("ends with its work", async () => {
    expect(await hold(async () => "done")).toEqual({
      decided: ["hold", "release"],
      result: "done",
      isHeldHere: false,
    });
  });

  it("ends with a work that is refused", async () => {
    const refused = new Error("the graph does not take it");
    const { decided, result } = await hold(() => Promise.reject(refused));
    expect({ decided, result }).toEqual({ decided: ["hold", "release"], result: refused });
  });

  it("is left to whoever completes it when the database goes away half-way", async () => {
    expect(await hold(() => Promise.reject(away))).toEqual({ decided: ["hold"], result: away, isHeldHere: false });
  });
});

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
