import { FencedError } from "../checkpoints/journal-port.ts";
import type { AttemptHooks, AttemptOver, PlacedAttempt } from "./attempt-host.ts";
import { ChildAttempt } from "./child-attempt.ts";
import { crashOutcome, type Fault } from "./child-crash.ts";
import { errorReport } from "./child-error-report.ts";
import type { WrongMessage } from "./child-message.ts";
import { type ChildExit, type ChildProcessSettings, type RunningChild, startChildProcess } from "./child-process.ts";
import { ChildPulse } from "./child-pulse.ts";
import { ChildStops, type StopTimes } from "./child-stops.ts";
import type { AttemptEnd, AttemptSpec, ChildMessage, ChildRequest, GraphSpec } from "./protocol.ts";

export interface ChildWorkerSettings extends ChildProcessSettings, StopTimes {
  /** 0: no limit. */
  readonly blockedLimitMs: number;
  readonly loadTimeoutMs: number;
  readonly leaseMs: number;
}

export interface ChildWorkerListener {
  /** The graphs are loaded. */
  readonly ready: () => void;
  /** It takes no further attempt, or again does; or an attempt is over. */
  readonly changed: () => void;
  /** The process and its group are gone; the outcomes of its attempts are on their way. */
  readonly gone: (exit: ChildExit) => void;
}

/** Why the server has killed the process. */
export type KillCause =
  | "stop" // for an attempt's sake
  | "lease" // an attempt in it has lost its lease
  | "blocked" // its event loop did not turn for too long
  | "load" // its graphs took too long to load
  | "retired"; // nobody needs it any more, or the pool ends

