import { randomUUID } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { contentBytes, documentBytes } from "./flush-documents.ts";
import type { JournalFlush } from "./journal-port.ts";

export type FlushContent = Partial<Omit<JournalFlush, "flushId">>;

interface Batch {
  readonly checkpoints: JournalFlush["checkpoints"][number][];
  readonly writes: JournalFlush["writes"][number][];
  readonly segments: JournalFlush["segments"][number][];
  bytes: number;
  readonly landed: PromiseWithResolvers<void>;
}

/**
 * One flush under way at a time, in the order in which it was added; what gathers meanwhile goes together as far as it fits one
 * document, so that of several steps none can land before one that was added earlier.
 */
export class FlushPump {
  readonly #append: (flush: JournalFlush) => Promise<void>;
  readonly #waiting: Batch[] = [];
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

  /** The size of what waits for the flush that is under way. */
  get waitingBytes(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Resolves when what has been added for a namespace, or at all, is stored or never will be. */
  async settled(namespace?: string): Promise<void> {
    const isOf = (one: { readonly namespace: string }) => namespace === undefined || one.namespace === namespace;
    const batches = [...(this.#underway ? [this.#underway] : []), ...this.#waiting].filter(
      ({ checkpoints, writes }) => checkpoints.some(isOf) || writes.some(isOf),
    );
    await Promise.allSettled(batches.map(({ landed }) => landed.promise));
  }

  /**
   * Resolves when the content is stored. Once a flush has failed, every later one fails with its error: it might build on
   * what is missing.
   */
  add(content: FlushContent): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure.error);
    const batch = this.#batchFor(contentBytes(content));
    batch.checkpoints.push(...(content.checkpoints ?? []));
    batch.writes.push(...(content.writes ?? []));
    batch.segments.push(...(content.segments ?? []));
    if (!this.#running) void this.#run();
    return batch.landed.promise;
  }

  #batchFor(bytes: number): Batch {
    let batch = this.#waiting.at(-1);
    if (!batch || batch.bytes + bytes > documentBytes) {
      batch = { checkpoints: [], writes: [], segments: [], bytes: 0, landed: Promise.withResolvers() };
      this.#waiting.push(batch);
    }
    batch.bytes += bytes;
    return batch;
  }

  async #run(): Promise<void> {
    this.#running = true;
    // What is added in the same turn goes together: a step's pending writes, and the checkpoint that follows from them.
    await nextTurn();
    for (;;) {
      this.#underway = this.#waiting.shift();
      if (!this.#underway) break;
      const { landed, bytes: _, ...content } = this.#underway;
      try {
        if (this.#failure) throw this.#failure.error;
        await this.#append({ flushId: randomUUID(), ...content });
        landed.resolve();
      } catch (error) {
        this.#failure ??= { error };
        landed.reject(error);
      }
    }
    this.#running = false;
  }
}
