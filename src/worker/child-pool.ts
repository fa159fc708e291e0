import type { Logger } from "pino";
import type { AttemptHost } from "./attempt-host.ts";
import { createStartBackoff } from "./child-backoff.ts";
import type { ChildExit } from "./child-process.ts";
import { createChildReaders } from "./child-readers.ts";
import { hasRoom } from "./child-shares.ts";
import { createChildWants } from "./child-wants.ts";
import { ChildWorker, type ChildWorkerSettings } from "./child-worker.ts";
import { createInspectGraphs } from "./inspect-graphs.ts";
import type { Kill } from "./kill-cause.ts";
import { loadGraphs } from "./load-graphs.ts";
import type { GraphReport, GraphSpec } from "./protocol.ts";

export interface ChildPoolOptions {
  /** The children's main module. */
  readonly entry: URL | string;
  readonly graphs: readonly GraphSpec[];
  /** Shared processes of one owner, at most. */
  readonly children: number;
  /** The same of all owners together, once there are several. Default: `children`. */
  readonly maxChildren?: number;
  /** Attempts in each shared process at a time. */
  readonly slotsPerChild: number;
  /** Exclusive processes at a time; default: as many as there are slots, each of which takes up one. */
  readonly exclusiveChildren?: number;
  /** The children's whole environment: nothing is inherited, so no credentials must be in it. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whom the children run as; the server's own user when absent. */
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly log: Logger;
  /** Told of each kill that ends runs. */
  readonly onKill?: (kill: Kill) => void;
  /** How long an attempt may take to stop before its process is killed. Default 2 s. */
  readonly graceMs?: number;
  /** Default 100 ms. */
  readonly pingIntervalMs?: number;
  /** While a stop is pending, a process that leaves its pings unanswered for so long is killed within the grace. Default 1 s. */
  readonly unresponsiveMs?: number;
  /** An event loop that is blocked for so long is killed without any stop. Default 60 s; 0: never. */
  readonly blockedLimitMs?: number;
  /** Default 60 s. */
  readonly loadTimeoutMs?: number;
  /** Default 10 s. */
  readonly inspectTimeoutMs?: number;
  /** How long inspections may keep runs from beginning in their process, before these begin elsewhere. Default 250 ms. */
  readonly longInspectionMs?: number;
  /** The lease of an attempt that is placed in an idle process. Default 10 s. */
  readonly leaseMs?: number;
  /** A shared process is replaced after so many attempts. Default 0: never. */
  readonly recycleAfter?: number;
  /**
   * How long without a run until only one process is left. Before the first run there is one as well. "never": all shared processes and
   * the spare are there from the start. Default 5 min.
   */
  readonly shrinkAfterMs?: number | "never";
  /** Keeps a process warm that takes the place of a lost one, or the next exclusive attempt. Default true. */
  readonly spare?: boolean;
}

/** `apart`: for the inspections of one graph; `trial`: it shows whether a graph can be loaded. */
type Role = "shared" | "exclusive" | "spare" | "apart" | "trial";

/** How long a kill waits for the neighbours to reach a step boundary. */
const neighbourDrainMs = 500;
/** How long a process for the inspections of one graph is kept without any. */
const apartKeptMs = 15_000;
/** How long an owner's process is kept without anything to do, where there are several owners. */
const ownedKeptMs = 60_000;

/**
 * The pool of child processes. While nothing executes there is one, which answers what is asked of graphs. With the first run come a warm
 * spare and, whenever all are busy, one more shared process; exclusive ones are started on demand. When nothing has executed for a
 * while, one is left again. Inspections go where no run executes, first to the spare.
 */
