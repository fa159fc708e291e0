import { ifMerely } from "../domain/errors.ts";
import { pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes } from "../domain/ports.ts";
import type { Run } from "../domain/run/run.ts";
import type { Act } from "../domain/thread/act.ts";
import { keyOfThread, type ThreadName } from "../domain/thread.ts";
import type { ThreadPin } from "../stream/thread-pin.ts";

export interface TemporaryThreadsParts {
  readonly lanes: Pick<Lanes, "read" | "temporary">;
  readonly act: Pick<Act, "act">;
  /** This server's id. */
  readonly server: () => string;
  /** The servers that are known to be there. */
  readonly servers: () => Promise<readonly string[]>;
  /** Removes a thread that is marked as being removed. */
  readonly remove: (name: ThreadName) => Promise<void>;
  /** What could not be done is left to a later sweep. */
  readonly onError: (error: unknown) => void;
}

/** The threads of stateless runs, which disappear when their run is over and no server pins them for a caller. */
export interface TemporaryThreads {
  /** Counts a caller in this server, at no cost for plain threads. */
  open(name: ThreadName): ThreadPin;
  /** The servers that the thread of a run which is about to be created must name from the beginning. */
  watchersOf(name: ThreadName): readonly string[];
  /** The run is over for everybody. */
  ended(run: Run): void;
  /** This server has another name from now on, by which the threads must know it. */
  renew(): void;
  /** Removes what a crash, or a database that was away, has left. */
  sweep(unchangedSince: Date): Promise<void>;
  /** Resolves when what is under way is done; the rest is left to the servers that go on. */
  stop(): Promise<void>;
}

interface Callers {
  readonly name: ThreadName;
  count: number;
  /** The thread's document names this server. */
  stored: boolean;
  ended: boolean;
}

/** Removals at a time: they must not take the database from the runs. */
const removalsAtATime = 4;
/** Threads of one look. */
const chunk = 100;

export function createTemporaryThreads(parts: TemporaryThreadsParts): TemporaryThreads {
  const { lanes, act, server } = parts;
  const callersOf = new Map<string, Callers>();
  /** Removals of this server from the threads that it has pinned: whoever pins one again waits for that. */
  const detaching = new Map<string, Promise<void>>();
  const queue: (() => Promise<void>)[] = [];
  const working = new Set<Promise<void>>();

  function begin(work: () => Promise<void>): void {
    queue.push(work);
    next();
  }

  function next(): void {
    if (working.size >= removalsAtATime) return;
    const work = queue.shift();
    if (!work) return;
    const done = work()
      .catch(parts.onError)
      .finally(() => {
        working.delete(done);
        next();
      });
    working.add(done);
  }

  /** The last caller in this server has gone, unless another has come since. */
  async function leave(name: ThreadName, callers: Callers): Promise<void> {
    const successors = callersOf.get(keyOfThread(name));
    if (successors) {
      successors.stored ||= callers.stored;
      successors.ended ||= callers.ended;
      return;
    }
    if (callers.stored) {
      const detached = act.act(name, { kind: "change", watch: "detach" });
      const settled = detached.then(
        () => void detaching.delete(keyOfThread(name)),
        () => void detaching.delete(keyOfThread(name)),
      );
      detaching.set(keyOfThread(name), settled);
      await detached.catch(ifMerely("THREAD_NOT_FOUND"));
    }
    await remove(name).catch(ifMerely("THREAD_NOT_FOUND"));
  }

  /** Only if its run is over, told, and nobody waits for it. */
  async function remove(name: ThreadName): Promise<void> {
    const acted = await act.act(name, { kind: "change", remove: { when: "unwatched" } });
    if (acted?.answer.did === "done") await parts.remove(name);
  }

  async function sweepThread(name: ThreadName, alive: ReadonlySet<string>): Promise<void> {
    const stored = await lanes.read(name);
    for (const watcher of stored?.control.watchedBy ?? []) {
      const isHere = watcher === server();
      if (isHere ? callersOf.has(keyOfThread(name)) : alive.has(watcher)) return;
      await act.act(name, { kind: "change", watch: "detach", watcher });
    }
    await remove(name);
  }

  return {
    open(name) {
      const callers = callersOf.get(keyOfThread(name)) ?? { name, count: 0, stored: false, ended: false };
      callersOf.set(keyOfThread(name), callers);
      callers.count += 1;
      let closed = false;
      return {
        async keep(run) {
          if (!run.stateless?.temporary) return true;
          await detaching.get(keyOfThread(name));
          if (callers.stored) return true;
          const acted = await act.act(run, { kind: "change", watch: "attach" }).catch(ifMerely("THREAD_NOT_FOUND"));
          if (!acted) return false;
          callers.stored = true;
          return true;
        },
        close() {
          if (closed) return;
          closed = true;
          callers.count -= 1;
          if (callers.count > 0) return;
          callersOf.delete(keyOfThread(name));
          if (callers.stored || callers.ended) begin(() => leave(name, callers));
        },
      };
    },

    watchersOf(name) {
      const callers = callersOf.get(keyOfThread(name));
      if (!callers) return [];
      callers.stored = true;
      return [server()];
    },

    ended(run) {
      if (!run.stateless?.temporary) return;
      const callers = callersOf.get(keyOfThread(run));
      if (callers) callers.ended = true;
      else begin(() => remove(run).catch(ifMerely("THREAD_NOT_FOUND")));
    },

    renew() {
      for (const { name, stored } of callersOf.values()) {
        if (stored)
          begin(
            async () =>
              void (await act.act(name, { kind: "change", watch: "attach" }).catch(ifMerely("THREAD_NOT_FOUND"))),
          );
      }
    },

    async sweep(unchangedSince) {
      const alive = new Set(await parts.servers());
      const all = pagesOf<FoundThread>(chunk, (page) => lanes.temporary(unchangedSince.getTime(), page));
      for await (const found of all) {
        for (const thread of found)
          await sweepThread(thread, alive).catch(ifMerely("THREAD_NOT_FOUND")).catch(parts.onError);
      }
    },

    async stop() {
      queue.length = 0;
      while (working.size > 0) await Promise.all(working);
    },
  };
}
