import type { CancelAction } from "../domain/transitions.ts";
import type { ChildAttempt } from "./child-attempt.ts";
import type { ChildPulse } from "./child-pulse.ts";
import type { ParentMessage } from "./protocol.ts";

export interface StopTimes {
  readonly graceMs: number;
  readonly pingIntervalMs: number;
  readonly unresponsiveMs: number;
  readonly neighbourDrainMs: number;
}

/** What the stops need from the process that they take place in. */
export interface StopsProcess {
  readonly pulse: ChildPulse;
  /** Attempts that have not ended. */
  live(): readonly ChildAttempt[];
  /** Node functions of the attempt that were under way at the last pong. */
  functionsOf(attempt: ChildAttempt): number;
  send(message: ParentMessage, sent?: () => void): void;
  /** The attempt came to its end without the child's doing. */
  endedUnstarted(attempt: ChildAttempt, kind: "stopped" | "drained"): void;
  kill(): void;
  /** It takes no new attempts while neighbours are drained. */
  changed(): void;
}

/**
 * The stops in one process: abort, then a grace, then the kill, before which the neighbours are brought to a step boundary.
 * The kill comes sooner when the process leaves its pings unanswered.
 */
export class ChildStops {
  readonly #times: StopTimes;
  readonly #process: StopsProcess;
  readonly #graceTimers = new Map<ChildAttempt, NodeJS.Timeout>();
  #drainTimer: NodeJS.Timeout | undefined;
  /** Ticks without an answer since the first stop that is under way. */
  #unheardTicks = 0;

  constructor(times: StopTimes, process: StopsProcess) {
    this.#times = times;
    this.#process = process;
  }

  /** The neighbours are being drained: the kill is near. */
  get drainsNeighbours(): boolean {
    return this.#drainTimer !== undefined;
  }

  stop(attempt: ChildAttempt, action: CancelAction, reason: string): void {
    if (attempt.done || attempt.stopping === action) return;
    const first = attempt.stopping === undefined;
    attempt.stopping = action;
    if (!attempt.started) {
      attempt.delivered();
      this.#process.endedUnstarted(attempt, "stopped");
      return;
    }
    const abort = { type: "abort", attemptId: attempt.spec.attemptId, action, reason } as const;
    this.#process.send(abort, () => first && attempt.delivered());
    if (first) this.#giveGrace(attempt);
  }

  drain(attempt: ChildAttempt): void {
    if (attempt.done || attempt.stopping !== undefined) return;
    if (attempt.started) this.#process.send({ type: "drain", attemptId: attempt.spec.attemptId });
    else this.#process.endedUnstarted(attempt, "drained");
  }

  /** To be called at every tick of the pulse. */
  tick(): void {
    const { pingIntervalMs, unresponsiveMs } = this.#times;
    const pending = this.#process.live().some(({ stopping }) => stopping !== undefined);
    // Counted from the stop on: the abort must have a chance to be heard.
    this.#unheardTicks = pending && this.#process.pulse.missedTicks > 0 ? this.#unheardTicks + 1 : 0;
    if (this.#unheardTicks * pingIntervalMs >= unresponsiveMs) this.#process.kill();
  }

  /** To be called when the child has said its last word on an attempt. */
  ended(attempt: ChildAttempt): void {
    clearTimeout(this.#graceTimers.get(attempt));
    this.#graceTimers.delete(attempt);
    if (!this.drainsNeighbours) return;
    if (!this.#process.live().some(({ overdue }) => overdue)) {
      // What was to be killed came to its end after all.
      clearTimeout(this.#drainTimer);
      this.#drainTimer = undefined;
      this.#process.changed();
    } else if (this.#innocent().length === 0) {
      this.#process.kill();
    }
  }

  clear(): void {
    clearTimeout(this.#drainTimer);
    this.#drainTimer = undefined;
    for (const timer of this.#graceTimers.values()) clearTimeout(timer);
    this.#graceTimers.clear();
  }

  #giveGrace(attempt: ChildAttempt): void {
    const timer = setTimeout(() => this.#graceOver(attempt), this.#times.graceMs);
    this.#graceTimers.set(attempt, timer);
  }

  #graceOver(attempt: ChildAttempt): void {
    const responsive = this.#process.pulse.missedTicks <= 1;
    const functions = this.#process.functionsOf(attempt);
    if (responsive && functions === 0 && attempt.sinceStorageMs < this.#times.graceMs) {
      // Its functions have settled, and it only waited for the server's own storage: a kill would hurt the neighbours alone.
      this.#giveGrace(attempt);
      return;
    }
    this.evict(attempt);
  }

  /** Kills the process for the attempt's sake, after its neighbours have had a short time to reach a step boundary. */
  evict(attempt: ChildAttempt): void {
    attempt.overdue = true;
    if (this.drainsNeighbours) return;
    const responsive = this.#process.pulse.missedTicks <= 1;
    const neighbours = this.#innocent();
    if (neighbours.length === 0 || !responsive) {
      this.#process.kill();
      return;
    }
    this.#drainTimer = setTimeout(() => this.#process.kill(), this.#times.neighbourDrainMs);
    for (const neighbour of neighbours) this.drain(neighbour);
    this.#process.changed();
  }

  #innocent(): ChildAttempt[] {
    return this.#process.live().filter(({ stopping, malformed }) => stopping === undefined && malformed === undefined);
  }
}
