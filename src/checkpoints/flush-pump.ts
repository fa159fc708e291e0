import { randomUUID } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { JournalFlush } from "./journal-port.ts";

export type FlushContent = Partial<Omit<JournalFlush, "flushId">>;

interface Batch {
  readonly checkpoints: JournalFlush["checkpoints"][number][];
  readonly writes: JournalFlush["writes"][number][];
  readonly segments: JournalFlush["segments"][number][];
  readonly landed: PromiseWithResolvers<void>;
}

/** One flush under way at a time; what gathers meanwhile goes with the next, in the order in which it was added. */
export class FlushPump {
  readonly #append: (flush: JournalFlush) => Promise<void>;
  #gathering: Batch | undefined;
  #underway: Batch | undefined;
  #running = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(append: (flush: JournalFlush) => Promise<void>) {
    this.#append = append;
  }

  get busy(): boolean {
    return this.#running;
  }

  /** Why nothing more can be stored. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** How many checkpoints and pending writes wait for the flush that is under way. */
  get waiting(): number {
    return this.#gathering ? this.#gathering.checkpoints.length + this.#gathering.writes.length : 0;
  }

  /** Resolves when what has been added for a namespace, or at all, is stored or never will be. */
  async settled(namespace?: string): Promise<void> {
    const isOf = (one: { readonly namespace: string }) => namespace === undefined || one.namespace === namespace;
    const batches = [this.#underway, this.#gathering].filter(
      (batch) => batch && (batch.checkpoints.some(isOf) || batch.writes.some(isOf)),
    );
    await Promise.allSettled(batches.map((batch) => batch!.landed.promise));
  }

  /**
   * Resolves when the content is stored. Once a flush has failed, every later one fails with its error: it might build on
   * what is missing.
   */
  add(content: FlushContent): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    this.#gathering ??= { checkpoints: [], writes: [], segments: [], landed: Promise.withResolvers() };
    this.#gathering.checkpoints.push(...(content.checkpoints ?? []));
    this.#gathering.writes.push(...(content.writes ?? []));
    this.#gathering.segments.push(...(content.segments ?? []));
    const { promise } = this.#gathering.landed;
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What is added in the same turn goes together: a step's pending writes, and the checkpoint that follows from them.
    await nextTurn();
    for (let batch = this.#take(); batch; batch = this.#take()) {
      const { landed, ...content } = batch;
      if (this.#failure) {
        landed.reject(this.#failure.error);
        continue;
      }
      try {
        await this.#append({ flushId: randomUUID(), ...content });
        landed.resolve();
      } catch (error) {
        this.#failure = { error };
        landed.reject(error);
      }
    }
    this.#underway = undefined;
    this.#running = false;
  }

  #take(): Batch | undefined {
    const batch = this.#gathering;
    this.#gathering = undefined;
    this.#underway = batch;
    return batch;
  }
}
