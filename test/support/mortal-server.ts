import type { Collection, Db } from "mongodb";
import { FencedError } from "../../src/checkpoints/journal-port.ts";
import type { Config } from "../../src/config.ts";
import { createRuns, type Runs } from "../../src/create-runs.ts";
import type { FoundThread, ThreadPage } from "../../src/domain/ports.ts";
import type { RunStatus } from "../../src/domain/transitions.ts";
import type { Stores } from "../../src/storage/stores.ts";
import type { AttemptHost, PlacedAttempt } from "../../src/worker/attempt-host.ts";
import type { GraphReport } from "../../src/worker/protocol.ts";
import { silentLog } from "./engine.ts";
import { openParts } from "./stores.ts";

/**
 * A server without its network, that can die as a process dies: from one moment on nothing of it is written any more, whatever
 * it has under way, and nobody hears of it.
 */
export interface MortalServer {
  readonly runs: Runs;
  /** Dies when it is about to make a write for the so manieth time from now on. */
  dieAt(write: number): void;
  /** The writes since `dieAt`, by collection and method. */
  readonly writes: readonly string[];
  readonly isDead: boolean;
  readonly dead: Promise<void>;
  /** It was only asleep: all that it had under way goes on. */
  wake(): void;
  /** Frees what it holds; what still hangs fails. */
  close(): Promise<void>;
}

export interface MortalParts {
  readonly db: Db;
  readonly config: Config;
  /** Shared by several servers: each sees its own attempts only. */
  readonly host: AttemptHost;
  readonly reports: readonly GraphReport[];
  /** The only thread that this server looks after, so that several can be examined at once. */
  readonly threadId: string;
}

/** A process that does not exist. */
const deadPid = 2 ** 22 + 1;

const writeMethods = new Set<PropertyKey>([
  ...[
    "insertOne",
    "insertMany",
    "updateOne",
    "updateMany",
    "replaceOne",
    "deleteOne",
    "deleteMany",
    "findOneAndUpdate",
  ],
]);

export async function createMortalServer({ db, config, host, reports, threadId }: MortalParts): Promise<MortalServer> {
  const life = createLife();
  const mortalDb = proxied(db, (name) =>
    name === "collection"
      ? (collection: string, options: object) => mortalCollection(db.collection(collection, options), life)
      : undefined,
  );
  const { stores: all, ...parts } = await openParts(mortalDb, config.leaseMs);
  const stores = ofThread(all, threadId, life);
  const mortalHost = hostOf(host, life);
  const runs = await createRuns({
    ...parts,
    stores,
    host: mortalHost,
    config,
    graphs: [],
    reports,
    isTransient: () => false,
    pause: () => Promise.resolve(),
    log: silentLog,
  });
  return {
    runs,
    dieAt: life.dieAt,
    writes: life.writes,
    dead: life.dead,
    wake: life.wake,
    get isDead() {
      return life.isDead;
    },
    async close() {
      life.end();
      await runs.close();
    },
  };
}

type Life = ReturnType<typeof createLife>;

function createLife() {
  const writes: string[] = [];
  const death = Promise.withResolvers<void>();
  const awakening = Promise.withResolvers<void>();
  awakening.promise.catch(() => undefined);
  let left = Number.POSITIVE_INFINITY;
  let state: "alive" | "dead" | "woken" = "alive";

  return {
    writes,
    dead: death.promise,
    get isDead() {
      return state !== "alive";
    },
    dieAt(count: number) {
      writes.length = 0;
      left = count;
    },
    /** One write. A dead server's hangs before it is made, or before anybody learns that it was. */
    async write<T>(what: string, counts: boolean, make: () => Promise<T>): Promise<T> {
      if (counts && state === "alive") {
        writes.push(what);
        left -= 1;
        if (left === 0) {
          state = "dead";
          death.resolve();
        }
      }
      if (state === "dead") await awakening.promise;
      const result = await make();
      if (state === "dead") await awakening.promise;
      return result;
    },
    /** Hangs while the server is dead: so do its looks at the database, which would only cost time. */
    async hangWhileDead(): Promise<void> {
      if (state === "dead") await awakening.promise;
    },
    wake() {
      state = "woken";
      awakening.resolve();
    },
    end: () => awakening.reject(new Error("this server is dead")),
  };
}

