import type { Logger } from "pino";
import type { AttemptHost } from "./attempt-host.ts";
import { createStartBackoff } from "./child-backoff.ts";
import type { ChildExit } from "./child-process.ts";
import { ChildWorker, type ChildWorkerSettings } from "./child-worker.ts";
import { createInspector } from "./inspector.ts";
import type { GraphSpec } from "./protocol.ts";

export interface ChildPoolOptions {
  /** The children's main module. */
  readonly entry: URL | string;
  readonly graphs: readonly GraphSpec[];
  /** Shared processes. */
  readonly children: number;
  /** Attempts in each shared process at a time. */
  readonly slotsPerChild: number;
  /** Exclusive processes at a time; default: as many as there are slots, each of which takes up one. */
  readonly exclusiveChildren?: number;
  /** The children's whole environment: nothing is inherited, so no credentials must be in it. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whom the children run as; the server's own user when absent. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Node's flags for the children, for example a memory limit. */
  readonly execArgv?: readonly string[];
  readonly log: Logger;
  /** How long an attempt may take to stop before its process is killed. Default 2 s. */
  readonly graceMs?: number;
  /** Default 100 ms. */
  readonly pingIntervalMs?: number;
  /** While a stop is pending, a process that leaves its pings unanswered for so long is killed within the grace. Default 1 s. */
  readonly unresponsiveMs?: number;
  /** An event loop that is blocked for so long is killed without any stop. Default 60 s; 0: never. */
  readonly blockedLimitMs?: number;
  /** How long a kill waits for the neighbours to reach a step boundary. Default 500 ms. */
  readonly neighbourDrainMs?: number;
  /** Default 60 s. */
  readonly loadTimeoutMs?: number;
  /** Default 10 s. */
  readonly inspectTimeoutMs?: number;
  /** The lease of an attempt that is placed in an idle process. Default 10 s. */
  readonly leaseMs?: number;
  /** A shared process is replaced after so many attempts. Default 0: never. */
  readonly recycleAfter?: number;
  /** Keeps a process warm that takes the place of a lost one, or the next exclusive attempt. Default true. */
  readonly spare?: boolean;
}

type Role = "shared" | "exclusive" | "spare";

