import type { FoundThread, Lanes, StoredThread, ThreadPage } from "../../src/domain/ports.ts";
import type { ThreadControl, Time } from "../../src/domain/thread/entry.ts";
import type { ThreadName } from "../../src/domain/thread.ts";

/** The store of lanes in memory. What is stored shares nothing with what was given or answered. */
export function createMemoryLanes(): Lanes {
  const threads = new Map<string, string>();
  const keyOf = ({ owner, threadId }: ThreadName) => (owner === "" ? threadId : `${owner}/${threadId}`);
  const stored = (key: string): StoredThread | undefined => {
    const text = threads.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  };

  /** Those that the times are of, in their order. */
  function page(timeOf: (control: ThreadControl) => Time | undefined, { limit, after }: ThreadPage): FoundThread[] {
    const found = [...threads.keys()].flatMap((key) => {
      const { origin, control } = stored(key)!;
      const at = timeOf(control);
      return at === undefined ? [] : [{ owner: origin.owner, threadId: origin.threadId, at }];
    });
    const order = (a: FoundThread, b: FoundThread) => a.at - b.at || (keyOf(a) < keyOf(b) ? -1 : 1);
    return found
      .toSorted(order)
      .filter((one) => !after || (keyOf(one) !== keyOf(after) && order(after, one) < 0))
      .slice(0, limit);
  }

  return {
    read: async (name) => stored(keyOf(name)),

    async insert(thread) {
      const key = keyOf(thread.origin);
      if (threads.has(key)) return false;
      threads.set(key, JSON.stringify(thread));
      return true;
    },

    async write(name, from, control) {
      const before = stored(keyOf(name));
      if (before?.control.rev !== from) return false;
      threads.set(keyOf(name), JSON.stringify({ origin: before.origin, control }));
      return true;
    },

    ready: async (which) => page(({ head, headSince }) => (head === "ready" ? headSince : undefined), which),
    headedBy: async (server, which) =>
      page(({ headServer, headSince }) => (headServer === server ? headSince : undefined), which),
    owing: async (since, which) => page(({ owes }) => (owes && owes.since <= since ? owes.since : undefined), which),
    owingBy: async (server, which) => page(({ owes }) => (owes?.server === server ? owes.since : undefined), which),
    due: async (by, which) => page(({ due }) => (due !== undefined && due <= by ? due : undefined), which),
  };
}
