/**
 * Whether a child's event loop turns. Time is counted in ticks of the server's own timer, not by a clock: a server that was
 * held up itself (or stopped and continued) then blames no child for it.
 */
export class ChildPulse {
  #sequence = 0;
  #answered = 0;
  #missedTicks = 0;

  /** To be called at every tick. The sequence to send, or undefined while the last ping is unanswered. */
  tick(): number | undefined {
    if (this.isUnanswered) {
      this.#missedTicks += 1;
      return undefined;
    }
    this.#sequence += 1;
    return this.#sequence;
  }

  pong(sequence: number): void {
    if (sequence !== this.#sequence) return;
    this.#answered = sequence;
    this.#missedTicks = 0;
  }

  get isUnanswered(): boolean {
    return this.#answered !== this.#sequence;
  }

  /** Ticks since the one that sent the unanswered ping. */
  get missedTicks(): number {
    return this.#missedTicks;
  }
}