export function createChildPool(options: ChildPoolOptions): AttemptHost {
  const { log, children, slotsPerChild, exclusiveChildren = children * slotsPerChild, recycleAfter = 0 } = options;
  const keepsSpare = options.spare ?? true;
  const maxChildren = Math.max(children, options.maxChildren ?? children);
  const settings: ChildWorkerSettings = {
    entry: options.entry,
    env: options.env,
    cwd: options.cwd,
    user: options.user,
    log,
    onKill: options.onKill,
    graceMs: options.graceMs ?? 2_000,
    pingIntervalMs: options.pingIntervalMs ?? 100,
    unresponsiveMs: options.unresponsiveMs ?? 1_000,
    blockedLimitMs: options.blockedLimitMs ?? 60_000,
    neighbourDrainMs,
    loadTimeoutMs: options.loadTimeoutMs ?? 60_000,
    inspectTimeoutMs: options.inspectTimeoutMs ?? 10_000,
    longInspectionMs: options.longInspectionMs ?? 250,
    leaseMs: options.leaseMs ?? 10_000,
  };
  const workers = new Map<ChildWorker, Role>();
  const listeners = new Set<() => void>();
  const backoff = createStartBackoff({ log, leaseMs: settings.leaseMs, retry: () => maintain() });
  let reports: readonly GraphReport[] = [];
  /** Absent until it is known which graphs can be loaded. */
  let usableGraphs: readonly GraphSpec[] | undefined;
  let pulse: NodeJS.Timeout | undefined;
  let firstStarted = false;
  /** Resolves when a process may start for those that wait for it. */
  let startable: PromiseWithResolvers<void> | undefined;
  let stopped = false;
  const { shrinkAfterMs = 300_000 } = options;
  /** Until then there are more processes than one. */
  let grownUntil = shrinkAfterMs === "never" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  let wasGrown = false;
  const wants = createChildWants({
    children,
    maxChildren,
    shared: () => workersOf("shared"),
    freeIn,
    start() {
      const spare = workersOf("spare").find((worker) => worker.isIdle && worker.isReady && worker.owner === undefined);
      if (spare === undefined) return mayStart() && spawn("shared") !== undefined;
      workers.set(spare, "shared");
      // Whoever waits is told in a turn of its own: this may be the very call that has asked.
      setImmediate(free);
      return true;
    },
  });
  const readers = createChildReaders({
    workersOf,
    isSpare: (worker) => workers.get(worker) === "spare",
    isDivided,
    // One that is apart is asked for while another hangs, and must not wait until that has started.
    start: (role) => ((role === "apart" ? backoff.mayStart : mayStart()) ? spawn(role) : undefined),
    graphsNamed: (graph) => (usableGraphs ?? []).filter(({ name }) => name === graph),
  });
  const inspect = createInspectGraphs({
    ...readers,
    untilStart: () => untilTurn(readers.isFull()),
    problemOf: (graph) => reports.find(({ name }) => name === graph)?.problem,
    isStopped: () => stopped,
  });

  /** Live processes of a role, without those that are to be replaced. */
  function workersOf(role: Role): ChildWorker[] {
    return [...workers]
      .filter(([worker, its]) => its === role && worker.alive && !isRecyclable(worker))
      .map(([worker]) => worker);
  }

  function isRecyclable(worker: ChildWorker): boolean {
    return recycleAfter > 0 && worker.placed >= recycleAfter && workers.get(worker) === "shared";
  }

  function spawn(role: Role): ChildWorker | undefined {
    if (stopped) return undefined;
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
    if (usableGraphs !== undefined && (role === "shared" || role === "spare" || role === "exclusive")) {
      worker.loadGraphs(usableGraphs);
    }
    return worker;
  }

  function left(worker: ChildWorker, exit: ChildExit): void {
    const { pid, killCause } = worker;
    if (killCause === undefined) log.warn({ childPid: pid, ...exit }, `The child process ${pid} has ended by itself`);
    if (killCause === "lease" || exit.leaseOver) backoff.lapsed();
    // Until the graphs have been tried, one of them may be the reason.
    else if (!stopped && usableGraphs !== undefined && !worker.wasUsed && killCause !== "retired") backoff.failed(exit);
    void worker.closed.then(() => workers.delete(worker));
    maintain();
    // An exclusive process has taken up a slot until now.
    free();
  }

  function grow(): void {
    if (shrinkAfterMs !== "never") grownUntil = performance.now() + shrinkAfterMs;
  }

  function isGrown(): boolean {
    return performance.now() < grownUntil;
  }

  /** Several owners have processes, or wait for one. */
  function isDivided(): boolean {
    const owners = new Set(wants.owners);
    for (const worker of workers.keys()) if (worker.alive && worker.owner !== undefined) owners.add(worker.owner);
    return owners.size > 1;
  }

  /** How many shared processes there should be, given those that are of use. */
  function wanted(useful: readonly ChildWorker[]): number {
    if (isDivided()) return useful.length;
    if (shrinkAfterMs === "never") return children;
    if (!isGrown()) return 1;
    const busy = useful.filter(({ load, inspecting }) => load > 0 || inspecting).length;
    return Math.min(children, Math.max(useful.length, busy + 1));
  }

  /**
   * Keeps the pool at its size: a lost process is replaced by the spare, and the spare by a new one. So is one that a run
   * blocks or that is inspected for long, as long as that lasts, up to twice the size: a run that computes must not keep others from starting.
   */
  function maintain(): void {
    if (stopped || pulse === undefined) return;
    for (const [worker] of workers) if (isRecyclable(worker) && worker.isIdle) worker.retire();
    const shared = workersOf("shared");
    const useful = shared.filter(({ occupied }) => !occupied);
    const size = wanted(useful);
    for (const worker of useful.slice(size)) if (worker.isIdle) worker.retire();
    const room = 2 * children - shared.length;
    for (let missing = Math.min(size - useful.length, room); missing > 0; missing -= 1) {
      const spare = workersOf("spare").find(({ occupied }) => !occupied);
      if (spare !== undefined) workers.set(spare, "shared");
      else if (!mayStart() || spawn("shared") === undefined) return;
    }
    wants.serve();
    const spares = workersOf("spare").filter(({ blocked }) => !blocked);
    const isLong = (worker: ChildWorker) => !isDivided() || worker.unusedMs >= apartKeptMs;
    for (const worker of spares.slice(isGrown() ? 1 : 0)) if (worker.isIdle && isLong(worker)) worker.retire();
    // The spare waits until those that are needed first have started.
    if (keepsSpare && isGrown() && firstStarted && spares.length === 0 && mayStart()) spawn("spare");
  }

  /** Few start at a time: whatever ended many processes at once, their starts must not keep the others from working. */
  function mayStart(): boolean {
    if (!backoff.mayStart) return false;
    if (!firstStarted) return true;
    const starting = [...workersOf("shared"), ...workersOf("spare"), ...workersOf("exclusive")].filter(
      ({ wasReady }) => !wasReady,
    );
    // Where there are several owners, most starts are awaited by somebody.
    return starting.length < Math.max(isDivided() ? 2 : 1, Math.floor(children / 4));
  }

  function untilStart({ exclusive = false } = {}): Promise<void> | undefined {
    // Another owner's may take up all: a run that was claimed goes nowhere, since it would only be claimed again at once.
    return untilTurn(exclusive && exclusivesInUse() >= exclusiveChildren);
  }

  function untilTurn(isFull: boolean): Promise<void> | undefined {
    if (stopped || (mayStart() && !isFull)) return undefined;
    startable ??= Promise.withResolvers();
    return startable.promise;
  }

  /** Those that wait ask again, in the order in which they came: one after the other may start. */
  function tellWhoWaits(): void {
    if (!startable || !(stopped || mayStart())) return;
    startable.resolve();
    startable = undefined;
  }

  function free(): void {
    tellWhoWaits();
    if (!stopped) for (const listener of listeners) listener();
  }

  function freeIn(worker: ChildWorker): number {
    return worker.accepting ? Math.max(0, slotsPerChild - worker.load) : 0;
  }

  function leastLoaded(hasRoom: (worker: ChildWorker) => boolean): ChildWorker | undefined {
    return workersOf("shared")
      .filter(hasRoom)
      .sort((a, b) => Number(a.inspecting) - Number(b.inspecting) || a.load - b.load)
      .at(0);
  }

  function exclusivesInUse(owner?: string): number {
    const isIts = (worker: ChildWorker) => owner === undefined || worker.owner === owner;
    return [...workers].filter(([worker, role]) => role === "exclusive" && !worker.gone && isIts(worker)).length;
  }

  /** Once there are several owners, its own before one that is nobody's. */
  function shared(owner: string, extra: boolean): ChildWorker | undefined {
    const find = (isFit: (worker: ChildWorker) => boolean) =>
      (isDivided() ? leastLoaded((worker) => worker.owner === owner && isFit(worker)) : undefined) ??
      leastLoaded((worker) => worker.mayBeOf(owner) && isFit(worker));
    const free = find((worker) => freeIn(worker) > 0);
    return free ?? (extra ? find((worker) => worker.accepting) : undefined);
  }

  function exclusive(owner: string, extra: boolean): ChildWorker | undefined {
    if (exclusivesInUse() >= exclusiveChildren && !extra) return undefined;
    const spare = workersOf("spare").find((worker) => worker.isIdle && !worker.blocked && worker.mayBeOf(owner));
    const worker = spare ?? (mayStart() ? spawn("exclusive") : undefined);
    if (worker === undefined) return undefined;
    workers.set(worker, "exclusive");
    worker.exclusive = true;
    return worker;
  }

  function beat(): void {
    tellWhoWaits();
    for (const [worker, role] of workers) {
      worker.tick();
      if (role === "apart" && worker.unusedMs >= apartKeptMs) worker.retire();
      if (worker.yields && worker.isIdle) worker.retire();
      if (role === "shared" && worker.owner !== undefined && worker.unusedMs >= ownedKeptMs && isDivided())
        worker.retire();
    }
    const busy = [...workers.keys()].some(({ alive, load, occupied }) => alive && (load > 0 || occupied));
    if (busy) grow();
    const changes = wasGrown !== isGrown();
    wasGrown = isGrown();
    if (changes || wants.owners.length > 0 || workersOf("shared").some(({ occupied }) => occupied)) maintain();
  }

  return {
    async start() {
      pulse = setInterval(beat, settings.pingIntervalMs);
      // Others start up while the first one loads, and load what it has found to be in order.
      maintain();
      const first = workersOf("shared").at(0);
      const startTrial = () => spawn("trial");
      reports = await loadGraphs({ graphs: options.graphs, first, startTrial, isStopped: () => stopped, log });
      const broken = new Set(reports.filter(({ problem }) => problem !== undefined).map(({ name }) => name));
      usableGraphs = options.graphs.filter(({ name }) => !broken.has(name));
      for (const worker of workers.keys()) worker.loadGraphs(usableGraphs);
      await Promise.allSettled([...workers.keys()].map(({ loaded }) => loaded));
      firstStarted = true;
      maintain();
      return reports;
    },

    get freeSlots() {
      if (stopped) return 0;
      const free = workersOf("shared").reduce((sum, worker) => sum + freeIn(worker), 0);
      return Math.max(0, free - exclusivesInUse());
    },

    onFree(listener) {
      listeners.add(listener);
    },

    hasRoom(owner, pending) {
      if (stopped) return false;
      const all = workersOf("shared").map((worker) => ({ owner: worker.owner, free: freeIn(worker) }));
      const mine = all.filter((worker) => worker.owner === owner);
      // What is nobody's is kept for those who have nothing, or whose processes are fewer than they may be.
      const mayTake = !isDivided() || mine.length === 0 || (mine.length < children && !wants.someHasNone(owner));
      return hasRoom(mayTake ? all : mine, owner, pending, slotsPerChild, exclusivesInUse(owner));
    },

    want(owner) {
      wants.add(owner);
      maintain();
    },

    place(spec, hooks, { owner = "", exclusive: isExclusive, extra = false }) {
      if (stopped || usableGraphs === undefined) return undefined;
      grow();
      const worker = isExclusive ? exclusive(owner, extra) : shared(owner, extra);
      worker?.own(owner);
      const placed = worker?.place(spec, hooks);
      if (placed) wants.delete(owner);
      maintain();
      return placed;
    },

    untilStart,
    inspect,

    renewed(ms) {
      for (const worker of workers.keys()) worker.renew(ms);
    },

    get pids() {
      return [...workers.keys()].filter(({ gone }) => !gone).map(({ pid }) => pid);
    },

    async stop() {
      stopped = true;
      clearInterval(pulse);
      backoff.stop();
      tellWhoWaits();
      for (const worker of workers.keys()) worker.retire();
      await Promise.all([...workers.keys()].map(({ closed }) => closed));
    },
  };
}
