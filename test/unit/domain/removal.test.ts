import { describe, expect, it } from "vitest";
import type { StoredThread } from "../../../src/domain/ports.ts";
import { newControl } from "../../../src/domain/thread/entry.ts";
import { threadOf } from "../../../src/domain/thread/view.ts";
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

describe("the removal of a run", () => {
  /** The state that the thread is left with. */
  async function leftWith(last: { n: number; unread?: true }): Promise<unknown> {
    const left: unknown[] = [];
    const { removeRun } = createRemoval({
      data: { removeCheckpoints: async () => undefined, removeEvents: async () => undefined },
      runs: { insertTombstone: async () => undefined, remove: async () => true, lastStarted: async () => undefined },
      readState: async () => ({ next: [], interrupts: [] }),
    } as unknown as Parameters<typeof createRemoval>[0]);
    const held = {
      thread: threadOf(thread("journal", {})),
      last: { status: "interrupted", ...last },
      check: async () => undefined,
      leave: (change: unknown) => left.push(change),
    };
    await removeRun(held as never, { runId: "first", n: 1, graph: "graph" } as never);
    return left;
  }

  it("leaves the thread as its journal is then, where the last run's end is not told yet", async () => {
    expect(await leftWith({ n: 2, unread: true })).toMatchObject([{ state: null }]);
  });

  it("leaves it as it was, where a later run has told what it left", async () => {
    expect(await leftWith({ n: 2 })).toMatchObject([{ state: undefined }]);
  });
});