/** The pool of child processes: a number of shared ones, exclusive ones on demand, a warm spare and the inspector. */
export function createChildPool(options: ChildPoolOptions): AttemptHost {
  const { log, children, slotsPerChild, exclusiveChildren = children * slotsPerChild, recycleAfter = 0 } = options;
  const keepsSpare = options.spare ?? true;
  const settings: ChildWorkerSettings = {
    entry: options.entry,
    env: options.env,
    cwd: options.cwd,
    user: options.user,
    execArgv: options.execArgv ?? [],
    log,
    graceMs: options.graceMs ?? 2_000,
    pingIntervalMs: options.pingIntervalMs ?? 100,
    unresponsiveMs: options.unresponsiveMs ?? 1_000,
    blockedLimitMs: options.blockedLimitMs ?? 60_000,
    neighbourDrainMs: options.neighbourDrainMs ?? 500,
    loadTimeoutMs: options.loadTimeoutMs ?? 60_000,
    leaseMs: options.leaseMs ?? 10_000,
  };
  const inspector = createInspector({ ...settings, inspectTimeoutMs: options.inspectTimeoutMs ?? 10_000 });
  const workers = new Map<ChildWorker, Role>();
  const listeners = new Set<() => void>();
  const backoff = createStartBackoff({ log, leaseMs: settings.leaseMs, retry: () => maintain() });
  /** Absent until the inspector knows which graphs can be loaded. */
  let usableGraphs: readonly GraphSpec[] | undefined;
  let pulse: NodeJS.Timeout | undefined;
  let firstStarted = false;
  let stopped = false;

  /** Live processes of a role, without those that are to be replaced. */
  function staff(role: Role): ChildWorker[] {
    return [...workers]
      .filter(([worker, its]) => its === role && worker.alive && !worn(worker))
      .map(([worker]) => worker);
  }

  function worn(worker: ChildWorker): boolean {
    return recycleAfter > 0 && worker.placed >= recycleAfter && workers.get(worker) === "shared";
  }

  function spawn(role: Role): ChildWorker | undefined {
    const worker = ChildWorker.start(settings, {
      ready: () => {
        log.debug({ childPid: worker?.pid }, `The child process ${worker?.pid} is ready`);
        maintain();
        free();
      },
      changed: () => {
        maintain();
        free();
      },
      gone: (exit) => {
        if (worker !== undefined) left(worker, exit);
      },
    });
    if (worker === undefined) {
      backoff.failed(undefined);
      return undefined;
    }
    workers.set(worker, role);
    if (usableGraphs !== undefined) worker.loadGraphs(usableGraphs);
    return worker;
  }

  function left(worker: ChildWorker, exit: ChildExit): void {
    const { pid, killCause } = worker;
    if (killCause === undefined) log.warn({ childPid: pid, ...exit }, `The child process ${pid} has ended by itself`);
    const wasOfUse = worker.wasReady && worker.placed > 0;
    if (killCause === "lease" || exit.leaseOver) backoff.lapsed();
    else if (!stopped && !wasOfUse && killCause !== "retired") backoff.failed(exit);
    void worker.closed.then(() => workers.delete(worker));
    maintain();
  }

  /**
   * Keeps the pool at its size: a lost process is replaced by the spare, and the spare by a new one. So is one that a run
   * blocks, as long as it does, up to twice the size: a run that computes must not keep others from starting.
   */
  function maintain(): void {
    if (stopped || pulse === undefined) return;
    for (const [worker] of workers) if (worn(worker) && worker.load === 0) worker.retire();
    const shared = staff("shared");
    const useful = shared.filter((worker) => !worker.blocked);
    for (const idle of useful.slice(children).filter((worker) => worker.load === 0)) idle.retire();
    const room = 2 * children - shared.length;
    for (let missing = Math.min(children - useful.length, room); missing > 0; missing -= 1) {
      const spare = staff("spare").at(0);
      if (spare !== undefined) workers.set(spare, "shared");
      else if (!mayStart() || spawn("shared") === undefined) return;
    }
    // The spare waits until those that are needed first have started.
    if (keepsSpare && firstStarted && staff("spare").length === 0 && mayStart()) spawn("spare");
  }

  /** Few start at a time: whatever ended many processes at once, their starts must not keep the others from working. */
  function mayStart(): boolean {
    if (!backoff.mayStart) return false;
    if (!firstStarted) return true;
    const starting = [...workers].filter(([{ alive, wasReady }, role]) => alive && !wasReady && role !== "exclusive");
    return starting.length < Math.max(1, Math.floor(children / 4));
  }

  function free(): void {
    if (!stopped) for (const listener of listeners) listener();
  }

  function freeIn(worker: ChildWorker): number {
    return worker.accepting ? Math.max(0, slotsPerChild - worker.load) : 0;
  }

  function leastLoaded(hasRoom: (worker: ChildWorker) => boolean): ChildWorker | undefined {
    return staff("shared")
      .filter(hasRoom)
      .sort((a, b) => a.load - b.load)
      .at(0);
  }

  function exclusivesInUse(): number {
    return [...workers].filter(([worker, role]) => role === "exclusive" && !worker.gone).length;
  }

  function shared(extra: boolean): ChildWorker | undefined {
    const free = leastLoaded((worker) => freeIn(worker) > 0);
    return free ?? (extra ? leastLoaded((worker) => worker.accepting) : undefined);
  }

  function exclusive(extra: boolean): ChildWorker | undefined {
    if (exclusivesInUse() >= exclusiveChildren && !extra) return undefined;
    const worker = staff("spare").at(0) ?? spawn("exclusive");
    if (worker === undefined) return undefined;
    workers.set(worker, "exclusive");
    worker.exclusive = true;
    return worker;
  }

  return {
    async start() {
      pulse = setInterval(() => {
        for (const worker of workers.keys()) worker.tick();
        if (staff("shared").some(({ blocked }) => blocked)) maintain();
      }, settings.pingIntervalMs);
      // They start up while the inspector loads, and load what it has found to be in order.
      maintain();
      const reports = await inspector.load(options.graphs);
      const broken = new Set(reports.filter(({ problem }) => problem !== undefined).map(({ name }) => name));
      usableGraphs = options.graphs.filter(({ name }) => !broken.has(name));
      for (const worker of workers.keys()) worker.loadGraphs(usableGraphs);
      await Promise.all([...workers.keys()].map(({ started }) => started));
      firstStarted = true;
      maintain();
      return reports;
    },

    get freeSlots() {
      if (stopped) return 0;
      const free = staff("shared").reduce((sum, worker) => sum + freeIn(worker), 0);
      return Math.max(0, free - exclusivesInUse());
    },

    onFree(listener) {
      listeners.add(listener);
    },

    place(spec, hooks, { exclusive: own, extra = false }) {
      if (stopped || usableGraphs === undefined) return undefined;
      const placed = (own ? exclusive(extra) : shared(extra))?.place(spec, hooks);
      maintain();
      return placed;
    },

    inspect: (storage, inspection) => inspector.inspect(storage, inspection),

    renewed(ms) {
      for (const worker of workers.keys()) worker.renew(ms);
    },

    get pids() {
      return [...[...workers.keys()].filter(({ gone }) => !gone).map(({ pid }) => pid), ...inspector.pids];
    },

    async stop() {
      stopped = true;
      clearInterval(pulse);
      backoff.stop();
      for (const worker of workers.keys()) worker.retire();
      await Promise.all([inspector.stop(), ...[...workers.keys()].map(({ closed }) => closed)]);
    },
  };
}