/** One child process that executes attempts, and the rules by which they are stopped. */
export class ChildWorker {
  readonly #settings: ChildWorkerSettings;
  readonly #listener: ChildWorkerListener;
  readonly #child: RunningChild;
  readonly #attempts = new Map<string, ChildAttempt>();
  readonly #pulse = new ChildPulse();
  readonly #stops: ChildStops;
  #running: Readonly<Record<string, number>> = {};
  #state: "starting" | "ready" | "killed" | "gone" = "starting";
  #killCause: KillCause | undefined;
  #loadTimer: NodeJS.Timeout | undefined;
  #lastFault: Fault | undefined;
  #placed = 0;
  #wasReady = false;
  /** It serves one attempt and ends with it. */
  exclusive = false;
  /** Resolves when it is ready, or gone without ever having been. */
  readonly started: Promise<void>;
  readonly #started = Promise.withResolvers<void>();
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
    this.#stops = new ChildStops(settings, {
      pulse: this.#pulse,
      live: () => this.#live(),
      functionsOf: ({ spec }) => this.#running[spec.attemptId] ?? 0,
      send: (message, sent) => child.send(message, sent),
      endedUnstarted: (attempt, kind) => this.#ended(attempt, { kind }),
      kill: () => this.#kill("stop"),
      changed: () => listener.changed(),
    });
    this.started = this.#started.promise;
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

  /** Its graphs are loaded, it answers its pings and it is not being cleared for a kill. */
  get accepting(): boolean {
    return this.#state === "ready" && !this.#stops.clearing && this.#blockedMs < this.#settings.unresponsiveMs;
  }

  /** Why the server has killed it, if it has. */
  get killCause(): KillCause | undefined {
    return this.#killCause;
  }

  /** Attempts in it, to the end of each. */
  get load(): number {
    return this.#attempts.size;
  }

  /** Its graphs were loaded once. */
  get wasReady(): boolean {
    return this.#wasReady;
  }

  /** Attempts it was ever given. */
  get placed(): number {
    return this.#placed;
  }

  get runIds(): string[] {
    return [...this.#attempts.values()].map((attempt) => attempt.spec.runId);
  }

  /** Loads the graphs; attempts that were placed before start then. */
  loadGraphs(graphs: readonly GraphSpec[]): void {
    if (this.#state !== "starting") return;
    this.#child.send({ type: "load", graphs });
    this.#loadTimer = setTimeout(() => this.#kill("load"), this.#settings.loadTimeoutMs);
  }

  place(spec: AttemptSpec, hooks: AttemptHooks): PlacedAttempt {
    const attempt: ChildAttempt = new ChildAttempt({
      spec,
      hooks,
      log: this.#settings.log,
      stored: (count) => this.#child.send({ type: "stored", attemptId: spec.attemptId, count }),
      failed: () => this.#stops.stop(attempt, "interrupt", "its output could not be stored"),
    });
    // Claimed just now, so that its lease is a fresh one.
    if (this.#live().length === 0) this.#child.renew(this.#settings.leaseMs);
    this.#attempts.set(spec.attemptId, attempt);
    this.#placed += 1;
    if (this.#state === "ready") this.#start(attempt);
    return {
      pid: this.pid,
      stop: (action, reason) => this.#stops.stop(attempt, action, reason),
      drain: () => this.#stops.drain(attempt),
      kill: () => {
        if (attempt.done) return;
        attempt.stopping ??= "interrupt";
        this.#kill("lease");
      },
    };
  }

  /** An idle process has no lease that could end: it lives on when renewals fail. */
  renew(leaseMs: number): void {
    if (this.#live().length > 0) this.#child.renew(leaseMs);
  }

  /** Kills the process; what is still in it is displaced. */
  retire(): void {
    this.#kill("retired");
  }

  /** To be called every `pingIntervalMs`. */
  tick(): void {
    if (this.#state !== "ready") return;
    const sequence = this.#pulse.tick();
    if (sequence !== undefined) this.#child.send({ type: "ping", sequence });
    this.#stops.tick();
    const { unresponsiveMs, blockedLimitMs } = this.#settings;
    // In an idle process nobody's work is at stake: something that an earlier attempt left behind blocks it.
    const limitMs = this.load === 0 ? unresponsiveMs : blockedLimitMs || Number.POSITIVE_INFINITY;
    if (this.#blockedMs >= limitMs) this.#kill("blocked");
  }

  /** Its event loop does not turn: it is of no use for the moment, however many slots it has. */
  get blocked(): boolean {
    return this.#state === "ready" && this.#blockedMs >= this.#settings.unresponsiveMs;
  }

  get #blockedMs(): number {
    return this.#pulse.missedTicks * this.#settings.pingIntervalMs;
  }

  #start(attempt: ChildAttempt): void {
    attempt.started = true;
    this.#child.send({ type: "start", attempt: attempt.spec });
  }

  #receive(message: ChildMessage): void {
    switch (message.type) {
      case "loaded":
        this.#loaded();
        break;
      case "output":
        for (const { attemptId, events } of message.of) this.#attempts.get(attemptId)?.output(events);
        break;
      case "request":
        void this.#answer(message);
        break;
      case "end":
        this.#ended(this.#attempts.get(message.attemptId), message.end);
        break;
      case "fault":
        this.#faulted(message);
        break;
      case "pong":
        this.#ponged(message);
        break;
    }
  }

  #loaded(): void {
    if (this.#state !== "starting") return;
    clearTimeout(this.#loadTimer);
    this.#state = "ready";
    this.#wasReady = true;
    for (const attempt of this.#attempts.values()) if (!attempt.done) this.#start(attempt);
    this.#started.resolve();
    this.#listener.ready();
  }

  /** Answers a call of the storage of an attempt that is in this process; no other scope is served. */
  async #answer(request: ChildRequest): Promise<void> {
    const { requestId, scope } = request;
    try {
      const attempt = this.#attempts.get(scope);
      if (attempt === undefined) throw new FencedError(`No attempt ${scope} is under way in this process`);
      this.#child.send({ type: "reply", requestId, result: await attempt.request(request) });
    } catch (error) {
      this.#child.send({ type: "reply", requestId, error: errorReport(error) });
    }
  }

  #ponged({ sequence, running }: Extract<ChildMessage, { type: "pong" }>): void {
    const wasAccepting = this.accepting;
    this.#pulse.pong(sequence);
    this.#running = running ?? {};
    if (!wasAccepting && this.accepting) this.#listener.changed();
  }

  #faulted({ attemptId, error }: Extract<ChildMessage, { type: "fault" }>): void {
    const runId = attemptId === undefined ? undefined : this.#attempts.get(attemptId)?.spec.runId;
    const whose = runId === undefined ? { runIds: this.runIds } : { runId };
    this.#settings.log.error({ ...whose, childPid: this.pid, stack: error.stack }, `${error.name}: ${error.message}`);
    this.#lastFault = { attemptId, error: { name: error.name, message: error.message } };
  }

  /** What was to be told is unknown, so that the attempt cannot be gone on with; its neighbours go on elsewhere. */
  #malformed({ scope, problem }: WrongMessage): void {
    const attempt = scope === undefined ? undefined : this.#attempts.get(scope);
    const whose = attempt === undefined ? { runIds: this.runIds } : { runId: attempt.spec.runId };
    this.#settings.log.warn({ ...whose, childPid: this.pid }, `From the child process ${this.pid}: ${problem}`);
    if (attempt === undefined || attempt.done || attempt.malformed !== undefined) return;
    attempt.malformed = { name: "MalformedMessage", message: `The process that executed the run sent ${problem}` };
    this.#stops.evict(attempt);
  }

  /** The child has said its last word on the attempt. */
  #ended(attempt: ChildAttempt | undefined, end: AttemptEnd): void {
    if (attempt === undefined || attempt.done || attempt.malformed !== undefined) return;
    attempt.end = end;
    if (this.exclusive) {
      // What the attempt left behind ends with its process; it is over only then.
      this.#kill("retired");
      return;
    }
    if (this.#live().length === 0) this.#child.release();
    void this.#report(attempt, { how: "ended", end });
    this.#stops.ended(attempt);
  }

  async #report(attempt: ChildAttempt, outcome: AttemptOver): Promise<void> {
    await attempt.finish(outcome);
    if (this.#attempts.delete(attempt.spec.attemptId)) this.#listener.changed();
  }

  #kill(cause: KillCause): void {
    if (this.#state === "killed" || this.#state === "gone") return;
    this.#state = "killed";
    this.#killCause = cause;
    clearTimeout(this.#loadTimer);
    this.#stops.clear();
    if (cause !== "retired") {
      const { log } = this.#settings;
      log.warn(
        { childPid: this.pid, runIds: this.runIds, cause },
        `The child process ${this.pid} is killed: ${killReason[cause]}`,
      );
    }
    this.#child.kill();
    this.#listener.changed();
  }

  async #close(exit: ChildExit): Promise<void> {
    clearTimeout(this.#loadTimer);
    this.#stops.clear();
    this.#state = "gone";
    this.#started.resolve();
    const live = this.#live();
    const attempts = [...this.#attempts.values()];
    const reports = attempts.map((attempt) => this.#report(attempt, this.#outcome(attempt, exit, live)));
    this.#listener.gone(exit);
    await Promise.all(reports);
  }

  #outcome(attempt: ChildAttempt, exit: ChildExit, live: readonly ChildAttempt[]): AttemptOver {
    if (attempt.end !== undefined) return { how: "ended", end: attempt.end };
    const { malformed } = attempt;
    if (malformed !== undefined && attempt.stopping === undefined) {
      return { how: "crashed", blamed: true, error: malformed };
    }
    const byServer = ["stop", "lease", "retired"].includes(this.#killCause ?? "");
    if (byServer || exit.leaseOver) return { how: attempt.stopping === undefined ? "displaced" : "killed" };
    return crashOutcome(attempt, live, exit, this.#killCause, this.#lastFault);
  }

  /** Attempts that have not ended. */
  #live(): ChildAttempt[] {
    return [...this.#attempts.values()].filter((attempt) => !attempt.done);
  }
}

const killReason: Record<Exclude<KillCause, "retired">, string> = {
  stop: "a run in it was to be stopped and did not stop by itself",
  lease: "a run in it has lost its lease",
  blocked: "its event loop has been blocked for too long",
  load: "its graphs took too long to load",
};
