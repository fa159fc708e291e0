import type { AttemptHooks, AttemptOver, PlacedAttempt } from "./attempt-host.ts";
import { ChildAttempt } from "./child-attempt.ts";
import { crashOutcome, type Fault } from "./child-crash.ts";
import type { WrongMessage } from "./child-message.ts";
import type { ChildExit, ChildProcessSettings, RunningChild } from "./child-process.ts";
import type { ChildPulse } from "./child-pulse.ts";
import { ChildStops, type StopTimes } from "./child-stops.ts";
import type { Kill, KillCause } from "./kill-cause.ts";
import type { AttemptEnd, AttemptOutput, AttemptSpec, ChildMessage } from "./protocol.ts";

export interface AttemptsProcess {
  readonly child: RunningChild;
  readonly pulse: ChildPulse;
  readonly settings: StopTimes & Pick<ChildProcessSettings, "log"> & { readonly leaseMs: number };
  /** What is placed now begins at once. */
  readonly mayBegin: () => boolean;
  readonly kill: (cause: KillCause) => void;
  /** It takes no further attempt, or again does; or an attempt is over. */
  readonly changed: () => void;
}

/** The attempts in one child process, and how they are stopped. */
export class ChildAttempts {
  readonly #process: AttemptsProcess;
  readonly #attempts = new Map<string, ChildAttempt>();
  readonly #stops: ChildStops;
  #running: Readonly<Record<string, number>> = {};
  #lastFault: Fault | undefined;
  #placed = 0;
  /** The process serves one attempt and ends with it. */
  exclusive = false;

