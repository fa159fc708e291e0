import { FencedError } from "../checkpoints/journal-port.ts";
import type { AttemptHooks, PlacedAttempt, StoragePort } from "./attempt-host.ts";
import { ChildAttempts } from "./child-attempts.ts";
import { type AskedInspection, ChildInspections } from "./child-inspections.ts";
import type { WrongMessage } from "./child-message.ts";
import {
  type ChildExit,
  type ChildProcessSettings,
  describeExit,
  type RunningChild,
  startChildProcess,
} from "./child-process.ts";
import { ChildPulse } from "./child-pulse.ts";
import type { StopTimes } from "./child-stops.ts";
import { errorReport } from "./error-report.ts";
import { type Kill, type KillCause, killReasons } from "./kill-cause.ts";
import { ProcessLostError } from "./process-lost-error.ts";
import type { AttemptSpec, ChildMessage, ChildRequest, GraphReport, GraphSpec, Inspection } from "./protocol.ts";

export interface ChildWorkerSettings extends ChildProcessSettings, StopTimes {
  /** 0: no limit. */
  readonly blockedLimitMs: number;
  readonly loadTimeoutMs: number;
  readonly inspectTimeoutMs: number;
  /** A process in which inspections have gone on for so long is of no use for runs. */
  readonly longInspectionMs: number;
  readonly leaseMs: number;
  /** Told of each kill that ends runs. */
  readonly onKill?: ((kill: Kill) => void) | undefined;
}

export interface ChildWorkerListener {
  /** The graphs are loaded. */
  readonly ready: () => void;
  /** It takes no further attempt, or again does; or an attempt or the last inspection is over. */
  readonly changed: () => void;
  /** The process and its group are gone; the outcomes of its attempts are on their way. */
  readonly gone: (exit: ChildExit) => void;
}

/** A process that has been idle for so many ticks is asked for a sign of life at every tenth. */
const wakefulTicks = 20;
const idlePingTicks = 10;
/** What a process that is to be given back still executes by then is handed back at its next step. */
const yieldMs = 2_000;

/**
 * One child process. It executes attempts, or serves inspections while it has none: a graph that hangs in an inspection takes nobody's run
 * with it. An attempt that is placed during an inspection begins after it, or elsewhere if that takes long.
 */
export class ChildWorker {
  readonly #settings: ChildWorkerSettings;
  readonly #listener: ChildWorkerListener;
  readonly #child: RunningChild;
  readonly #pulse = new ChildPulse();
  readonly #attempts: ChildAttempts;
  readonly #inspections: ChildInspections;
  #state: "starting" | "ready" | "killed" | "gone" = "starting";
  #killCause: KillCause | undefined;
  #loadTimer: NodeJS.Timeout | undefined;
  #wasReady = false;
  #asked = 0;
  /** Inspections that wait until its graphs are loaded. */
  #awaiting = 0;
  #usedAt = performance.now();
  #owner: string | undefined;
  #ownedSince = Number.POSITIVE_INFINITY;
  #yieldsSince: number | undefined;
  /** Ticks since it became idle. */
  #idleTicks = 0;
  /** What it told of its graphs; rejects with a {@link ProcessLostError} when it never was ready. */
  readonly loaded: Promise<readonly GraphReport[]>;
  readonly #loaded = Promise.withResolvers<readonly GraphReport[]>();
  /** Resolves when the process is gone and every outcome is reported. */
  readonly closed: Promise<void>;

  /** Undefined when the system has no process to give. */
  static start(settings: ChildWorkerSettings, listener: ChildWorkerListener): ChildWorker | undefined {
    const worker: { current?: ChildWorker } = {};
    const child = startChildProcess(settings, {
      message: (message) => {
        if (worker.current !== undefined) worker.current.#receive(message);
      },
      malformed: (message) => {
        if (worker.current !== undefined) worker.current.#malformed(message);
      },
      runIds: () => worker.current?.runIds ?? [],
    });
    if (child === undefined) return undefined;
    worker.current = new ChildWorker(settings, listener, child);
    return worker.current;
  }

