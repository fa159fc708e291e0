import type { AttemptHost, PlacedAttempt } from "../../src/worker/attempt-host.ts";
import { type ChildPoolOptions, createChildPool } from "../../src/worker/child-pool.ts";
import type { GraphReport } from "../../src/worker/protocol.ts";
import { silentLog } from "./embedded-options.ts";

/**
 * Children that outlive the server which uses them, for the next server of this test process that wants the same kind: to load
 * LangGraph takes a process most of a second, several times for each server. Only one server at a time has a pool, so that no
 * test meets another's runs; a pool in which an attempt is left when its server has stopped is not used again.
 */
interface SharedPool {
  readonly kind: string;
  readonly host: AttemptHost;
  readonly reports: readonly GraphReport[];
  readonly attempts: Set<object>;
  onFree: () => void;
}

const idle: SharedPool[] = [];

/** Their servers are in this very process, and end what executes when a lease of theirs lapses; so one length serves all. */
const sharedLeaseMs = 600_000;

const kept = { spare: false, shrinkAfterMs: "never" } as const;

/** What {@link createChildPool} makes, from children that are there already if possible. None is kept as a spare, and none ends for want of runs. */
export function borrowChildren(options: ChildPoolOptions): AttemptHost {
  // What a test wants to read in a log of its own is told by processes of its own.
  if (options.log !== silentLog) return createChildPool({ ...options, ...kept });
  const listeners = new Set<() => void>();
  let pool: SharedPool | undefined;

  function held(): SharedPool {
    if (!pool) throw new Error("these children have not been started, or have been given back");
    return pool;
  }

  return {
    async start() {
      pool = await take(options);
      pool.onFree = () => {
        for (const listener of listeners) listener();
      };
      return pool.reports;
    },
    get freeSlots() {
      return pool?.host.freeSlots ?? 0;
    },
    hasRoom: (owner, pending) => pool?.host.hasRoom(owner, pending) ?? false,
    want: (owner) => pool?.host.want(owner),
    onFree: (listener) => void listeners.add(listener),
    place(spec, hooks, where) {
      if (!pool) return undefined;
      const { attempts, host } = pool;
      const attempt = {};
      const over: typeof hooks.over = (end) => {
        attempts.delete(attempt);
        hooks.over(end);
      };
      const { journal, items, output, delivered } = hooks;
      const placed: PlacedAttempt | undefined = host.place(spec, { journal, items, output, delivered, over }, where);
      if (placed) attempts.add(attempt);
      return placed;
    },
    untilStart: (options) => pool?.host.untilStart(options),
    inspect: (storage, inspection) => held().host.inspect(storage, inspection),
    renewed: () => pool?.host.renewed(sharedLeaseMs),
    get pids() {
      return pool?.host.pids ?? [];
    },
    async stop() {
      const given = pool;
      pool = undefined;
      if (!given) return;
      given.onFree = () => undefined;
      if (given.attempts.size > 0) await given.host.stop();
      else idle.push(given);
    },
  };
}

/** As new: what the last server has killed is replaced by now, so that the next one's first run finds its slot. */
async function rested(pool: SharedPool, { children, slotsPerChild }: ChildPoolOptions): Promise<SharedPool> {
  while (pool.host.freeSlots < children * slotsPerChild) {
    await new Promise<void>((resolve) => {
      pool.onFree = resolve;
    });
  }
  pool.onFree = () => undefined;
  return pool;
}

async function take(options: ChildPoolOptions): Promise<SharedPool> {
  const settings = { ...options, leaseMs: sharedLeaseMs, ...kept };
  const kind = JSON.stringify({ ...settings, log: undefined });
  const found = idle.findIndex((pool) => pool.kind === kind);
  if (found >= 0) return rested(idle.splice(found, 1)[0]!, options);
  const host = createChildPool(settings);
  const reports = await host.start();
  const pool: SharedPool = { kind, host, reports, attempts: new Set(), onFree: () => undefined };
  host.onFree(() => pool.onFree());
  return pool;
}
