import type { Logger } from "pino";
import type { AttemptHost } from "./attempt-host.ts";
import { createStartBackoff } from "./child-backoff.ts";
import type { ChildExit } from "./child-process.ts";
import { ChildWorker, type ChildWorkerSettings } from "./child-worker.ts";
import { createInspectGraphs } from "./inspect-graphs.ts";
import { loadGraphs } from "./load-graphs.ts";
import type { GraphReport, GraphSpec } from "./protocol.ts";

export interface ChildPoolOptions {
  /** The children's main module. */
  readonly entry: URL | string;
  readonly graphs: readonly GraphSpec[];
  /** Shared processes, at most. */
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
  readonly log: Logger;
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
/** Processes beside the shared and exclusive ones, at most. */
const maxReaders = 10;
/** How long a process for the inspections of one graph is kept without any. */
const apartKeptMs = 15_000;

/**
 * The pool of child processes. While nothing executes there is one, which answers what is asked of graphs. With the first run come a warm
 * spare and, whenever all are busy, one more shared process; exclusive ones are started on demand. When nothing has executed for a
 * while, one is left again. Inspections go where no run executes, first to the spare.
 */
export function createChildPool(options: ChildPoolOptions): AttemptHost {
  const { log, children, slotsPerChild, exclusiveChildren = children * slotsPerChild, recycleAfter = 0 } = options;
  const keepsSpare = options.spare ?? true;
  const settings: ChildWorkerSettings = {
    entry: options.entry,
    env: options.env,
    cwd: options.cwd,
    user: options.user,
    log,
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
  const inspect = createInspectGraphs({
    idleChild,
    startApart,
    untilStart,
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
  }

  function grow(): void {
    if (shrinkAfterMs !== "never") grownUntil = performance.now() + shrinkAfterMs;
  }

  function isGrown(): boolean {
    return performance.now() < grownUntil;
  }

  /** How many shared processes there should be, given those that are of use. */
  function wanted(useful: readonly ChildWorker[]): number {
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
    const spares = workersOf("spare").filter(({ blocked }) => !blocked);
    for (const worker of spares.slice(isGrown() ? 1 : 0)) if (worker.isIdle) worker.retire();
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
    return starting.length < Math.max(1, Math.floor(children / 4));
  }

  function untilStart(): Promise<void> | undefined {
    if (stopped || mayStart()) return undefined;
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

  function exclusivesInUse(): number {
    return [...workers].filter(([worker, role]) => role === "exclusive" && !worker.gone).length;
  }

  function shared(extra: boolean): ChildWorker | undefined {
    const free = leastLoaded((worker) => freeIn(worker) > 0);
    return free ?? (extra ? leastLoaded((worker) => worker.accepting) : undefined);
  }

  function exclusive(extra: boolean): ChildWorker | undefined {
    if (exclusivesInUse() >= exclusiveChildren && !extra) return undefined;
    const spare = workersOf("spare").find(({ isIdle, blocked }) => isIdle && !blocked);
    const worker = spare ?? (mayStart() ? spawn("exclusive") : undefined);
    if (worker === undefined) return undefined;
    workers.set(worker, "exclusive");
    worker.exclusive = true;
    return worker;
  }

  /** For inspections: the spare, or a shared process that executes nothing; one is started if there is none. */
  function idleChild(): ChildWorker | undefined {
    const idle = [...workersOf("spare"), ...workersOf("shared")].filter(({ load, blocked }) => load === 0 && !blocked);
    const ready = idle.filter(({ isReady }) => isReady);
    const spare = ready.find((worker) => workers.get(worker) === "spare");
    return spare ?? ready.find(({ inspecting }) => inspecting) ?? ready.at(0) ?? idle.at(0) ?? startReader("spare");
  }

  function startApart(graph: string): ChildWorker | undefined {
    const worker = startReader("apart");
    worker?.loadGraphs((usableGraphs ?? []).filter(({ name }) => name === graph));
    return worker;
  }

  function startReader(role: "spare" | "apart"): ChildWorker | undefined {
    if (workersOf("spare").length + workersOf("apart").length >= maxReaders) return undefined;
    // One that is apart is asked for while another hangs, and must not wait until that has started.
    return (role === "apart" ? backoff.mayStart : mayStart()) ? spawn(role) : undefined;
  }

  function beat(): void {
    tellWhoWaits();
    for (const [worker, role] of workers) {
      worker.tick();
      if (role === "apart" && worker.unusedMs >= apartKeptMs) worker.retire();
    }
    const busy = [...workers.keys()].some(({ alive, load, occupied }) => alive && (load > 0 || occupied));
    if (busy) grow();
    const changes = wasGrown !== isGrown();
    wasGrown = isGrown();
    if (changes || workersOf("shared").some(({ occupied }) => occupied)) maintain();
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

    place(spec, hooks, { exclusive: own, extra = false }) {
      if (stopped || usableGraphs === undefined) return undefined;
      grow();
      const placed = (own ? exclusive(extra) : shared(extra))?.place(spec, hooks);
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