function mortalCollection<T extends object>(collection: Collection<T>, life: Life): Collection<T> {
  return proxied(collection, (name, value) => {
    // They are there; each server would only make them again.
    if (name === "createIndexes") return () => Promise.resolve([]);
    if (!writeMethods.has(name)) return undefined;
    return (...args: unknown[]) => {
      // Heartbeats are no part of a run's life.
      const counts = collection.collectionName !== "servers";
      return life.write(`${collection.collectionName}.${String(name)}`, counts, () => value.apply(collection, args));
    };
  });
}

type Method = (...args: unknown[]) => Promise<unknown>;

/** The same object with some of its methods replaced. */
function proxied<T extends object>(target: T, replaced: (name: PropertyKey, value: Method) => unknown): T {
  return new Proxy(target, {
    get(_, name) {
      const value = Reflect.get(target, name) as Method;
      const other = replaced(name, value);
      if (other !== undefined) return other;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What a server comes upon by itself is narrowed to one thread; it says that its process is one that does not exist. */
function ofThread(stores: Stores, threadId: string, life: Life): Stores {
  const narrow =
    <A extends unknown[], T extends { threadId: string }>(find: (...args: A) => Promise<T[]>) =>
    async (...args: A) => {
      await life.hangWhileDead();
      return (await find(...args)).filter((one) => one.threadId === threadId);
    };
  const { runs, lanes, servers, webhooks, batches } = stores;
  const all = 10_000;
  const find = (finder: (page: ThreadPage) => Promise<FoundThread[]>) => narrow(() => finder({ limit: all }))();
  return {
    ...stores,
    runs: {
      ...runs,
      findMany: narrow(runs.findMany),
      unentered: narrow((before: Date) => runs.unentered(before, all)),
      saidToLive: narrow((status: RunStatus, before: Date) => runs.saidToLive(status, before, all)),
    },
    lanes: {
      ...lanes,
      ready: () => find(lanes.ready),
      headedBy: (server) => find((page) => lanes.headedBy(server, page)),
      owing: (since) => find((page) => lanes.owing(since, page)),
      owingBy: (server) => find((page) => lanes.owingBy(server, page)),
      due: (by) => find((page) => lanes.due(by, page)),
      removing: (since) => find((page) => lanes.removing(since, page)),
      temporary: (since) => find((page) => lanes.temporary(since, page)),
    },
    webhooks: {
      ...webhooks,
      untried: narrow((before: Date) => webhooks.untried(before, { limit: all })),
      due: narrow((now: Date) => webhooks.due(now, { limit: all })),
    },
    batches: { ...batches, undoneBatches: () => Promise.resolve([]) },
    servers: {
      ...servers,
      others: () => Promise.resolve([]),
      join: (server) => servers.join({ ...server, pid: deadPid }),
      beat: (server) => servers.beat({ ...server, pid: deadPid }),
    },
  };
}

/** Its attempts end with it, without their processes, which others use too. */
function hostOf(host: AttemptHost, life: Life): AttemptHost {
  const placed = new Set<PlacedAttempt>();
  const fenced = life.dead.then(() => Promise.reject(new FencedError("the server is dead")));
  fenced.catch(() => undefined);
  void life.dead.then(() => {
    for (const attempt of placed) attempt.stop("interrupt", "the server is dead");
  });
  return {
    start: () => Promise.resolve([]),
    get freeSlots() {
      return life.isDead ? 0 : host.freeSlots;
    },
    hasRoom: (owner, pending) => !life.isDead && host.hasRoom(owner, pending),
    want: (owner) => host.want(owner),
    onFree: (listener) => host.onFree(listener),
    place(spec, hooks, options) {
      if (life.isDead) return undefined;
      const append: typeof hooks.journal.append = (flush) => Promise.race([hooks.journal.append(flush), fenced]);
      const journal = { ...hooks.journal, append };
      const output: typeof hooks.output = (events) => Promise.race([hooks.output(events), fenced]);
      const attempt = host.place(spec, { ...hooks, journal, output }, options);
      if (attempt) placed.add(attempt);
      return attempt;
    },
    untilStart: (options) => host.untilStart(options),
    inspect: (journal, inspection) => host.inspect(journal, inspection),
    renewed: () => undefined,
    pids: [],
    stop: () => Promise.resolve(),
  };
}
