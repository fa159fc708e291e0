import { describe, expect, it } from "vitest";
import type { StoredThread } from "../../../src/domain/ports.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";
import { createRemoval } from "../../../src/domain/threads.ts";

const name = { owner: "", threadId: "thread" };

const thread = (journal: string, fields: object): StoredThread => ({
  origin: { ...name, journal, createdAt: 1 },
  control: { ...newControl({ threadId: "thread", rev: "rev", metadata: {} }, 1), ...fields },
});

describe("the removal of a thread", () => {
  it("leaves alone what was created anew while debts of the former were paid", async () => {
    const former = thread("former", { removing: true, owes: { server: "server", since: 1 } });
    const anew = thread("anew", {});
    let stored = former;
    const removed: string[] = [];
    const { finish } = createRemoval({
      lanes: { read: async () => stored, remove: async ({ journal }: { journal: string }) => !!removed.push(journal) },
      act: {
        async payDebts() {
          stored = anew;
        },
      },
      runs: { outliving: async () => [], removeAll: async () => undefined },
      data: { removeThread: async () => undefined },
    } as unknown as Parameters<typeof createRemoval>[0]);
    await finish(name, new AbortController().signal);
    expect(removed).toEqual([]);
  });
});