  constructor(process: AttemptsProcess) {
    this.#process = process;
    const { child, pulse, settings } = process;
    this.#stops = new ChildStops(settings, {
      pulse,
      live: () => this.#live(),
      functionsOf: ({ spec }) => this.#running[spec.attemptId] ?? 0,
      send: (message, sent) => child.send(message, sent),
      endedUnstarted: (attempt, kind) => this.#ended(attempt, { kind }),
      kill: () => process.kill("stop"),
      changed: process.changed,
    });
  }

  /** Attempts in it, to the end of each. */
  get count(): number {
    return this.#attempts.size;
  }

  /** Attempts it was ever given. */
  get placed(): number {
    return this.#placed;
  }

  get runIds(): string[] {
    return this.runs.map(({ runId }) => runId);
  }

  get runs(): Kill["runs"] {
    return [...this.#attempts.values()].map(({ spec: { threadId, runId } }) => ({ threadId, runId }));
  }

  /** The kill for the sake of one is near. */
  get drainsNeighbours(): boolean {
    return this.#stops.drainsNeighbours;
  }

  get(attemptId: string): ChildAttempt | undefined {
    return this.#attempts.get(attemptId);
  }

  place(spec: AttemptSpec, hooks: AttemptHooks): PlacedAttempt {
    const { child, settings } = this.#process;
    const attempt: ChildAttempt = new ChildAttempt({
      spec,
      hooks,
      log: settings.log,
      stored: (count) => child.send({ type: "stored", attemptId: spec.attemptId, count }),
      failed: () => this.#stops.stop(attempt, "interrupt", "its output could not be stored"),
    });
    // Claimed just now, so that its lease is a fresh one.
    if (this.#live().length === 0) child.renew(settings.leaseMs);
    this.#attempts.set(spec.attemptId, attempt);
    this.#placed += 1;
    if (this.#process.mayBegin()) this.#start(attempt);
    return {
      pid: child.pid,
      stop: (action, reason) => this.#stops.stop(attempt, action, reason),
      drain: () => this.#stops.drain(attempt),
      kill: () => {
        if (attempt.done) return;
        attempt.stopping ??= "interrupt";
        this.#process.kill("lease");
      },
    };
  }

  /** Begins what was placed before it could begin. */
  startWaiting(): void {
    for (const attempt of this.#live()) if (!attempt.started) this.#start(attempt);
  }

  /** What could not begin yet goes back to where it came from. */
  drainWaiting(): void {
    for (const attempt of this.#live()) if (!attempt.started) this.#stops.drain(attempt);
  }

  /** All of them are handed back at their next step. */
  drainAll(): void {
    for (const attempt of this.#live()) this.#stops.drain(attempt);
  }

  /** A process without attempts has no lease that could end: it lives on when renewals fail. */
  renew(leaseMs: number): void {
    if (this.#live().length > 0) this.#process.child.renew(leaseMs);
  }

  /** To be called at every tick of the pulse. */
  tick(): void {
    this.#stops.tick();
  }

  output(of: readonly AttemptOutput[]): void {
    for (const { attemptId, events } of of) this.#attempts.get(attemptId)?.output(events);
  }

  /** The child has said its last word on an attempt. */
  end(attemptId: string, end: AttemptEnd): void {
    this.#ended(this.#attempts.get(attemptId), end);
  }

  ponged({ running }: Extract<ChildMessage, { type: "pong" }>): void {
    this.#running = running ?? {};
  }

  faulted({ attemptId, error }: Extract<ChildMessage, { type: "fault" }>): void {
    const { settings, child } = this.#process;
    const runId = attemptId === undefined ? undefined : this.#attempts.get(attemptId)?.spec.runId;
    const whose = runId === undefined ? { runIds: this.runIds } : { runId };
    settings.log.error({ ...whose, childPid: child.pid, stack: error.stack }, `${error.name}: ${error.message}`);
    this.#lastFault = { attemptId, error: { name: error.name, message: error.message } };
  }

  /** What was to be told is unknown, so that the attempt cannot be gone on with; its neighbours go on elsewhere. */
  malformed({ scope, problem }: WrongMessage): void {
    const { settings, child } = this.#process;
    const attempt = scope === undefined ? undefined : this.#attempts.get(scope);
    const whose = attempt === undefined ? { runIds: this.runIds } : { runId: attempt.spec.runId };
    settings.log.warn({ ...whose, childPid: child.pid }, `From the child process ${child.pid}: ${problem}`);
    if (attempt === undefined || attempt.done || attempt.malformed !== undefined) return;
    attempt.malformed = { name: "MalformedMessage", message: `The process that executed the run sent ${problem}` };
    this.#stops.evict(attempt);
  }

  /** The process is being killed. */
  killed(): void {
    this.#stops.clear();
  }

  /** The process is gone. Resolves when every outcome is reported. */
  async lost(exit: ChildExit, killCause: KillCause | undefined, wasReady: boolean): Promise<void> {
    this.#stops.clear();
    const live = this.#live();
    const outcomeOf = (attempt: ChildAttempt): AttemptOver => {
      if (attempt.end !== undefined) return { how: "ended", end: attempt.end };
      const { malformed } = attempt;
      if (malformed !== undefined && attempt.stopping === undefined) {
        return { how: "crashed", blamed: true, error: malformed };
      }
      const byServer = ["stop", "lease", "inspection", "retired"].includes(killCause ?? "");
      // It had not begun, but waited for an inspection in its process to be over.
      const onlyWaited = wasReady && !attempt.started;
      if (byServer || onlyWaited || exit.leaseOver) {
        if (attempt.stopping !== undefined) return { how: "killed" };
        // Whatever has held up the renewal may have been this attempt: it counts, and does so in every server alike.
        return { how: exit.leaseOver && !byServer && !onlyWaited ? "lapsed" : "displaced" };
      }
      return crashOutcome(attempt, live, exit, killCause, this.#lastFault);
    };
    const attempts = [...this.#attempts.values()];
    await Promise.all(attempts.map((attempt) => this.#report(attempt, outcomeOf(attempt))));
  }

  #start(attempt: ChildAttempt): void {
    attempt.started = true;
    this.#process.child.send({ type: "start", attempt: attempt.spec });
  }

  #ended(attempt: ChildAttempt | undefined, end: AttemptEnd): void {
    if (attempt === undefined || attempt.done || attempt.malformed !== undefined) return;
    attempt.end = end;
    if (this.exclusive) {
      // What the attempt left behind ends with its process; it is over only then.
      this.#process.kill("retired");
      return;
    }
    if (this.#live().length === 0) this.#process.child.release();
    void this.#report(attempt, { how: "ended", end });
    this.#stops.ended(attempt);
  }

  async #report(attempt: ChildAttempt, outcome: AttemptOver): Promise<void> {
    await attempt.finish(outcome);
    if (this.#attempts.delete(attempt.spec.attemptId)) this.#process.changed();
  }

  /** Attempts that have not ended. */
  #live(): ChildAttempt[] {
    return [...this.#attempts.values()].filter((attempt) => !attempt.done);
  }
}
