import type { FoundThread, Lanes, StoredThread, ThreadPage } from "../../src/domain/ports.ts";
import type { ThreadControl, Time } from "../../src/domain/thread/entry.ts";
import type { ThreadName } from "../../src/domain/thread.ts";

/** The store of lanes in memory. What is stored shares nothing with what was given or answered. */
export function createMemoryLanes(): Lanes {
  const threads = new Map<string, string>();
  /** The journals of threads that were removed, by their id. */
  const removed = new Map<string, string>();
  const keyOf = ({ owner, threadId }: ThreadName) => (owner === "" ? threadId : `${owner}/${threadId}`);
  const stored = (key: string): StoredThread | undefined => {
    const text = threads.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  };

  /** Those that the times are of, in their order. */
  function page(
    timeOf: (control: ThreadControl) => Time | undefined,
    { limit, after }: ThreadPage,
    owner?: string,
  ): FoundThread[] {
    const found = [...threads.keys()].flatMap((key): FoundThread[] => {
      const { origin, control } = stored(key)!;
      const at = owner === undefined || origin.owner === owner ? timeOf(control) : undefined;
      return at === undefined ? [] : [{ owner: origin.owner, threadId: origin.threadId, at, lane: control.lane }];
    });
    const order = (a: Place, b: Place) => a.at - b.at || (keyOf(a) < keyOf(b) ? -1 : 1);
    return found
      .toSorted(order)
      .filter((one) => !after || (keyOf(one) !== keyOf(after) && order(after, one) < 0))
      .slice(0, limit);
  }

  /** The time, if it is that time or an earlier one. */
  const upTo = (time: Time | undefined, by: Time) => (time !== undefined && time <= by ? time : undefined);

  return {
    // All of a state is beside its thread here.
    sweepStates: async () => undefined,
    read: async (name) => stored(keyOf(name)),
    readMany: async (names) => names.flatMap((name) => stored(keyOf(name)) ?? []),

    async insert(thread) {
      const key = keyOf(thread.origin);
      if (threads.has(key) || removed.get(key) === thread.origin.journal) return false;
      threads.set(key, JSON.stringify(thread));
      return true;
    },

    async write(origin, from, control) {
      const before = stored(keyOf(origin));
      if (before?.control.rev !== from) return false;
      threads.set(keyOf(origin), JSON.stringify({ origin: before.origin, control }));
      return true;
    },

    async remove(name, rev) {
      const there = stored(keyOf(name));
      if (there && there.control.rev !== rev) return false;
      if (there) removed.set(keyOf(name), there.origin.journal);
      threads.delete(keyOf(name));
      return true;
    },

    ready: async (which, owner) =>
      page(({ head, headSince }) => (head === "ready" ? headSince : undefined), which, owner),
    readyOwners: async () => {
      const all = [...threads.keys()].map((key) => stored(key)!);
      return [...new Set(all.flatMap(({ origin, control }) => (control.head === "ready" ? origin.owner : [])))].sort();
    },
    headedBy: async (server, which) =>
      page(({ headServer, headSince }) => (headServer === server ? headSince : undefined), which),
    headServers: async () => {
      const all = [...threads.keys()].map((key) => stored(key)!.control.headServer);
      return [...new Set(all.filter((server) => server !== undefined))].sort();
    },
    owing: async (since, which) => page(({ owes }) => upTo(owes?.since, since), which),
    owingBy: async (server, which) => page(({ owes }) => (owes?.server === server ? owes.since : undefined), which),
    due: async (by, which) => page(({ due }) => upTo(due, by), which),
    expired: async (by, which) => page(({ expireAt }) => upTo(expireAt, by), which),
    removing: async (since, which) =>
      page(({ removing, updatedAt }) => (removing ? upTo(updatedAt, since) : undefined), which),
    temporary: async (since, which) =>
      page(({ watchedBy, updatedAt }) => (watchedBy ? upTo(updatedAt, since) : undefined), which),
  };
}

type Place = Omit<FoundThread, "lane">;
