import { AsyncLocalStorage } from "node:async_hooks";
import type { Scheduled, Timeline } from "./timeline.ts";

/**
 * A server, or a child that executes graphs. Dead ones never do anything again, though what they have sent may still arrive;
 * stopped ones do it when they go on.
 */
export class SimulatedProcess {
  readonly name: string;
  state: "running" | "stopped" | "dead" = "running";
  /** What happened to it while it was stopped. */
  readonly held: Scheduled[] = [];
  /** How wrong the machine's wall clock is. */
  readonly wallOffsetMs: number;
  /** For how long its monotonic clock has stood still. */
  monotonicLagMs = 0;
  /** It was stopped at some time, so that it may not know what has happened since. */
  wasStopped = false;
  /** Does something in its name: what that schedules is its own. Made once, since it happens at each event. */
  readonly within: (happen: () => void) => void;
  readonly #timeline: Timeline;
  #stoppedAt = 0;

  constructor(timeline: Timeline, name: string, wallOffsetMs = 0) {
    this.#timeline = timeline;
    this.name = name;
    this.wallOffsetMs = wallOffsetMs;
    this.within = timeline.current.run(this, () => AsyncLocalStorage.snapshot());
  }

  die(): void {
    this.state = "dead";
    this.held.length = 0;
  }

  stop(): void {
    if (this.state !== "running") return;
    this.state = "stopped";
    this.wasStopped = true;
    this.#stoppedAt = this.#timeline.now;
  }

  /** `wasSuspended`: the whole machine stood still, and its monotonic clock with it. */
  goOn(wasSuspended: boolean): void {
    if (this.state !== "stopped") return;
    this.state = "running";
    const { now } = this.#timeline;
    const pauseMs = now - this.#stoppedAt;
    if (wasSuspended) this.monotonicLagMs += pauseMs;
    for (const one of this.held.splice(0)) {
      const at = wasSuspended && one.isTimer ? one.at + pauseMs : now;
      this.#timeline.putBack(one, at);
    }
  }
}