  private constructor(settings: ChildWorkerSettings, listener: ChildWorkerListener, child: RunningChild) {
    this.#settings = settings;
    this.#listener = listener;
    this.#child = child;
    this.#attempts = new ChildAttempts({
      child,
      settings,
      pulse: this.#pulse,
      mayBegin: () => this.isReady && !this.inspecting,
      kill: (cause) => this.#kill(cause),
      changed: () => listener.changed(),
    });
    this.#inspections = new ChildInspections({
      timeoutMs: settings.inspectTimeoutMs,
      send: (message) => child.send(message),
      overdue: () => this.#kill("inspection"),
      ended: () => this.#inspected(),
    });
    this.loaded = this.#loaded.promise;
    // Who waits for it handles the failure; nobody has to.
    this.loaded.catch(() => {});
    this.closed = child.gone.then((exit) => this.#close(exit));
  }

  get pid(): number {
    return this.#child.pid;
  }

  get gone(): boolean {
    return this.#state === "gone";
  }

  /** Neither gone nor killed. */
  get alive(): boolean {
    return this.#state === "starting" || this.#state === "ready";
  }

  /** Its graphs are loaded. */
  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Attempts may be placed in it: it answers its pings, is not being cleared for a kill, not inspected for long and not to be given back. */
  get accepting(): boolean {
    return this.isReady && !this.#attempts.drainsNeighbours && !this.occupied && !this.yields;
  }

  /** Whose it is: whoever had the first attempt or inspection in it. No other owner ever has one. */
  get owner(): string | undefined {
    return this.#owner;
  }

  /** By the monotonic clock; later than anything as long as it is nobody's. */
  get ownedSince(): number {
    return this.#ownedSince;
  }

  /** Whether this owner may use it; from then on it is that one's. */
  mayBeOf(owner: string): boolean {
    return this.#owner === undefined || this.#owner === owner;
  }

  own(owner: string): void {
    if (!this.mayBeOf(owner)) throw new Error("a process of one owner was to be used for another");
    if (this.#owner === undefined) this.#ownedSince = performance.now();
    this.#owner = owner;
  }

  /** It takes nothing more, and is to end once it has nothing left: other owners wait for a process. */
  get yields(): boolean {
    return this.#yieldsSince !== undefined;
  }

  giveBack(): void {
    this.#yieldsSince ??= performance.now();
  }

  /** Why the server has killed it, if it has. */
  get killCause(): KillCause | undefined {
    return this.#killCause;
  }

  /** Attempts in it, to the end of each. */
  get load(): number {
    return this.#attempts.count;
  }

  get inspecting(): boolean {
    return this.#inspections.underWay;
  }

  /** It has neither attempts nor inspections, and no inspection waits for it. */
  get isIdle(): boolean {
    return this.load === 0 && !this.inspecting && this.#awaiting === 0;
  }

  /** For how long it has been idle since its last inspection. */
  get unusedMs(): number {
    return this.isIdle ? performance.now() - this.#usedAt : 0;
  }

  /** Its graphs were loaded once. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Attempts it was ever given. */
  get placed(): number {
    return this.#attempts.placed;
  }

  /** It has served an attempt or an inspection, or was to. */
  get wasUsed(): boolean {
    return this.#wasReady && this.placed + this.#asked > 0;
  }

  get runIds(): string[] {
    return this.#attempts.runIds;
  }

  /** It serves one attempt and ends with it. */
  set exclusive(exclusive: boolean) {
    this.#attempts.exclusive = exclusive;
  }

  /** Its event loop does not turn: it is of no use for the moment, however many slots it has. */
  get blocked(): boolean {
    return this.isReady && this.#blockedMs >= this.#settings.unresponsiveMs;
  }

  /** Blocked, or inspected for so long that runs should begin elsewhere. */
  get occupied(): boolean {
    return this.blocked || this.#inspections.lastedMs >= this.#settings.longInspectionMs;
  }

  /** Loads the graphs; attempts that were placed before start then. */
  loadGraphs(graphs: readonly GraphSpec[]): void {
    if (this.#state !== "starting" || this.#loadTimer !== undefined) return;
    this.#child.send({ type: "load", graphs });
    const { loadTimeoutMs } = this.#settings;
    const tooLate = `it was not loaded within ${loadTimeoutMs / 1000} s`;
    this.#loadTimer = setTimeout(() => this.#failLoading(tooLate), loadTimeoutMs);
  }

  /** Like {@link loaded}; meanwhile the process is not taken for idle. */
  async awaitLoaded(): Promise<void> {
    this.#awaiting += 1;
    try {
      await this.loaded;
    } finally {
      this.#awaiting -= 1;
      this.#usedAt = performance.now();
    }
  }

  place(spec: AttemptSpec, hooks: AttemptHooks): PlacedAttempt {
    return this.#attempts.place(spec, hooks);
  }

  /** Asks a graph in it. Only for a process without attempts. */
  inspect<I extends Inspection>(storage: StoragePort | undefined, inspection: I): AskedInspection<I> {
    if (!this.isReady) {
      const answer = Promise.reject(new ProcessLostError("the process has ended"));
      return { answer, stalled: new Promise(() => {}) };
    }
    this.#asked += 1;
    return this.#inspections.ask(storage, inspection);
  }

  renew(leaseMs: number): void {
    this.#attempts.renew(leaseMs);
  }

  /** Kills the process; what is still in it is displaced. */
  retire(): void {
    this.#kill("retired");
  }

  /** To be called every `pingIntervalMs`. */
  tick(): void {
    if (!this.isReady) return;
    this.#idleTicks = this.isIdle ? this.#idleTicks + 1 : 0;
    // Nobody waits for a process that has been idle for a while: it is enough to know in time that it does not hang.
    if (this.#idleTicks <= wakefulTicks || this.#idleTicks % idlePingTicks === 0 || this.#pulse.isUnanswered) {
      const sequence = this.#pulse.tick();
      if (sequence !== undefined) this.#child.send({ type: "ping", sequence });
    }
    this.#attempts.tick();
    if (this.blocked) this.#inspections.stall();
    if (this.occupied && this.inspecting) this.#attempts.drainWaiting();
    if (performance.now() - (this.#yieldsSince ?? Number.POSITIVE_INFINITY) >= yieldMs) this.#attempts.drainAll();
    const { unresponsiveMs, blockedLimitMs } = this.#settings;
    // In an idle process nobody's work is at stake: something that an earlier attempt left behind blocks it.
    const nothingAtStake = this.load === 0 && !this.inspecting;
    const limitMs = nothingAtStake ? unresponsiveMs : blockedLimitMs || Number.POSITIVE_INFINITY;
    if (this.#blockedMs >= limitMs) this.#kill("blocked");
  }

  get #blockedMs(): number {
    return this.#pulse.missedTicks * this.#settings.pingIntervalMs;
  }

  #receive(message: ChildMessage): void {
    switch (message.type) {
      case "loaded":
        this.#graphsLoaded(message.graphs);
        break;
      case "output":
        this.#attempts.output(message.of);
        break;
      case "request":
        void this.#answer(message);
        break;
      case "end":
        this.#attempts.end(message.attemptId, message.end);
        break;
      case "inspected":
        this.#inspections.inspected(message);
        break;
      case "fault":
        this.#attempts.faulted(message);
        break;
      case "pong":
        this.#ponged(message);
        break;
    }
  }

  #graphsLoaded(reports: readonly GraphReport[]): void {
    if (this.#state !== "starting") return;
    clearTimeout(this.#loadTimer);
    this.#state = "ready";
    this.#wasReady = true;
    this.#attempts.startWaiting();
    this.#loaded.resolve(reports);
    this.#listener.ready();
  }

  #failLoading(why: string): void {
    this.#loaded.reject(new ProcessLostError(why, true));
    this.#kill("load");
  }

  /** The last inspection is over. */
  #inspected(): void {
    this.#usedAt = performance.now();
    if (this.isReady) this.#attempts.startWaiting();
    this.#listener.changed();
  }

  /** Answers a call of the storage of an attempt or an inspection that is in this process; no other scope is served. */
  async #answer(request: ChildRequest): Promise<void> {
    const { requestId, scope } = request;
    try {
      const asking = this.#inspections.has(scope) ? this.#inspections : this.#attempts.get(scope);
      if (asking === undefined) throw new FencedError(`Nothing named ${scope} is under way in this process`);
      this.#child.send({ type: "reply", requestId, result: await asking.request(request) });
    } catch (error) {
      this.#child.send({ type: "reply", requestId, error: errorReport(error) });
    }
  }

  #ponged(message: Extract<ChildMessage, { type: "pong" }>): void {
    const wasAccepting = this.accepting;
    this.#pulse.pong(message.sequence);
    this.#attempts.ponged(message);
    if (!wasAccepting && this.accepting) this.#listener.changed();
  }

  #malformed(message: WrongMessage): void {
    const { scope, problem } = message;
    this.#attempts.malformed(message);
    if (scope !== undefined) this.#inspections.malformed(scope, problem);
    if (this.#state === "starting") this.#failLoading(`it sent ${problem}`);
  }

  #kill(cause: KillCause): void {
    if (this.#state === "killed" || this.#state === "gone") return;
    this.#state = "killed";
    this.#killCause = cause;
    clearTimeout(this.#loadTimer);
    this.#attempts.killed();
    if (cause !== "retired") {
      const { log, onKill } = this.#settings;
      const { runs } = this.#attempts;
      if (runs.length > 0) onKill?.({ cause, owner: this.#owner ?? "", runs });
      log.warn(
        { childPid: this.pid, runIds: this.runIds, cause },
        `The child process ${this.pid} is killed: ${killReasons[cause]}`,
      );
    }
    this.#child.kill();
    this.#listener.changed();
  }

  async #close(exit: ChildExit): Promise<void> {
    clearTimeout(this.#loadTimer);
    this.#state = "gone";
    const lost = new ProcessLostError(`the process ended (${describeExit(exit)})`, this.#killCause === "inspection");
    this.#loaded.reject(lost);
    const reported = this.#attempts.lost(exit, this.#killCause, this.#wasReady);
    this.#inspections.lost(lost);
    this.#listener.gone(exit);
    await reported;
  }
}
